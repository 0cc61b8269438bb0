//! Both ends of the journal, timed.

use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Nonce, Seq, Term},
    timestamp::Timestamp,
};
use errsift_pipeline::ports::{
    heal::Heal,
    holder::{Beat, Holder},
    journal::{
        Acquired, Armed, Backlog, Commit, CommitDone, CommitFault, CommitResult, Fence, FenceDone,
        JobIds, Journal, JournalFault, JournalSize, Merge, Page, Progress,
    },
};

use super::{Ended, Meter};
use crate::metrics::stores::Status;

/// Every operation's name.
pub const OPERATIONS: &[&str] = &[
    "acquire",
    "commit",
    "confirm",
    "rearm",
    "page",
    "trim",
    "add_pending",
    "reset_pending",
    "pending",
    "pending_all",
    "fence",
    "size",
    "heal",
    "weaker",
    "kept_ids",
    "merge",
    "beat",
    "holder",
    "release",
];

impl Ended for CommitResult {
    fn status(&self) -> Status {
        match self {
            Ok(_) => Status::Ok,
            Err(CommitFault::Refused { .. } | CommitFault::Moved { .. }) => Status::Refused,
            Err(CommitFault::Unknown { .. } | CommitFault::Broken { .. }) => Status::Unknown,
            Err(CommitFault::NotDurable { .. }) => Status::Transient,
        }
    }
}

/// The writing end.
pub struct MeteredJournal {
    journal: Box<dyn Journal>,
    meter: Meter,
}

impl MeteredJournal {
    pub fn new(journal: Box<dyn Journal>, meter: Meter) -> Self {
        Self { journal, meter }
    }

    /// Passes the report on first: people wait for it.
    fn timed(&self, operation: &'static str, done: CommitDone) -> CommitDone {
        let meter = self.meter.clone();
        let begun = meter.clock.monotonic();
        Box::new(move |result| {
            let status = result.status();
            let took = meter.clock.monotonic().saturating_sub(begun);
            done(result);
            meter.operations.observe(operation, status, took);
        })
    }
}

impl Journal for MeteredJournal {
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        self.meter.timed("acquire", || self.journal.acquire(nonce, at_least))
    }

    fn commit(&mut self, commit: Commit, done: CommitDone) {
        let done = self.timed("commit", done);
        self.journal.commit(commit, done);
    }

    fn confirm(&mut self, armed: Armed, done: CommitDone) {
        let done = self.timed("confirm", done);
        self.journal.confirm(armed, done);
    }

    fn rearm(&mut self, done: FenceDone) {
        let meter = self.meter.clone();
        let begun = meter.clock.monotonic();
        self.journal.rearm(Box::new(move |read| {
            meter.observe("rearm", read.status(), begun);
            done(read);
        }));
    }

    fn heal(&mut self, heal: Heal, done: FenceDone) {
        let meter = self.meter.clone();
        let begun = meter.clock.monotonic();
        self.journal.heal(
            heal,
            Box::new(move |read| {
                meter.observe("heal", read.status(), begun);
                done(read);
            }),
        );
    }
}

/// The reading end.
pub struct MeteredBacklog {
    backlog: Box<dyn Backlog>,
    meter: Meter,
}

impl MeteredBacklog {
    pub fn new(backlog: Box<dyn Backlog>, meter: Meter) -> Self {
        Self { backlog, meter }
    }
}

impl Backlog for MeteredBacklog {
    fn page(&mut self, from: Seq, jobs_max: usize) -> Result<Page, JournalFault> {
        self.meter.timed("page", || self.backlog.page(from, jobs_max))
    }

    fn add_pending(
        &mut self,
        term: Term,
        epoch: Epoch,
        counts: &[(Fingerprint, u64)],
    ) -> Result<(), JournalFault> {
        self.meter.timed("add_pending", || self.backlog.add_pending(term, epoch, counts))
    }

    fn reset_pending(&mut self, epochs: &[Epoch]) -> Result<(), JournalFault> {
        self.meter.timed("reset_pending", || self.backlog.reset_pending(epochs))
    }

    fn pending(
        &mut self,
        fingerprint: &Fingerprint,
        epochs: &[Epoch],
    ) -> Result<Vec<u64>, JournalFault> {
        self.meter.timed("pending", || self.backlog.pending(fingerprint, epochs))
    }

    fn pending_all(
        &mut self,
        fingerprints: &[Fingerprint],
        epochs: &[Epoch],
    ) -> Result<Vec<Vec<u64>>, JournalFault> {
        self.meter.timed("pending_all", || self.backlog.pending_all(fingerprints, epochs))
    }

    fn fence(&mut self) -> Result<Fence, JournalFault> {
        self.meter.timed("fence", || self.backlog.fence())
    }

    fn size(&mut self) -> Result<JournalSize, JournalFault> {
        self.meter.timed("size", || self.backlog.size())
    }

    fn weaker(&mut self) -> Result<Option<String>, JournalFault> {
        self.meter.timed("weaker", || self.backlog.weaker())
    }

    fn trim_keeping(
        &mut self,
        upto: Seq,
        epochs: &[Epoch],
        ids: &[JobIds],
        since: Timestamp,
    ) -> Result<(), JournalFault> {
        let trim = || self.backlog.trim_keeping(upto, epochs, ids, since);
        self.meter.timed("trim", trim)
    }

    fn kept_ids(&mut self) -> Result<Vec<JobIds>, JournalFault> {
        self.meter.timed("kept_ids", || self.backlog.kept_ids())
    }

    fn merge(&mut self, merge: &Merge) -> Result<bool, JournalFault> {
        self.meter.timed("merge", || self.backlog.merge(merge))
    }

    fn beat(&mut self, holder: &Holder) -> Result<Beat, JournalFault> {
        self.meter.timed("beat", || self.backlog.beat(holder))
    }

    fn holder(&mut self) -> Result<Option<Holder>, JournalFault> {
        self.meter.timed("holder", || self.backlog.holder())
    }

    fn release(&mut self, holder: &Holder) -> Result<(), JournalFault> {
        self.meter.timed("release", || self.backlog.release(holder))
    }
}
