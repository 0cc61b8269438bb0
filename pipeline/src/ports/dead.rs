//! Jobs that were set aside because they cannot be read, or killed the process that read them.
//!
//! What is kept of one is written and read here; stores keep it as it is, bytes and all, so that a
//! later errsift that can read the job can still count it in the parts that lack it.

use bytes::Bytes;
use errsift_ops::{
    id::{Epoch, Part, Seq, Shard},
    timestamp::Timestamp,
};

/// A job that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadJob {
    /// The journal's shard.
    pub shard: Shard,
    /// Its number in the list.
    pub seq: Seq,
    /// The epoch that its tombstone has: the job's own if that could be read, else a neighbour's.
    pub epoch: Epoch,
    /// When it was set aside.
    pub at: Timestamp,
    /// The epoch of each part's guard row at that time, when no other writer could move them any
    /// more. A part below the job's own epoch lacks its events.
    pub guards: [Epoch; Part::COUNT],
    /// Why.
    pub reason: String,
    /// The job as it lay in the list.
    pub job: Bytes,
}

/// Bytes that are not a dead job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is kept of a job that was set aside cannot be read")]
pub struct DeadJobFault;

const MAGIC: &[u8; 4] = b"ESJD";
const VERSION: u16 = 1;

impl DeadJob {
    /// The parts that lacked the events of `epoch` when the job was set aside, a bit each.
    pub fn lacking(&self, epoch: Epoch) -> u64 {
        let bits = self.guards.iter().enumerate().filter(|(_, guard)| **guard < epoch);
        bits.fold(0, |bits, (part, _)| bits | 1 << part)
    }

    /// Writes it to bytes: little-endian, magic `ESJD`, version (2), shard (2), seq, epoch and time
    /// in milliseconds (8 each), 64 guards (8 each), reason's length (4), reason, job.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024 + self.job.len());
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.shard.0.to_le_bytes());
        out.extend(self.seq.0.to_le_bytes());
        out.extend(self.epoch.0.to_le_bytes());
        out.extend(self.at.millis().to_le_bytes());
        for guard in self.guards {
            out.extend(guard.0.to_le_bytes());
        }
        let reason_bytes = u32::try_from(self.reason.len()).unwrap_or(0);
        out.extend(reason_bytes.to_le_bytes());
        if reason_bytes > 0 {
            out.extend(self.reason.as_bytes());
        }
        out.extend(&self.job[..]);
        out
    }

    /// Reads it back.
    pub fn decode(bytes: &[u8]) -> Result<Self, DeadJobFault> {
        let mut rest = bytes;
        if take::<4>(&mut rest)? != *MAGIC || u16::from_le_bytes(take(&mut rest)?) != VERSION {
            return Err(DeadJobFault);
        }
        let shard = Shard(u16::from_le_bytes(take(&mut rest)?));
        let seq = Seq(u64::from_le_bytes(take(&mut rest)?));
        let epoch = Epoch(u64::from_le_bytes(take(&mut rest)?));
        let at = Timestamp::from_millis(i64::from_le_bytes(take(&mut rest)?));
        let mut guards = [Epoch::default(); Part::COUNT];
        for guard in &mut guards {
            *guard = Epoch(u64::from_le_bytes(take(&mut rest)?));
        }
        let length = u32::from_le_bytes(take(&mut rest)?);
        let length = usize::try_from(length).map_err(|_| DeadJobFault)?;
        let (reason, job) = rest.split_at_checked(length).ok_or(DeadJobFault)?;
        let reason = std::str::from_utf8(reason).map_err(|_| DeadJobFault)?.to_owned();
        Ok(Self { shard, seq, epoch, at, guards, reason, job: Bytes::copy_from_slice(job) })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], DeadJobFault> {
    let (taken, after) = rest.split_first_chunk::<N>().ok_or(DeadJobFault)?;
    *rest = after;
    Ok(*taken)
}

/// What replaces what when a job is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// The job's number.
    pub seq: Seq,
    /// The job as it lies in the list.
    pub job: Bytes,
    /// What takes its place.
    pub tombstone: Bytes,
    /// What is kept of it.
    pub dead: Bytes,
}

/// What came of setting a job aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAside {
    /// The tombstone stands, and the job is among the dead: once, however often this was asked.
    Done,
    /// Another writer holds the shard; nothing was changed.
    Fenced,
    /// Something else lies at that number by now; nothing was changed.
    Changed,
}

/// The dead jobs of a shard together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadJobs {
    /// Jobs that were set aside and neither counted later nor dropped.
    pub jobs: u64,
    /// The last job ever set aside.
    pub last: Seq,
    /// Up to which of them `events` is known.
    pub counted: Seq,
    /// Events in all jobs set aside up to `counted`, but for those that were counted later. Those
    /// that were dropped stay in it: they were acknowledged, and are counted nowhere else.
    pub events: u64,
}

impl DeadJobs {
    /// Whether the events of all jobs are known.
    pub fn is_counted(&self) -> bool {
        self.counted == self.last
    }
}

/// How starts of a shard have gone lately. See [`crate::apply`] for what follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Starts in a row, this one included, whose recovery is not known to have come through.
    pub starts: u64,
    /// The job that is just being fed, or was when the process ended; 0 for none.
    pub suspect: Seq,
    /// The job that the last process to die at one died at, unless it was fed without harm since;
    /// 0 for none.
    pub accused: Seq,
    /// How many processes in a row died at it.
    pub deaths: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead() -> DeadJob {
        let mut guards = [Epoch(7); Part::COUNT];
        (guards[0], guards[63]) = (Epoch(5), Epoch(6));
        DeadJob {
            shard: Shard(3),
            seq: Seq(9),
            epoch: Epoch(7),
            at: Timestamp::from_millis(1_700_000_000_123),
            guards,
            reason: "job does not start with ESJB".to_owned(),
            job: Bytes::from_static(b"\0x\xff"),
        }
    }

    #[test]
    fn a_dead_job_reads_back_as_written() {
        let bytes = dead().encode();
        assert_eq!(DeadJob::decode(&bytes), Ok(dead()));
        let length = bytes.len() - dead().job.len();
        for cut in 0..length {
            assert_eq!(DeadJob::decode(&bytes[..cut]), Err(DeadJobFault), "{cut}");
        }
        let nothing = DeadJob { reason: String::new(), job: Bytes::new(), ..dead() };
        assert_eq!(DeadJob::decode(&nothing.encode()), Ok(nothing));
    }

    #[test]
    fn a_part_below_the_epoch_lacks_it() {
        assert_eq!(dead().lacking(Epoch(7)), 1 | 1 << 63);
        assert_eq!(dead().lacking(Epoch(6)), 1);
        assert_eq!(dead().lacking(Epoch(5)), 0);
        assert_eq!(dead().lacking(Epoch(8)), u64::MAX);
    }
}
