//! The reading end: paging, trimming, pending counts.

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Seq, Term},
    timestamp::Timestamp,
};
use errsift_pipeline::{
    ports::{
        dead::{Aside, DeadJobs, Recovery, SetAside},
        errors::Claim,
        holder::{Beat, Holder},
        journal::{Backlog, Fence, JobIds, JournalFault, JournalSize, Merge, Page},
    },
    settings::PAGE_BYTES_MAX,
};
use redis::{
    Connection, ConnectionInfo, ErrorKind, FromRedisValue, Script, ServerErrorKind, Value,
};

use super::{
    ANSWER_MAX, CONNECT_MAX, Keys, RedisStore, check, follow, holder, scripts, sentinel::Node, wire,
};

/// Counts added by one script, well below what Lua can take on its stack.
const PENDING_ROWS: usize = 1_000;

/// Fields asked for by one command: the server does nothing else meanwhile.
const FIELDS: usize = 500;

/// Fields asked for before their answers are read. Between two such round trips others have their
/// turn, and neither side holds more than this.
const ROUND_TRIP_FIELDS: usize = 4_000;

/// Pieces of the list of event ids that are read at once.
const ID_PIECES: usize = 64;

/// A reading end of a shard's journal on Redis: one connection, made when first used and again
/// after it broke.
pub struct RedisBacklog {
    store: RedisStore,
    connection: Option<Connection>,
    /// The connection's server, if sentinels named it.
    node: Option<Node>,
    page: Script,
    trim: Script,
    add_pending: Script,
    merge: Script,
}

impl RedisBacklog {
    pub(super) fn new(store: RedisStore) -> Self {
        Self {
            store,
            connection: None,
            node: None,
            page: Script::new(scripts::PAGE),
            trim: Script::new(scripts::TRIM),
            add_pending: Script::new(scripts::ADD_PENDING),
            merge: Script::new(scripts::MERGE),
        }
    }

    /// Asks on the connection; drops it if the answer did not come, or if its server is no master
    /// any more.
    pub(super) fn ask<T>(
        &mut self,
        ask: impl FnOnce(&mut Connection, &Keys) -> redis::RedisResult<T>,
    ) -> Result<T, JournalFault> {
        // a connection that was idle does not show that its server has been replaced
        if self.store.is_outdated(self.node.as_ref()) {
            self.connection = None;
        }
        let connection = if let Some(connection) = &mut self.connection {
            connection
        } else {
            let (connection, node) = connect(&self.store)?;
            self.node = node;
            self.connection.insert(connection)
        };
        let answer = ask(connection, &self.store.keys);
        if answer.as_ref().is_err_and(|error| {
            error.is_unrecoverable_error()
                || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
        }) {
            self.connection = None;
        }
        answer.map_err(JournalFault::new)
    }
}

fn connect(store: &RedisStore) -> Result<(Connection, Option<Node>), JournalFault> {
    let (info, node) = store.place()?;
    let connected = open(info).map_err(JournalFault::new).and_then(|mut connection| {
        if node.is_some() {
            let role = redis::cmd("ROLE").query(&mut connection).map_err(JournalFault::new)?;
            follow::demand_master(&role)?;
        }
        Ok(connection)
    });
    match connected {
        Ok(connection) => Ok((connection, node)),
        Err(fault) => Err(follow::named(store, node.as_ref(), fault)),
    }
}

fn open(info: ConnectionInfo) -> redis::RedisResult<Connection> {
    let connection = redis::Client::open(info)?.get_connection_with_timeout(CONNECT_MAX)?;
    connection.set_read_timeout(Some(ANSWER_MAX))?;
    connection.set_write_timeout(Some(ANSWER_MAX))?;
    Ok(connection)
}

impl Backlog for RedisBacklog {
    fn page(&mut self, from: Seq, jobs_max: usize) -> Result<Page, JournalFault> {
        let script = self.page.clone();
        self.ask(|connection, keys| {
            let mut call = script.prepare_invoke();
            call.key(&keys.journal).key(&keys.pos).arg(from.0).arg(jobs_max).arg(PAGE_BYTES_MAX);
            let (base, jobs): (u64, Vec<Vec<u8>>) = call.invoke(connection)?;
            Ok(Page { base: Seq(base), jobs: jobs.into_iter().map(Bytes::from).collect() })
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

    fn weaker(&mut self) -> Result<Option<String>, JournalFault> {
        let demand = self.store.demand;
        if demand.allow_weaker {
            return Ok(None);
        }
        let checks = check::wanted(demand.durability, |name| {
            self.ask(|connection, _| {
                Ok(match redis::cmd("CONFIG").arg(&["GET", name]).query(connection) {
                    Err(error) if error.is_unrecoverable_error() => return Err(error),
                    // one that the server does not tell is judged like any other
                    answer => answer.unwrap_or(Value::Nil),
                })
            })
        })?;
        Ok(demand.judge("redis", &checks).err())
    }

    fn trim_keeping(
        &mut self,
        upto: Seq,
        epochs: &[Epoch],
        ids: &[JobIds],
        since: Timestamp,
    ) -> Result<(), JournalFault> {
        let script = self.trim.clone();
        self.ask(|connection, keys| {
            let mut call = script.prepare_invoke();
            call.key(&keys.journal).key(&keys.pos).key(&keys.fence).key(&keys.ids);
            for epoch in epochs {
                call.key(keys.pending(*epoch));
            }
            call.arg(upto.0).arg(since.millis());
            for ids in ids {
                call.arg(ids.to_bytes());
            }
            call.invoke(connection)
        })
    }

    fn kept_ids(&mut self) -> Result<Vec<JobIds>, JournalFault> {
        let mut kept = Vec::new();
        for first in (0..).step_by(ID_PIECES) {
            let pieces: Vec<Vec<u8>> = self.ask(|connection, keys| {
                let mut range = redis::cmd("LRANGE");
                range.arg(&keys.ids).arg(first).arg(first + ID_PIECES - 1).query(connection)
            })?;
            let last = pieces.len() < ID_PIECES;
            // one that somebody else has put there is no reason not to start
            kept.extend(pieces.iter().filter_map(|bytes| JobIds::from_bytes(bytes)));
            if last {
                break;
            }
        }
        Ok(kept)
    }

    fn merge(&mut self, merge: &Merge) -> Result<bool, JournalFault> {
        if merge.blanked.is_empty() {
            return Ok(false);
        }
        let script = self.merge.clone();
        self.ask(|connection, keys| {
            let mut call = script.prepare_invoke();
            call.key(&keys.journal).key(&keys.pos).key(&keys.fence);
            call.arg(merge.term.0).arg(&merge.job[..]).arg(merge.seq.0).arg(&Merge::blank()[..]);
            for seq in &merge.blanked {
                call.arg(seq.0);
            }
            call.invoke(connection)
        })
    }

    fn beat(&mut self, mark: &Holder) -> Result<Beat, JournalFault> {
        holder::beat(self, mark)
    }

    fn holder(&mut self) -> Result<Option<Holder>, JournalFault> {
        holder::read(self)
    }

    fn release(&mut self, mark: &Holder) -> Result<(), JournalFault> {
        holder::release(self, mark)
    }
}
