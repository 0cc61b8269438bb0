//! While apply lags, the jobs of closed epochs are merged, so that the journal grows with distinct
//! errors and windows, and not with events.
//!
//! Jobs are merged where they lie, in one step of the store: the last of up to [`MERGE_JOBS`] jobs of
//! one epoch makes room for a job that stands for all of them, the others for blanks. So the list
//! keeps an element a flight, whatever is killed when, and a trim, which ends at an epoch's end, cuts
//! through no merged job. An epoch is gone through until nothing in it can be merged any more: the
//! merged jobs of one time are merged with each other the next time.
//!
//! Merged is what apply has been given whole, or what it has not been given any of: a job is never
//! merged with others while apply is between them.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use errsift_ops::{
    id::{Epoch, Seq, Term},
    job::{self, Job},
    merge,
};

use crate::{
    failpoints,
    feed::Feed,
    ports::journal::{Backlog, JournalFault, Merge},
    settings::{MERGE_BYTES_MAX, MERGE_JOBS, MERGE_PAGE_JOBS},
};

/// Where a flight is, seen from apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Given to apply.
    Given,
    /// Read from the journal for apply, and not given yet.
    Paged,
    /// Neither.
    Ahead,
}

/// Jobs that go together.
#[derive(Debug, Default)]
struct Piece {
    jobs: Vec<Job>,
    bytes: usize,
}

/// Goes through the closed epochs' jobs, a bounded step at a time.
pub(crate) struct Merger {
    term: Term,
    feed: Arc<Feed>,
    /// How long an epoch may be closed without being trimmed before it is merged.
    patience: Duration,
    /// Last flights of closed epochs, and since when they are known to be.
    closed: VecDeque<(Seq, Duration)>,
    /// Flights up to here may be merged.
    allowed: Seq,
    /// The last flight that was read for apply.
    paged: Seq,
    /// The place that is looked at next.
    at: Seq,
    /// The epoch that is gone through, where it begins, and whether anything in it was merged.
    epoch: Epoch,
    begin: Seq,
    changed: bool,
    piece: Piece,
}

impl Merger {
    /// A merger for the writer with this `term`.
    pub(crate) fn new(term: Term, feed: Arc<Feed>, patience: Duration) -> Self {
        Self {
            term,
            feed,
            patience,
            closed: VecDeque::new(),
            allowed: Seq::default(),
            paged: Seq::default(),
            at: Seq(1),
            epoch: Epoch::default(),
            begin: Seq(1),
            changed: false,
            piece: Piece::default(),
        }
    }

    /// Notes which epochs are closed at `now`.
    pub(crate) fn tick(&mut self, now: Duration) {
        if let Some((_, seq)) = self.feed.horizon().closed
            && self.closed.back().map_or(self.allowed, |(last, _)| *last) < seq
        {
            self.closed.push_back((seq, now));
        }
        while let Some((seq, _)) = self.closed.pop_front_if(|(_, at)| now >= *at + self.patience) {
            self.allowed = seq;
        }
    }

    /// Notes that jobs up to `seq` were read for apply.
    pub(crate) fn paged(&mut self, seq: Seq) {
        self.paged = self.paged.max(seq);
    }

    /// Whether there is something to look at.
    pub(crate) fn is_busy(&self) -> bool {
        self.at <= self.allowed
    }

    /// Looks at some places, and merges once at most. Returns how many jobs have become one, 0 if
    /// none have.
    pub(crate) fn step(&mut self, backlog: &mut dyn Backlog) -> Result<usize, JournalFault> {
        let page = backlog.page(self.at, MERGE_PAGE_JOBS)?;
        if page.base > self.at {
            // trimmed meanwhile
            (self.at, self.begin) = (page.base, page.base);
            self.piece = Piece::default();
        }
        if page.jobs.is_empty() {
            self.at = self.allowed.next();
        }
        let given = self.feed.reach.given();
        for bytes in &page.jobs {
            if self.at > self.allowed {
                break;
            }
            if bytes != job::BLANK {
                let side = self.side(self.at, given);
                // a tombstone stays where it is
                let aside = job::header(bytes).is_ok_and(|header| header.tombstone);
                let job = job::decode(bytes).ok();
                let job = job.filter(|job| job.flight.seq == self.at && !aside);
                let epoch = job.as_ref().map_or(self.epoch, |job| job.flight.epoch);
                if !self.takes(job.as_ref(), bytes.len(), side, given)
                    && !self.piece.jobs.is_empty()
                {
                    // this place is looked at again
                    return self.merge(side_of(&self.piece, given), backlog);
                }
                if epoch != self.epoch && self.again() {
                    return Ok(0);
                }
                if epoch != self.epoch {
                    (self.epoch, self.begin) = (epoch, self.at);
                }
                if let Some(job) = job.filter(|_| side != Side::Paged) {
                    self.piece.bytes += bytes.len();
                    self.piece.jobs.push(job);
                }
            }
            self.at = self.at.next();
        }
        if self.at <= self.allowed {
            return Ok(0);
        }
        let merged = self.merge(side_of(&self.piece, given), backlog)?;
        self.again();
        Ok(merged)
    }

    /// Goes back to the epoch's begin, if something was merged since it was left.
    fn again(&mut self) -> bool {
        let again = std::mem::take(&mut self.changed);
        if again {
            self.at = self.begin;
        }
        again
    }

    fn side(&self, seq: Seq, given: Seq) -> Side {
        if seq <= given {
            Side::Given
        } else if seq <= self.paged {
            Side::Paged
        } else {
            Side::Ahead
        }
    }

    /// Whether the piece can have one more job.
    fn takes(&self, job: Option<&Job>, bytes: usize, side: Side, given: Seq) -> bool {
        let Some(job) = job.filter(|_| side != Side::Paged) else { return false };
        let Piece { jobs, bytes: before } = &self.piece;
        let Some(last) = jobs.last() else { return true };
        jobs.len() < MERGE_JOBS
            && before + bytes <= MERGE_BYTES_MAX
            && merge::follows(job, &last.flight)
            && side_of(&self.piece, given) == side
    }

    /// Merges the piece, if that makes it a quarter smaller at least.
    fn merge(&mut self, side: Side, backlog: &mut dyn Backlog) -> Result<usize, JournalFault> {
        let Piece { jobs, bytes } = std::mem::take(&mut self.piece);
        let number = jobs.len();
        let mut places: Vec<_> = jobs.iter().map(|job| job.flight.seq).collect();
        let (Some(seq), Some(first)) = (places.pop(), places.first().copied()) else {
            return Ok(0);
        };
        let Some(job) = merge::merge(jobs).map(|job| job::encode(&job)) else { return Ok(0) };
        if job.len() / 3 > bytes / 4 {
            return Ok(0);
        }
        let reserved = || first > self.paged && self.feed.reach.reserve(first, seq);
        if side == Side::Ahead && !reserved() {
            return Ok(0);
        }
        let merge = Merge { term: self.term, blanked: places, seq, job: job.into() };
        failpoints::pass("merge_begin");
        let merged = backlog.merge(&merge);
        failpoints::pass("merge_done");
        // also if the answer is lost: then the epoch is gone through again
        self.changed |= !matches!(merged, Ok(false));
        let merged = merged?;
        Ok(if merged { number } else { 0 })
    }
}

/// Where the piece's flights are: all on the same side when the last came to it, and since then apply
/// may only have been given some that lay ahead, which is seen when they are reserved.
fn side_of(piece: &Piece, given: Seq) -> Side {
    match piece.jobs.last() {
        Some(job) if job.flight.seq <= given => Side::Given,
        _ => Side::Ahead,
    }
}

#[cfg(test)]
mod tests;
