//! The journal: the durable list of jobs not yet applied, and the fence in front of it.
//!
//! Two handles, so that neither waits for the other: [`Journal`] commits flights, [`Backlog`]
//! reads, trims and keeps the pending counts.

use bytes::Bytes;
use errsift_ops::{
    event::{EVENT_ID_BYTES, EventId},
    fingerprint::Fingerprint,
    id::{Epoch, Nonce, Seq, Term},
    job,
    timestamp::Timestamp,
};

pub use super::progress::{Foreign, NUMBER_MAX, Progress};
use super::{
    dead::{Aside, DeadJobs, Recovery, SetAside},
    errors::Claim,
    heal::Heal,
    holder::{Beat, Holder},
};

/// What stands in front of the journal: who may write, and how far it has come. Only taking the
/// shard, committing a flight and healing write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// The writer's generation.
    pub term: Term,
    /// The writer's random companion to it.
    pub nonce: Nonce,
    /// The last executed flight.
    pub seq: Seq,
    /// That flight's epoch.
    pub epoch: Epoch,
    /// Events in all flights ever executed: the ledger's left side.
    pub events: u64,
}

impl Fence {
    /// Whether `other` was written by the same writer.
    pub fn same_writer(&self, other: &Self) -> bool {
        self.term == other.term && self.nonce == other.nonce
    }

    /// Whether a journal `found` where this fence should stand has forgotten something. Terms only
    /// grow: a lower one is not a successor's but from before this writer's.
    pub fn went_back(&self, found: &Self) -> bool {
        found.term < self.term || (self.same_writer(found) && found.seq < self.seq)
    }
}

/// Permission to commit one flight: the fence was read, belongs to this writer, and any change to
/// it from now on makes the commit fail. It is used up by the commit it allows, and made only
/// from a fence that was read back.
#[derive(Debug, PartialEq, Eq)]
pub struct Armed(Fence);

impl Armed {
    /// Checks the fence that an adapter has just read and armed against the one it `expected`.
    pub fn verify(expected: &Fence, read: Fence) -> Result<Self, CommitFault> {
        if *expected == read { Ok(Self(read)) } else { Err(CommitFault::Moved { found: read }) }
    }

    /// The fence as it stands.
    pub fn fence(&self) -> &Fence {
        &self.0
    }
}

/// One guarded commit.
#[derive(Debug)]
pub struct Commit {
    /// The fence this writer has verified.
    pub armed: Armed,
    /// The fence after the commit.
    pub fence: Fence,
    /// The encoded job.
    pub job: Bytes,
}

/// How a commit ended.
pub type CommitResult = Result<Armed, CommitFault>;

/// Called exactly once, from any thread, when a commit has ended.
pub type CommitDone = Box<dyn FnOnce(CommitResult) + Send>;

/// Called exactly once, from any thread, with the fence as read after a reconnect.
pub type FenceDone = Box<dyn FnOnce(Result<Fence, JournalFault>) + Send>;

/// Why a commit did not end well, by what is certain.
#[derive(Debug, thiserror::Error)]
pub enum CommitFault {
    /// Certainly not executed. Armed again if the fence could be read back at once.
    #[error("the journal refused the flight: {reason}")]
    Refused {
        /// The store's words.
        reason: String,
        /// Permission for the next try; `None` if the connection is gone.
        armed: Option<Armed>,
    },
    /// Perhaps executed: the answer was lost.
    #[error("the journal's answer was lost: {reason}")]
    Unknown {
        /// What happened to the connection.
        reason: String,
    },
    /// Executed, but not yet as durable as asked; call [`Journal::confirm`].
    #[error("the flight is not yet durable: {reason}")]
    NotDurable {
        /// What is missing.
        reason: String,
        /// Permission for the next flight, once this one is durable.
        armed: Armed,
    },
    /// Half executed, which must not be possible: nobody may go on before a person has looked.
    #[error("the journal broke its own transaction: {reason}")]
    Broken {
        /// What it answered.
        reason: String,
    },
    /// Certainly not executed, because the fence is not the one expected.
    #[error("the fence moved: {found:?}")]
    Moved {
        /// What the fence says now.
        found: Fence,
    },
}

/// A store that could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be reached: {reason}")]
pub struct JournalFault {
    /// The store's or the network's words.
    pub reason: String,
}

impl JournalFault {
    /// A fault with these words.
    pub fn new(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string() }
    }
}

/// The writing end of one shard's journal.
pub trait Journal: Send + 'static {
    /// Takes the shard: sets `nonce`, a term one above the journal's and `at_least`'s, and the later
    /// of both epochs, and arms the connection.
    ///
    /// If the journal's seq is behind `at_least` (restored from an older copy) and all that it
    /// holds is applied in every part, its list is emptied and seq goes on from there. If some
    /// part may still need a job, list and seq stay as they are: what is applied is told by epoch.
    ///
    /// Blocks. An error leaves the shard as it was or taken; taking it again is always right.
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault>;

    /// Sends one guarded commit and returns at once; `done` hears how it ended. Never re-sends.
    ///
    /// One commit is out at a time.
    fn commit(&mut self, commit: Commit, done: CommitDone);

    /// Waits once more for the durability of what is executed already; `done` as for a commit.
    fn confirm(&mut self, armed: Armed, done: CommitDone);

    /// Reconnects if need be, arms the fence anew, reads it, and makes sure that what it says is
    /// durable at the configured level; returns at once, `done` hears.
    fn rearm(&mut self, done: FenceDone);

    /// Gives a journal that came back without its last flights these again, if the fence still is
    /// as it was found, and does what [`rearm`](Self::rearm) does; returns at once, `done` hears
    /// the fence as it then stands. Whoever hears nothing of it reads the fence: it stands where it
    /// stood, at the end of one of [`Heal::pieces`], or where it should. Doing it again is right.
    fn heal(&mut self, heal: Heal, done: FenceDone);
}

/// A shard that was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Acquired {
    /// Permission for the first flight; its fence holds the new term.
    pub armed: Armed,
    /// The fence before.
    pub before: Fence,
}

/// Jobs as they lie in the list, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Number of the list's first job: where it has been trimmed to.
    pub base: Seq,
    /// Encoded jobs from the number asked for (or `base`, if that is later) on.
    pub jobs: Vec<Bytes>,
}

/// The reading end of one shard's journal, and its pending counts. All methods block.
pub trait Backlog: Send + 'static {
    /// Up to `jobs_max` jobs from number `from` on, and no more than one beyond
    /// [`PAGE_BYTES_MAX`](crate::settings::PAGE_BYTES_MAX); none at the list's end only.
    fn page(&mut self, from: Seq, jobs_max: usize) -> Result<Page, JournalFault>;

    /// Drops the jobs up to and including `upto` and the pending counts of `epochs`, together.
    /// Dropping what is gone already does nothing.
    fn trim(&mut self, upto: Seq, epochs: &[Epoch]) -> Result<(), JournalFault> {
        self.trim_keeping(upto, epochs, &[], Timestamp::default())
    }

    /// Adds `counts` to the pending counts of `epoch`, if `term` still holds the shard.
    fn add_pending(
        &mut self,
        term: Term,
        epoch: Epoch,
        counts: &[(Fingerprint, u64)],
    ) -> Result<(), JournalFault>;

    /// Forgets the pending counts of `epochs`, before they are counted anew from the jobs.
    fn reset_pending(&mut self, epochs: &[Epoch]) -> Result<(), JournalFault>;

    /// One fingerprint's pending count in each of `epochs`, 0 where there is none.
    fn pending(
        &mut self,
        fingerprint: &Fingerprint,
        epochs: &[Epoch],
    ) -> Result<Vec<u64>, JournalFault>;

    /// [`pending`](Self::pending) of each of `fingerprints`, in their order.
    fn pending_all(
        &mut self,
        fingerprints: &[Fingerprint],
        epochs: &[Epoch],
    ) -> Result<Vec<Vec<u64>>, JournalFault> {
        fingerprints.iter().map(|fingerprint| self.pending(fingerprint, epochs)).collect()
    }

    /// The fence, as it stands.
    fn fence(&mut self) -> Result<Fence, JournalFault>;

    /// Jobs in the list and bytes in them.
    fn size(&mut self) -> Result<JournalSize, JournalFault>;

    /// Puts a tombstone in the place of a job and the job among the dead, together, if `claim`
    /// still holds the shard and the job still lies there. Asked again after a lost answer, it
    /// finds the tombstone and changes nothing.
    fn set_aside(&mut self, claim: &Claim, aside: &Aside) -> Result<SetAside, JournalFault>;

    /// The dead jobs together.
    fn dead(&mut self) -> Result<DeadJobs, JournalFault>;

    /// Up to `jobs_max` dead jobs as they were written ([`DeadJob::encode`]), oldest first,
    /// leaving out the first `skipped`.
    ///
    /// [`DeadJob::encode`]: super::dead::DeadJob::encode
    fn dead_jobs(&mut self, skipped: u64, jobs_max: usize) -> Result<Vec<Bytes>, JournalFault>;

    /// Says how many events the jobs set aside up to `counted` hold, all together, if `claim`
    /// still holds the shard.
    fn count_dead(
        &mut self,
        claim: &Claim,
        counted: Seq,
        events: u64,
    ) -> Result<bool, JournalFault>;

    /// Forgets a dead job, given as it was written; of the events, those `redriven` are counted by
    /// now. Returns whether it was there; if not, nothing changes.
    fn drop_dead(&mut self, dead: &Bytes, redriven: u64) -> Result<bool, JournalFault>;

    /// How starts have gone, as last noted.
    fn recovery(&mut self) -> Result<Recovery, JournalFault>;

    /// Notes how starts have gone, if `claim` still holds the shard; returns whether it does. What
    /// was noted outlives the process.
    fn note_recovery(&mut self, claim: &Claim, recovery: &Recovery) -> Result<bool, JournalFault>;

    /// In which settings the store keeps less than was asked for, for people; `None` if in none, or
    /// if that was allowed. Asked every few seconds.
    fn weaker(&mut self) -> Result<Option<String>, JournalFault> {
        Ok(None)
    }

    /// As [`trim`](Self::trim), and at the same instant keeps those of `ids` whose last flight the
    /// list still held, and forgets what it keeps of events received before `since`. Ids come, and
    /// are kept, in the order of their flights.
    fn trim_keeping(
        &mut self,
        upto: Seq,
        epochs: &[Epoch],
        ids: &[JobIds],
        since: Timestamp,
    ) -> Result<(), JournalFault>;

    /// The ids that trims have kept, oldest first.
    fn kept_ids(&mut self) -> Result<Vec<JobIds>, JournalFault>;

    /// Puts one job in the place of several, in one step, if `merge.term` still holds the shard and
    /// all of them are in the list; says whether it did.
    fn merge(&mut self, merge: &Merge) -> Result<bool, JournalFault>;

    /// Renews the holder's mark for [`MARK_MAX`](super::holder::MARK_MAX) if the fence still has
    /// `holder`'s term and nonce, both at one instant.
    fn beat(&mut self, holder: &Holder) -> Result<Beat, JournalFault>;

    /// The holder's mark, unless there is none or it has run out.
    fn holder(&mut self) -> Result<Option<Holder>, JournalFault>;

    /// Takes the mark away if it is `holder`'s.
    fn release(&mut self, holder: &Holder) -> Result<(), JournalFault>;
}

/// Ids of the events in some jobs that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobIds {
    /// The last of the jobs.
    pub seq: Seq,
    /// When the server received the last of the events.
    pub received: Timestamp,
    /// Their ids.
    pub ids: Vec<EventId>,
}

impl JobIds {
    /// As a store keeps them: `seq` (8 bytes, little-endian), `received` in ms since 1970 (the
    /// same), and 16 bytes for each id.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.ids.len() * EVENT_ID_BYTES);
        bytes.extend(self.seq.0.to_le_bytes());
        bytes.extend(self.received.millis().to_le_bytes());
        bytes.extend(self.ids.iter().flat_map(|id| id.to_bytes()));
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) has written; `None` if it has not written that.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (seq, rest) = bytes.split_first_chunk()?;
        let (received, rest) = rest.split_first_chunk()?;
        let (ids, []) = rest.as_chunks::<EVENT_ID_BYTES>() else { return None };
        Some(Self {
            seq: Seq(u64::from_le_bytes(*seq)),
            received: Timestamp::from_millis(i64::from_le_bytes(*received)),
            ids: ids.iter().map(|id| EventId::from_bytes(*id)).collect(),
        })
    }
}

/// One job in the place of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// Who merges.
    pub term: Term,
    /// The flights whose places are left with a [`job::BLANK`], ascending.
    pub blanked: Vec<Seq>,
    /// The flight whose place `job` takes, after all of them.
    pub seq: Seq,
    /// The encoded job that stands for them.
    pub job: Bytes,
}

impl Merge {
    /// Whether all of its flights are among those from `base` on up to `last`.
    pub fn is_within(&self, base: Seq, last: Seq) -> bool {
        self.blanked.first().is_some_and(|first| *first >= base) && self.seq <= last
    }

    /// What lies in a blanked flight's place.
    pub fn blank() -> Bytes {
        Bytes::from_static(job::BLANK)
    }
}

/// What lies in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalSize {
    /// Jobs.
    pub jobs: u64,
    /// Bytes the store gives for them, roughly.
    pub bytes: u64,
}
