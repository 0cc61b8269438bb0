//! Which term and epoch the tombstone of a job gets that cannot be read.

use bytes::Bytes;
use errsift_ops::{
    id::{Epoch, Seq, Shard, Term},
    job::{self, JobError},
};

/// Who sealed a job, and the epoch it belongs to. Both only grow along the list.
pub(crate) type Place = (Term, Epoch);

/// A job to be set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) seq: Seq,
    pub(crate) job: Bytes,
    pub(crate) term: Term,
    pub(crate) epoch: Epoch,
    pub(crate) reason: String,
}

impl Unreadable {
    /// Of the job `seq` between the job `before` it and the next readable one `after` it. What its
    /// own header says is believed where it fits between them. Else it counts to the epoch before,
    /// or if there is none, to the one after, or to the first that there can be: each keeps the
    /// order, without which an epoch would be fed when it is over, and which it is decides over
    /// nothing but when the tombstone is trimmed.
    pub(crate) fn between(
        (shard, seq): (Shard, Seq),
        job: &Bytes,
        error: &JobError,
        before: Option<Place>,
        after: Option<Place>,
    ) -> Self {
        let fallback = before.or(after).unwrap_or((Term(0), Epoch(1)));
        let (low, high) = (before.unwrap_or_default(), after.unwrap_or(fallback));
        let own = job::header(job).ok().filter(|header| {
            (header.shard, header.seq) == (shard, seq)
                && (low.0..=high.0).contains(&header.term)
                && (low.1..=high.1).contains(&header.epoch)
        });
        let (term, epoch) = own.map_or(fallback, |header| (header.term, header.epoch));
        Self { seq, job: job.clone(), term, epoch, reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(job: &[u8], before: Option<u64>, after: Option<u64>) -> u64 {
        let place = |epoch: Option<u64>| epoch.map(|epoch| (Term(1), Epoch(epoch)));
        let at = (Shard(0), Seq(5));
        let job = Bytes::copy_from_slice(job);
        Unreadable::between(at, &job, &JobError::Magic, place(before), place(after)).epoch.0
    }

    #[test]
    fn the_header_is_believed_where_it_fits() {
        let job = |shard, seq, epoch| {
            let mut bytes = job::tombstone(Shard(shard), Term(1), Seq(seq), Epoch(epoch));
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            bytes
        };
        assert_eq!(epoch(&job(0, 5, 20), Some(10), Some(30)), 20);
        assert_eq!(epoch(&job(0, 5, 10), Some(10), Some(30)), 10);
        assert_eq!(epoch(&job(0, 5, 20), None, Some(30)), 20);
        for wrong in [job(0, 5, 31), job(0, 5, 9), job(0, 6, 20), job(1, 5, 20)] {
            assert_eq!(epoch(&wrong, Some(10), Some(30)), 10);
        }
        assert_eq!(epoch(&job(0, 5, 31), None, Some(30)), 30);
        // nothing readable follows: an epoch too far ahead would end all that come before it
        assert_eq!(epoch(&job(0, 5, 20), Some(10), None), 10);
        assert_eq!(epoch(&job(0, 5, 20), None, None), 1);
        assert_eq!(epoch(b"", Some(10), Some(30)), 10);
        assert_eq!(epoch(b"ESJB", None, Some(30)), 30);
    }
}
