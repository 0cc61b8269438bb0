//! Stores that fail by a seed: what was asked did or did not happen, and the caller hears so or
//! not.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Nonce, Seq, Shard, Term},
};

use crate::ports::{
    dead::{Aside, DeadJobs, Recovery, SetAside},
    errors::{
        Applied, Claim, DeadLetters, DetailsRow, ErrorRow, Errors, ErrorsFault, ErrorsReader,
        ErrorsWriter, Guards, Range,
    },
    journal::{
        Acquired, Armed, Backlog, Commit, CommitDone, CommitFault, Fence, FenceDone, Journal,
        JournalFault, JournalSize, Page, Progress,
    },
};

/// Chooses faults: about `per_thousand` of the calls fail, in an order that the seed fixes.
#[derive(Clone, Debug)]
pub struct Faults {
    state: Arc<AtomicU64>,
    per_thousand: u64,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It did not happen, and the caller is told so.
    Refused,
    /// It did not happen, and the caller does not know.
    LostRequest,
    /// It happened, and the caller does not know.
    LostAnswer,
}

impl Faults {
    /// Faults from this seed.
    pub fn new(seed: u64, per_thousand: u64) -> Self {
        Self { state: Arc::new(AtomicU64::new(seed)), per_thousand }
    }

    fn next(&self) -> Option<How> {
        // splitmix64 (Steele, Lea, Flood 2014) on a counter shared by all handles
        let state = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        if mixed % 1000 >= self.per_thousand {
            return None;
        }
        Some(match (mixed >> 32) % 3 {
            0 => How::Refused,
            1 => How::LostRequest,
            _ => How::LostAnswer,
        })
    }

    fn journal(&self) -> Result<(), JournalFault> {
        match self.next() {
            Some(how) => Err(JournalFault::new(format!("fault on purpose: {how:?}"))),
            None => Ok(()),
        }
    }
}

/// A store behind faults.
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    store: S,
    faults: Faults,
}

impl<S> Faulty<S> {
    /// Puts `faults` in front of `store`.
    pub fn new(store: S, faults: Faults) -> Self {
        Self { store, faults }
    }
}

impl<J: Journal> Journal for Faulty<J> {
    /// Never fails: a process that cannot take its shard does not start.
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        self.store.acquire(nonce, at_least)
    }

    fn commit(&mut self, commit: Commit, done: CommitDone) {
        let lost = || CommitFault::Unknown { reason: "fault on purpose".to_owned() };
        match self.faults.next() {
            None => self.store.commit(commit, done),
            Some(How::Refused) => done(Err(CommitFault::Refused {
                reason: "fault on purpose".to_owned(),
                armed: commit.fence.seq.0.is_multiple_of(2).then_some(commit.armed),
            })),
            Some(How::LostRequest) => done(Err(lost())),
            Some(How::LostAnswer) => {
                self.store.commit(commit, Box::new(move |_| done(Err(lost()))));
            }
        }
    }

    fn confirm(&mut self, armed: Armed, done: CommitDone) {
        self.store.confirm(armed, done);
    }

    fn rearm(&mut self, done: FenceDone) {
        match self.faults.journal() {
            Ok(()) => self.store.rearm(done),
            Err(fault) => done(Err(fault)),
        }
    }
}

impl<B> Faulty<B> {
    /// A change of the journal that happens or not, and is told or not.
    fn perhaps<T>(
        &mut self,
        change: impl FnOnce(&mut B) -> Result<T, JournalFault>,
    ) -> Result<T, JournalFault> {
        match self.faults.next() {
            None => change(&mut self.store),
            Some(How::LostAnswer) => {
                change(&mut self.store)?;
                Err(JournalFault::new("fault on purpose"))
            }
            Some(How::Refused | How::LostRequest) => Err(JournalFault::new("fault on purpose")),
        }
    }
}

impl<B: Backlog> Backlog for Faulty<B> {
    fn page(&mut self, from: Seq, jobs_max: usize) -> Result<Page, JournalFault> {
        self.faults.journal()?;
        self.store.page(from, jobs_max)
    }

    fn trim(&mut self, upto: Seq, epochs: &[Epoch]) -> Result<(), JournalFault> {
        match self.faults.next() {
            None => self.store.trim(upto, epochs),
            Some(How::LostAnswer) => {
                self.store.trim(upto, epochs)?;
                Err(JournalFault::new("fault on purpose"))
            }
            Some(How::Refused | How::LostRequest) => Err(JournalFault::new("fault on purpose")),
        }
    }

    fn add_pending(
        &mut self,
        term: Term,
        epoch: Epoch,
        counts: &[(Fingerprint, u64)],
    ) -> Result<(), JournalFault> {
        self.faults.journal()?;
        self.store.add_pending(term, epoch, counts)
    }

    fn reset_pending(&mut self, epochs: &[Epoch]) -> Result<(), JournalFault> {
        self.faults.journal()?;
        self.store.reset_pending(epochs)
    }

    fn pending(
        &mut self,
        fingerprint: &Fingerprint,
        epochs: &[Epoch],
    ) -> Result<Vec<u64>, JournalFault> {
        self.faults.journal()?;
        self.store.pending(fingerprint, epochs)
    }

    fn fence(&mut self) -> Result<Fence, JournalFault> {
        self.faults.journal()?;
        self.store.fence()
    }

    fn size(&mut self) -> Result<JournalSize, JournalFault> {
        self.faults.journal()?;
        self.store.size()
    }

    fn set_aside(&mut self, claim: &Claim, aside: &Aside) -> Result<SetAside, JournalFault> {
        self.perhaps(|store| store.set_aside(claim, aside))
    }

    fn dead(&mut self) -> Result<DeadJobs, JournalFault> {
        self.faults.journal()?;
        self.store.dead()
    }

    fn dead_jobs(&mut self, skipped: u64, jobs_max: usize) -> Result<Vec<Bytes>, JournalFault> {
        self.faults.journal()?;
        self.store.dead_jobs(skipped, jobs_max)
    }

    fn count_dead(
        &mut self,
        claim: &Claim,
        counted: Seq,
        events: u64,
    ) -> Result<bool, JournalFault> {
        self.perhaps(|store| store.count_dead(claim, counted, events))
    }

    fn drop_dead(&mut self, dead: &Bytes, redriven: u64) -> Result<bool, JournalFault> {
        self.perhaps(|store| store.drop_dead(dead, redriven))
    }

    /// Never fails: a process that cannot read it does not start.
    fn recovery(&mut self) -> Result<Recovery, JournalFault> {
        self.store.recovery()
    }

    fn note_recovery(&mut self, claim: &Claim, recovery: &Recovery) -> Result<bool, JournalFault> {
        self.perhaps(|store| store.note_recovery(claim, recovery))
    }
}

impl<E: Errors> Errors for Faulty<E> {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(Faulty::new(self.store.writer(), self.faults.clone()))
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        Box::new(Faulty::new(self.store.reader(), self.faults.clone()))
    }
}

fn errors_fault(how: How) -> ErrorsFault {
    match how {
        How::Refused => ErrorsFault::Transient("fault on purpose".to_owned()),
        How::LostRequest | How::LostAnswer => ErrorsFault::Unknown("fault on purpose".to_owned()),
    }
}

impl ErrorsWriter for Faulty<Box<dyn ErrorsWriter>> {
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault> {
        match self.faults.next() {
            None => self.store.take_guards(claim),
            Some(how) => Err(errors_fault(how)),
        }
    }

    fn insert_details(&mut self, rows: &[DetailsRow]) -> Result<(), ErrorsFault> {
        match self.faults.next() {
            None => self.store.insert_details(rows),
            Some(how) => {
                if how == How::LostAnswer {
                    self.store.insert_details(rows)?;
                }
                Err(errors_fault(how))
            }
        }
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        match self.faults.next() {
            None => self.store.apply(claim, range),
            Some(how) => {
                if how == How::LostAnswer {
                    self.store.apply(claim, range)?;
                }
                Err(errors_fault(how))
            }
        }
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        match self.faults.next() {
            None => self.store.guards(shard),
            Some(how) => Err(errors_fault(how)),
        }
    }

    fn dead_letters(&mut self, shard: Shard) -> Result<DeadLetters, ErrorsFault> {
        match self.faults.next() {
            None => self.store.dead_letters(shard),
            Some(how) => Err(errors_fault(how)),
        }
    }
}

impl ErrorsReader for Faulty<Box<dyn ErrorsReader>> {
    fn read(&mut self, shard: Shard, fingerprint: &Fingerprint) -> Result<ErrorRow, ErrorsFault> {
        match self.faults.next() {
            None => self.store.read(shard, fingerprint),
            Some(how) => Err(errors_fault(how)),
        }
    }
}
