//! The reading end: paging, trimming, pending counts.

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Seq, Term},
};
use errsift_pipeline::ports::{
    dead::{Aside, DeadJobs, Recovery, SetAside},
    errors::Claim,
    journal::{Backlog, Fence, JournalFault, JournalSize, Page},
};
use redis::{Connection, FromRedisValue, Script, Value};

use super::{ANSWER_MAX, CONNECT_MAX, Keys, RedisStore, wire};

/// Counts added by one script, well below what Lua can take on its stack.
const PENDING_ROWS: usize = 1_000;

/// Fields asked for by one command: the server does nothing else meanwhile.
const FIELDS: usize = 500;

/// Fields asked for before their answers are read. Between two such round trips others have their
/// turn, and neither side holds more than this.
const ROUND_TRIP_FIELDS: usize = 4_000;

/// Drops the jobs up to ARGV[1], but none after the last flight, counted from the base that holds
/// at this very instant, so that a trim that comes late or twice drops nothing else; and the
/// pending counts behind the further keys.
const TRIM: &str = r"
local base = tonumber(redis.call('HGET', KEYS[2], 'base') or '1')
local last = tonumber(redis.call('HGET', KEYS[3], 'seq') or '0')
local upto = math.min(tonumber(ARGV[1]), last)
if upto >= base then
  redis.call('LTRIM', KEYS[1], upto - base + 1, -1)
  redis.call('HSET', KEYS[2], 'base', string.format('%.0f', upto + 1))
end
for i = 4, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
";

/// Jobs from number ARGV[1] on, at most ARGV[2], and the base they were counted from: at one
/// instant, because a predecessor that is not fenced yet may trim.
const PAGE: &str = r"
local base = tonumber(redis.call('HGET', KEYS[2], 'base') or '1')
local first = math.max(tonumber(ARGV[1]) - base, 0)
return {base, redis.call('LRANGE', KEYS[1], first, first + tonumber(ARGV[2]) - 1)}
";

/// Adds to pending counts, unless another writer has taken the shard.
const ADD_PENDING: &str = r"
if redis.call('HGET', KEYS[1], 'term') ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1
";

/// A reading end of a shard's journal on Redis: one connection, made when first used and again
/// after it broke.
pub struct RedisBacklog {
    store: RedisStore,
    connection: Option<Connection>,
    page: Script,
    trim: Script,
    add_pending: Script,
}

impl RedisBacklog {
    pub(super) fn new(store: RedisStore) -> Self {
        Self {
            store,
            connection: None,
            page: Script::new(PAGE),
            trim: Script::new(TRIM),
            add_pending: Script::new(ADD_PENDING),
        }
    }

    /// Asks on the connection; drops it if the answer did not come.
    pub(super) fn ask<T>(
        &mut self,
        ask: impl FnOnce(&mut Connection, &Keys) -> redis::RedisResult<T>,
    ) -> Result<T, JournalFault> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(connect(&self.store).map_err(JournalFault::new)?),
        };
        let answer = ask(connection, &self.store.keys);
        if answer.as_ref().is_err_and(redis::RedisError::is_unrecoverable_error) {
            self.connection = None;
        }
        answer.map_err(JournalFault::new)
    }
}

fn connect(store: &RedisStore) -> redis::RedisResult<Connection> {
    let connection = store.client.get_connection_with_timeout(CONNECT_MAX)?;
    connection.set_read_timeout(Some(ANSWER_MAX))?;
    connection.set_write_timeout(Some(ANSWER_MAX))?;
    Ok(connection)
}

impl Backlog for RedisBacklog {
    fn page(&mut self, from: Seq, jobs_max: usize) -> Result<Page, JournalFault> {
        let script = self.page.clone();
        self.ask(|connection, keys| {
            let mut call = script.prepare_invoke();
            call.key(&keys.journal).key(&keys.pos).arg(from.0).arg(jobs_max);
            let (base, jobs): (u64, Vec<Vec<u8>>) = call.invoke(connection)?;
            Ok(Page { base: Seq(base), jobs: jobs.into_iter().map(Bytes::from).collect() })
        })
    }

    fn trim(&mut self, upto: Seq, epochs: &[Epoch]) -> Result<(), JournalFault> {
        let script = self.trim.clone();
        self.ask(|connection, keys| {
            let mut call = script.prepare_invoke();
            call.key(&keys.journal).key(&keys.pos).key(&keys.fence).arg(upto.0);
            for epoch in epochs {
                call.key(keys.pending(*epoch));
            }
            call.invoke(connection)
        })
    }

    fn add_pending(
        &mut self,
        term: Term,
        epoch: Epoch,
        counts: &[(Fingerprint, u64)],
    ) -> Result<(), JournalFault> {
        let script = self.add_pending.clone();
        for counts in counts.chunks(PENDING_ROWS) {
            let held: bool = self.ask(|connection, keys| {
                let mut call = script.prepare_invoke();
                call.key(&keys.fence).key(keys.pending(epoch)).arg(term.0);
                for (fingerprint, count) in counts {
                    call.arg(&fingerprint.0[..]).arg(*count);
                }
                call.invoke(connection)
            })?;
            if !held {
                return Err(JournalFault::new("another writer holds the shard"));
            }
        }
        Ok(())
    }

    fn reset_pending(&mut self, epochs: &[Epoch]) -> Result<(), JournalFault> {
        if epochs.is_empty() {
            return Ok(());
        }
        self.ask(|connection, keys| {
            let pending: Vec<_> = epochs.iter().map(|epoch| keys.pending(*epoch)).collect();
            redis::cmd("UNLINK").arg(pending).query(connection)
        })
    }

    fn pending(
        &mut self,
        fingerprint: &Fingerprint,
        epochs: &[Epoch],
    ) -> Result<Vec<u64>, JournalFault> {
        if epochs.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(|connection, keys| {
            let mut pipe = redis::pipe();
            for epoch in epochs {
                pipe.cmd("HGET").arg(keys.pending(*epoch)).arg(&fingerprint.0[..]);
            }
            let counts: Vec<Option<u64>> = pipe.query(connection)?;
            Ok(counts.into_iter().map(Option::unwrap_or_default).collect())
        })
    }

    /// A command for many counts of an epoch, and a round trip for several commands.
    fn pending_all(
        &mut self,
        fingerprints: &[Fingerprint],
        epochs: &[Epoch],
    ) -> Result<Vec<Vec<u64>>, JournalFault> {
        let mut all = Vec::with_capacity(fingerprints.len());
        for fingerprints in fingerprints.chunks(FIELDS) {
            let mut counts = vec![Vec::with_capacity(epochs.len()); fingerprints.len()];
            for epochs in epochs.chunks((ROUND_TRIP_FIELDS / fingerprints.len()).max(1)) {
                let by_epoch = self.ask(|connection, keys| {
                    let mut pipe = redis::pipe();
                    for epoch in epochs {
                        let command = pipe.cmd("HMGET").arg(keys.pending(*epoch));
                        for fingerprint in fingerprints {
                            command.arg(&fingerprint.0[..]);
                        }
                    }
                    pipe.query::<Vec<Vec<Option<u64>>>>(connection)
                })?;
                for found in by_epoch {
                    for (counts, found) in counts.iter_mut().zip(found) {
                        counts.push(found.unwrap_or_default());
                    }
                }
            }
            all.append(&mut counts);
        }
        Ok(all)
    }

    fn fence(&mut self) -> Result<Fence, JournalFault> {
        let read: Value =
            self.ask(|connection, keys| wire::read_fence(&keys.fence).query(connection))?;
        wire::fence(&read)
    }

    fn size(&mut self) -> Result<JournalSize, JournalFault> {
        self.ask(|connection, keys| {
            let mut pipe = redis::pipe();
            pipe.cmd("LLEN").arg(&keys.journal);
            pipe.cmd("MEMORY").arg("USAGE").arg(&keys.journal);
            let (jobs, bytes): (u64, Value) = pipe.query(connection)?;
            let bytes = Option::<u64>::from_redis_value(bytes)?.unwrap_or(0);
            Ok(JournalSize { jobs, bytes })
        })
    }

    fn set_aside(&mut self, claim: &Claim, aside: &Aside) -> Result<SetAside, JournalFault> {
        self.put_aside(claim, aside)
    }

    fn dead(&mut self) -> Result<DeadJobs, JournalFault> {
        self.dead_together()
    }

    fn dead_jobs(&mut self, skipped: u64, jobs_max: usize) -> Result<Vec<Bytes>, JournalFault> {
        self.dead_page(skipped, jobs_max)
    }

    fn count_dead(
        &mut self,
        claim: &Claim,
        counted: Seq,
        events: u64,
    ) -> Result<bool, JournalFault> {
        self.sum_dead(claim, counted, events)
    }

    fn drop_dead(&mut self, dead: &Bytes, redriven: u64) -> Result<bool, JournalFault> {
        self.forget_dead(dead, redriven)
    }

    fn recovery(&mut self) -> Result<Recovery, JournalFault> {
        self.starts()
    }

    fn note_recovery(&mut self, claim: &Claim, recovery: &Recovery) -> Result<bool, JournalFault> {
        self.note_starts(claim, recovery)
    }
}
