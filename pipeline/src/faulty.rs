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
    timestamp::Timestamp,
};

use crate::ports::{
    dead::{Aside, DeadJobs, Recovery, SetAside},
    errors::{
        Applied, Claim, DeadLetters, DetailsRow, ErrorRow, Errors, ErrorsFault, ErrorsReader,
        ErrorsWriter, Guards, Range, Settled,
    },
    heal::Heal,
    holder::{Beat, Holder},
    journal::{
        Acquired, Armed, Backlog, Commit, CommitDone, CommitFault, CommitResult, Fence, FenceDone,
        JobIds, Journal, JournalFault, JournalSize, Merge, Page, Progress,
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
    /// It happened and the caller knows, but it is not durable yet. Only of commits.
    NotDurable,
}

impl Faults {
    /// Faults from this seed.
    pub fn new(seed: u64, per_thousand: u64) -> Self {
        Self { state: Arc::new(AtomicU64::new(seed)), per_thousand }
    }

    fn next(&self) -> Option<How> {
        const ANY: [How; 3] = [How::Refused, How::LostRequest, How::LostAnswer];
        self.choose(&ANY)
    }

    /// How a commit, or the wait for its durability, fails.
    fn next_commit(&self) -> Option<How> {
        const ANY: [How; 4] = [How::Refused, How::LostRequest, How::LostAnswer, How::NotDurable];
        self.choose(&ANY)
    }

    fn choose(&self, any: &[How]) -> Option<How> {
        // splitmix64 (Steele, Lea, Flood 2014) on a counter shared by all handles
        let state = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        if mixed % 1000 >= self.per_thousand {
            return None;
        }
        let index = usize::try_from(mixed >> 32).unwrap_or_default() % any.len();
        any.get(index).copied()
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
        match self.faults.next_commit() {
            None => self.store.commit(commit, done),
            Some(How::Refused) => done(Err(CommitFault::Refused {
                reason: "fault on purpose".to_owned(),
                armed: commit.fence.seq.0.is_multiple_of(2).then_some(commit.armed),
            })),
            Some(How::LostRequest) => done(Err(lost())),
            Some(How::LostAnswer) => {
                self.store.commit(commit, Box::new(move |_| done(Err(lost()))));
            }
            Some(How::NotDurable) => {
                let done = move |result: CommitResult| done(result.and_then(not_durable));
                self.store.commit(commit, Box::new(done));
            }
        }
    }

    fn confirm(&mut self, armed: Armed, done: CommitDone) {
        match self.faults.next_commit() {
            None => self.store.confirm(armed, done),
            Some(How::Refused | How::NotDurable) => done(not_durable(armed)),
            Some(How::LostRequest | How::LostAnswer) => done(Err(lost())),
        }
    }

    fn rearm(&mut self, done: FenceDone) {
        match self.faults.journal() {
            Ok(()) => self.store.rearm(done),
            Err(fault) => done(Err(fault)),
        }
    }

    fn heal(&mut self, heal: Heal, done: FenceDone) {
        let lost = || Err(JournalFault::new("fault on purpose"));
        match self.faults.next() {
            None => self.store.heal(heal, done),
            Some(How::LostAnswer) => self.store.heal(heal, Box::new(move |_| done(lost()))),
            Some(_) => done(lost()),
        }
    }
}

fn lost() -> CommitFault {
    CommitFault::Unknown { reason: "fault on purpose".to_owned() }
}

fn not_durable(armed: Armed) -> CommitResult {
    Err(CommitFault::NotDurable { reason: "fault on purpose".to_owned(), armed })
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
            Some(_) => Err(JournalFault::new("fault on purpose")),
        }
    }
}

impl<B: Backlog> Backlog for Faulty<B> {
    fn page(&mut self, from: Seq, jobs_max: usize) -> Result<Page, JournalFault> {
        self.faults.journal()?;
        self.store.page(from, jobs_max)
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

    fn weaker(&mut self) -> Result<Option<String>, JournalFault> {
        self.faults.journal()?;
        self.store.weaker()
    }

    fn trim_keeping(
        &mut self,
        upto: Seq,
        epochs: &[Epoch],
        ids: &[JobIds],
        since: Timestamp,
    ) -> Result<(), JournalFault> {
        match self.faults.next() {
            None => self.store.trim_keeping(upto, epochs, ids, since),
            Some(How::LostAnswer) => {
                self.store.trim_keeping(upto, epochs, ids, since)?;
                Err(JournalFault::new("fault on purpose"))
            }
            Some(_) => Err(JournalFault::new("fault on purpose")),
        }
    }

    fn kept_ids(&mut self) -> Result<Vec<JobIds>, JournalFault> {
        self.faults.journal()?;
        self.store.kept_ids()
    }

    fn merge(&mut self, merge: &Merge) -> Result<bool, JournalFault> {
        match self.faults.next() {
            None => self.store.merge(merge),
            Some(how) => {
                if how == How::LostAnswer {
                    self.store.merge(merge)?;
                }
                Err(JournalFault::new("fault on purpose"))
            }
        }
    }

    fn beat(&mut self, holder: &Holder) -> Result<Beat, JournalFault> {
        self.faults.journal()?;
        self.store.beat(holder)
    }

    fn holder(&mut self) -> Result<Option<Holder>, JournalFault> {
        self.faults.journal()?;
        self.store.holder()
    }

    fn release(&mut self, holder: &Holder) -> Result<(), JournalFault> {
        self.faults.journal()?;
        self.store.release(holder)
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
        How::LostRequest | How::LostAnswer | How::NotDurable => {
            ErrorsFault::Unknown("fault on purpose".to_owned())
        }
    }
}

impl ErrorsWriter for Faulty<Box<dyn ErrorsWriter>> {
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault> {
        match self.faults.next() {
            None => self.store.take_guards(claim),
            Some(how) => Err(errors_fault(how)),
        }
    }

    fn insert_details(
        &mut self,
        shard: Shard,
        rows: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault> {
        match self.faults.next() {
            None => self.store.insert_details(shard, rows),
            Some(how) => {
                if how == How::LostAnswer {
                    self.store.insert_details(shard, rows)?;
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

    fn settled(&mut self, shard: Shard) -> Result<Settled, ErrorsFault> {
        match self.faults.next() {
            None => self.store.settled(shard),
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
