//! What can still be counted of a job that was set aside.

use errsift_ops::{
    id::Part,
    job::{self, Job, JobError},
};
use errsift_pipeline::ports::{
    dead::DeadJob,
    errors::{CountRow, DetailsRow},
};

/// The events of a dead job that the tables lack, to be added in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revived {
    /// Stays in the tables for ever, so that the same job is never added twice.
    pub mark: String,
    /// Counts, sorted by fingerprint and window, none twice.
    pub rows: Vec<CountRow>,
    /// Words, to be stored unless they are.
    pub words: Vec<DetailsRow>,
}

impl Revived {
    /// Takes from a job what belongs to parts that had not applied its epoch when it was set aside.
    /// An error says why the job still cannot be read.
    pub fn of(dead: &DeadJob) -> Result<Self, JobError> {
        let Job { shard, flight, .. } = job::decode(&dead.job)?;
        let lacking = dead.lacking(flight.epoch);
        let (mut rows, mut words) = (Vec::new(), Vec::new());
        for entry in flight.entries {
            if lacking & (1 << entry.fingerprint.part().index()) == 0 {
                continue;
            }
            let (fingerprint, window, tally) = (entry.fingerprint, entry.window, entry.tally);
            rows.push(CountRow { fingerprint, window, tally });
            words.extend(entry.details.map(|details| (fingerprint, details)));
        }
        rows.sort_unstable();
        // a job that was written by a hand may say a thing twice
        rows.dedup_by(|next, kept| {
            let is_same = (next.fingerprint, next.window) == (kept.fingerprint, kept.window);
            if is_same {
                kept.tally.fold(&next.tally);
            }
            is_same
        });
        // what could be read ends with its own CRC
        let crc = dead.job.last_chunk::<4>().map_or(0, |crc| u32::from_le_bytes(*crc));
        let mark = format!("redriven:{shard}:{}:{crc:08x}", dead.seq);
        Ok(Self { mark, rows, words })
    }

    /// Events in it.
    pub fn events(&self) -> u64 {
        self.rows.iter().map(|row| row.tally.count).sum()
    }

    /// Events by part, for parts that have some, in order.
    pub fn parts(&self) -> Vec<(Part, u64)> {
        let chunks = self.rows.chunk_by(|a, b| a.fingerprint.part() == b.fingerprint.part());
        let sum = |rows: &[CountRow]| rows.iter().map(|row| row.tally.count).sum();
        chunks
            .filter_map(|rows| rows.first().map(|first| (first.fingerprint.part(), sum(rows))))
            .collect()
    }
}
