//! Looking into the journal on Redis.

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Seq},
};
use errsift_pipeline::ports::{dead::DeadJobs, journal::JournalFault};
use redis::{FromRedisValue, Script, Value};

use super::{RedisBacklog, wire};
use crate::inspect::{
    InspectJournal, JobPage, PAGE_BYTES_MAX, PAGE_JOBS, PendingRow, Standing, StoredJob,
};

/// Jobs from number ARGV[1] on, at most ARGV[2], of ARGV[3] bytes together but at least one, and
/// the base they were counted from, at one instant.
const JOBS: &str = r"
local base = tonumber(redis.call('HGET', KEYS[2], 'base') or '1')
local first = math.max(tonumber(ARGV[1]) - base, 0)
local jobs = redis.call('LRANGE', KEYS[1], first, first + tonumber(ARGV[2]) - 1)
local fitting, bytes = {}, 0
for i, job in ipairs(jobs) do
  bytes = bytes + #job
  if i > 1 and bytes > tonumber(ARGV[3]) then break end
  fitting[i] = job
end
return {base, fitting}
";

/// Fields of a hash with their values.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Pending counts asked for at once.
const PENDING_ROWS: usize = 1_000;

impl InspectJournal for RedisBacklog {
    fn standing(&mut self) -> Result<Standing, JournalFault> {
        let (fence, base, jobs, bytes): (Value, Option<u64>, u64, Value) =
            self.ask(|connection, keys| {
                let mut pipe = redis::pipe();
                pipe.atomic().add_command(wire::read_fence(&keys.fence));
                pipe.cmd("HGET").arg(&keys.pos).arg("base");
                pipe.cmd("LLEN").arg(&keys.journal);
                pipe.cmd("MEMORY").arg("USAGE").arg(&keys.journal);
                pipe.query(connection)
            })?;
        let bytes = Option::<u64>::from_redis_value(bytes).map_err(JournalFault::new)?;
        Ok(Standing {
            fence: wire::fence(&fence)?,
            base: Seq(base.unwrap_or(1)),
            jobs,
            bytes: bytes.unwrap_or(0),
        })
    }

    fn jobs(&mut self, from: Seq) -> Result<JobPage, JournalFault> {
        let script = Script::new(JOBS);
        let (base, jobs): (u64, Vec<Vec<u8>>) = self.ask(|connection, keys| {
            let mut call = script.prepare_invoke();
            call.key(&keys.journal).key(&keys.pos);
            call.arg(from.0).arg(PAGE_JOBS).arg(PAGE_BYTES_MAX);
            call.invoke(connection)
        })?;
        let jobs = (from.0.max(base)..)
            .zip(jobs)
            .map(|(at, bytes)| StoredJob { at: Seq(at), bytes: Bytes::from(bytes) })
            .collect();
        Ok(JobPage { base: Seq(base), jobs })
    }

    fn pending(
        &mut self,
        epoch: Epoch,
        each: &mut dyn FnMut(PendingRow),
    ) -> Result<(), JournalFault> {
        let mut cursor = 0_u64;
        loop {
            let (next, rows): (u64, Fields) = self.ask(|connection, keys| {
                redis::cmd("HSCAN")
                    .arg(keys.pending(epoch))
                    .arg(cursor)
                    .arg(&["COUNT", &PENDING_ROWS.to_string()])
                    .query(connection)
            })?;
            for (fingerprint, count) in rows {
                each(row(&fingerprint, &count));
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    fn dead(&mut self) -> Result<DeadJobs, JournalFault> {
        self.dead_together()
    }

    fn dead_jobs(&mut self, skipped: u64, jobs_max: usize) -> Result<Vec<Bytes>, JournalFault> {
        self.dead_page(skipped, jobs_max)
    }
}

fn row(fingerprint: &[u8], count: &[u8]) -> PendingRow {
    let fingerprint = Fingerprint(fingerprint.try_into().ok()?);
    Some((fingerprint, std::str::from_utf8(count).ok()?.parse().ok()?))
}
