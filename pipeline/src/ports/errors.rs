//! The tables of errors: details, counts and windows, behind guard rows that make each part's
//! epochs apply once and in order.

use std::sync::Arc;

use errsift_ops::{
    fingerprint::{Fingerprint, RuleVersion},
    flight::Details,
    id::{Epoch, Nonce, Part, Seq, Shard, Term},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};

use super::words::Words;

/// Who applies: the writer that holds the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The shard.
    pub shard: Shard,
    /// The writer's term.
    pub term: Term,
    /// The writer's nonce.
    pub nonce: Nonce,
}

/// One part's guard row: how far it has been applied, and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// The writer's term.
    pub term: Term,
    /// The writer's nonce.
    pub nonce: Nonce,
    /// The last applied epoch; 0 if none was.
    pub epoch: Epoch,
    /// The last flight of that epoch.
    pub seq: Seq,
    /// Events ever applied to this part: the ledger's right side.
    pub events: u64,
    /// Events of this part that were set aside and then dropped for good.
    pub dropped: u64,
}

/// All guard rows of a shard, by part.
pub type Guards = [Guard; Part::COUNT];

/// One row of window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountRow {
    /// Which error.
    pub fingerprint: Fingerprint,
    /// Which window.
    pub window: Window,
    /// What to add.
    pub tally: Tally,
}

/// One part's step from epoch `after` to the range's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartStep {
    /// The part.
    pub part: Part,
    /// Events added to it; 0 for a part that only moves on.
    pub events: u64,
}

/// What one transaction applies: some parts, all standing at the same epoch.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// Where every part's guard must stand.
    pub after: Epoch,
    /// Where it stands afterwards.
    pub upto: Epoch,
    /// The last flight of `upto`.
    pub seq: Seq,
    /// The parts, in order.
    pub parts: &'a [PartStep],
    /// Their rows, sorted by fingerprint and window, none twice.
    pub rows: &'a [CountRow],
    /// What must be stored before it is committed.
    pub words: Words<'a>,
}

/// How a transaction ended, when the store answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Committed.
    Done(Added),
    /// Rolled back: a guard row is not where the range says, or another writer's.
    /// Read the guards to see which.
    GuardMoved,
    /// Rolled back: the words were not stored in time.
    WordsLate,
}

impl Applied {
    /// Whether it is committed and nothing of it was set aside.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Done(added) if added.is_whole())
    }
}

/// What a transaction has added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Errors of which nothing was counted before.
    pub new_errors: u64,
    /// The rows of some fingerprints that the tables refuse as data: these are dead letters since the
    /// same transaction, and the guard rows' events are without them.
    pub dead: DeadLetters,
}

impl Added {
    /// Whether nothing was set aside.
    pub fn is_whole(&self) -> bool {
        self.dead == DeadLetters::default()
    }
}

/// An error's words, to be stored unless they are.
pub type DetailsRow = (Fingerprint, Arc<Details>);

/// Why the tables could not be written or read, by what is certain.
#[derive(Debug, thiserror::Error)]
pub enum ErrorsFault {
    /// Certainly not applied, and worth trying again: no connection, deadlock, lock wait.
    #[error("the tables cannot be written now: {0}")]
    Transient(String),
    /// Perhaps applied: the answer to COMMIT was lost. Read the guards.
    #[error("the tables' answer was lost: {0}")]
    Unknown(String),
    /// Certainly not applied, and trying again does not help until a person has acted:
    /// schema, privileges, a refused value.
    #[error("the tables refuse: {0}")]
    Denied(String),
}

/// A store of errors.
pub trait Errors: Send + Sync + 'static {
    /// A writing handle with a connection of its own, made when first used.
    fn writer(&self) -> Box<dyn ErrorsWriter>;

    /// A reading handle with a connection of its own, made when first used.
    fn reader(&self) -> Box<dyn ErrorsReader>;
}

/// What was set aside because the tables refuse it as data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// Rows; words that were refused are a row without events.
    pub rows: u64,
    /// Events in them.
    pub events: u64,
}

impl DeadLetters {
    /// Adds `more`.
    pub fn add(&mut self, more: Self) {
        self.rows += more.rows;
        self.events += more.events;
    }
}

/// What became of a shard's events in the tables, at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The guard rows: events that are counted, and those that were dropped.
    pub guards: Guards,
    /// What was set aside and not dropped yet.
    pub dead: DeadLetters,
}

impl Default for Settled {
    fn default() -> Self {
        Self { guards: [Guard::default(); Part::COUNT], dead: DeadLetters::default() }
    }
}

impl Settled {
    /// Events counted.
    pub fn counted(&self) -> u64 {
        self.guards.iter().map(|guard| guard.events).sum()
    }

    /// Events dropped for good.
    pub fn dropped(&self) -> u64 {
        self.guards.iter().map(|guard| guard.dropped).sum()
    }

    /// Events that are no longer pending, whatever became of them: the ledger's right side.
    pub fn events(&self) -> u64 {
        self.counted() + self.dead.events + self.dropped()
    }
}

/// Writes errors; one thread holds it. All methods block.
pub trait ErrorsWriter: Send {
    /// Makes the guard rows where they are missing, takes those of older terms for `claim`, and
    /// returns them as they then stand. A row that belongs to a newer writer is left alone.
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault>;

    /// Stores each error's words unless they are stored; the first to come stays. Words that the
    /// tables refuse as data become dead letters of `shard` without events, and are returned.
    fn insert_details(
        &mut self,
        shard: Shard,
        rows: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault>;

    /// Moves the guards and adds the rows in one transaction. If the tables refuse some of them as
    /// data, all rows of their fingerprints are set aside in that transaction, and no others. Commits
    /// when the range's words are stored: a store that can write both at once waits when the rows are
    /// written, any other before it begins.
    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault>;

    /// The guard rows as they stand; those that are missing are zero.
    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault>;

    /// The guard rows and what was set aside, read at one instant.
    fn settled(&mut self, shard: Shard) -> Result<Settled, ErrorsFault>;
}

/// One error as the view `errors` shows it, with the guard that its count was read under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorRow {
    /// Its words and the rule that fingerprinted them; `None` if only its count is stored yet.
    pub details: Option<(RuleVersion, errsift_ops::event::Payload)>,
    /// Events applied.
    pub count: u64,
    /// Earliest event; `None` while nothing is applied.
    pub first_seen: Option<Timestamp>,
    /// Latest event; `None` while nothing is applied.
    pub last_seen: Option<Timestamp>,
    /// The epoch that the count is good for: pending counts of later ones come on top.
    pub epoch: Epoch,
}

/// Reads errors. All methods block.
pub trait ErrorsReader: Send {
    /// One error, its count and its part's guard read at one instant. An error that is not stored
    /// comes back without details and with count 0.
    fn read(&mut self, shard: Shard, fingerprint: &Fingerprint) -> Result<ErrorRow, ErrorsFault>;
}
