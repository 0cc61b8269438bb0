//! Jobs that were set aside, and how starts have gone.
//!
//! Dead jobs lie in the list `:dead`. What is known of them together, and of starts, is in `:pos`:
//! {…, `dead_last`, `dead_counted`, `dead_events`, starts, suspect, accused, deaths}.

use bytes::Bytes;
use errsift_ops::id::Seq;
use errsift_pipeline::ports::{
    dead::{Aside, DeadJob, DeadJobs, Recovery, SetAside},
    errors::Claim,
    journal::JournalFault,
};
use redis::Script;

use super::RedisBacklog;

/// Returns unless the fence (KEYS[1]) holds term ARGV[1] and nonce ARGV[2].
const HELD: &str = r"
local held = redis.call('HMGET', KEYS[1], 'term', 'nonce')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
";

/// Replaces job ARGV[4] at number ARGV[3] by ARGV[5], and appends ARGV[6] to the dead.
const SET_ASIDE: &str = r"
local base = tonumber(redis.call('HGET', KEYS[3], 'base') or '1')
local at = tonumber(ARGV[3]) - base
if at < 0 then return 2 end
local found = redis.call('LRANGE', KEYS[2], at, at)[1]
if found == ARGV[5] then return 1 end
if found ~= ARGV[4] then return 2 end
redis.call('LSET', KEYS[2], at, ARGV[5])
redis.call('RPUSH', KEYS[4], ARGV[6])
redis.call('HSET', KEYS[3], 'dead_last', ARGV[3])
return 1
";

const COUNT: &str = r"
redis.call('HSET', KEYS[2], 'dead_counted', ARGV[3], 'dead_events', ARGV[4])
return 1
";

/// Takes ARGV[1], which has number ARGV[2], from the dead, and ARGV[3] from their events if they
/// are among those.
const DROP: &str = r"
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
local sums = redis.call('HMGET', KEYS[2], 'dead_counted', 'dead_events')
if tonumber(ARGV[2]) <= tonumber(sums[1] or '0') then
  local events = math.max(tonumber(sums[2] or '0') - tonumber(ARGV[3]), 0)
  redis.call('HSET', KEYS[2], 'dead_events', string.format('%.0f', events))
end
return 1
";

const NOTE: &str = r"
redis.call('HSET', KEYS[2],
  'starts', ARGV[3], 'suspect', ARGV[4], 'accused', ARGV[5], 'deaths', ARGV[6])
return 1
";

impl RedisBacklog {
    pub(super) fn put_aside(
        &mut self,
        claim: &Claim,
        aside: &Aside,
    ) -> Result<SetAside, JournalFault> {
        let script = Script::new(&[HELD, SET_ASIDE].concat());
        let answer: u8 = self.ask(|connection, keys| {
            let mut call = script.prepare_invoke();
            call.key(&keys.fence).key(&keys.journal).key(&keys.pos).key(&keys.dead);
            call.arg(claim.term.0).arg(claim.nonce.0).arg(aside.seq.0);
            call.arg(&aside.job[..]).arg(&aside.tombstone[..]).arg(&aside.dead[..]);
            call.invoke(connection)
        })?;
        Ok(match answer {
            0 => SetAside::Fenced,
            1 => SetAside::Done,
            _ => SetAside::Changed,
        })
    }

    pub(super) fn dead_together(&mut self) -> Result<DeadJobs, JournalFault> {
        type Sums = (Option<u64>, Option<u64>, Option<u64>);
        let (jobs, (last, counted, events)): (u64, Sums) = self.ask(|connection, keys| {
            let mut pipe = redis::pipe();
            pipe.atomic().cmd("LLEN").arg(&keys.dead);
            pipe.cmd("HMGET").arg(&keys.pos).arg(&["dead_last", "dead_counted", "dead_events"]);
            pipe.query(connection)
        })?;
        let seq = |number: Option<u64>| Seq(number.unwrap_or_default());
        let events = events.unwrap_or_default();
        Ok(DeadJobs { jobs, last: seq(last), counted: seq(counted), events })
    }

    pub(super) fn dead_page(
        &mut self,
        skipped: u64,
        jobs_max: usize,
    ) -> Result<Vec<Bytes>, JournalFault> {
        let last = skipped.saturating_add(jobs_max as u64).saturating_sub(1);
        if jobs_max == 0 {
            return Ok(Vec::new());
        }
        let jobs: Vec<Vec<u8>> = self.ask(|connection, keys| {
            redis::cmd("LRANGE").arg(&keys.dead).arg(skipped).arg(last).query(connection)
        })?;
        Ok(jobs.into_iter().map(Bytes::from).collect())
    }

    pub(super) fn sum_dead(
        &mut self,
        claim: &Claim,
        counted: Seq,
        events: u64,
    ) -> Result<bool, JournalFault> {
        self.note(claim, COUNT, &[counted.0, events])
    }

    pub(super) fn forget_dead(
        &mut self,
        dead: &Bytes,
        redriven: u64,
    ) -> Result<bool, JournalFault> {
        let script = Script::new(DROP);
        let seq = DeadJob::decode(dead).map_or(Seq::default(), |dead| dead.seq);
        self.ask(|connection, keys| {
            let mut call = script.prepare_invoke();
            call.key(&keys.dead).key(&keys.pos).arg(&dead[..]).arg(seq.0).arg(redriven);
            call.invoke(connection)
        })
    }

    pub(super) fn starts(&mut self) -> Result<Recovery, JournalFault> {
        let noted: [Option<u64>; 4] = self.ask(|connection, keys| {
            let fields = &["starts", "suspect", "accused", "deaths"];
            redis::cmd("HMGET").arg(&keys.pos).arg(fields).query(connection)
        })?;
        let [starts, suspect, accused, deaths] = noted.map(Option::unwrap_or_default);
        Ok(Recovery { starts, suspect: Seq(suspect), accused: Seq(accused), deaths })
    }

    pub(super) fn note_starts(
        &mut self,
        claim: &Claim,
        recovery: &Recovery,
    ) -> Result<bool, JournalFault> {
        let Recovery { starts, suspect, accused, deaths } = recovery;
        self.note(claim, NOTE, &[*starts, suspect.0, accused.0, *deaths])
    }

    /// Writes numbers into `:pos`, if `claim` holds the shard.
    fn note(&mut self, claim: &Claim, write: &str, numbers: &[u64]) -> Result<bool, JournalFault> {
        let script = Script::new(&[HELD, write].concat());
        self.ask(|connection, keys| {
            let mut call = script.prepare_invoke();
            call.key(&keys.fence).key(&keys.pos).arg(claim.term.0).arg(claim.nonce.0).arg(numbers);
            call.invoke(connection)
        })
    }
}
