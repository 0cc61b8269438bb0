//! The tables of errors: details, counts and windows, behind guard rows that make each part's
//! epochs apply once and in order.

use errsift_ops::{
    fingerprint::{Fingerprint, RuleVersion},
    flight::Details,
    id::{Epoch, Nonce, Part, Seq, Shard, Term},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};

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
}

/// How a transaction ended, when the store answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Committed.
    Done,
    /// Rolled back: a guard row is not where the range says, or another writer's.
    /// Read the guards to see which.
    GuardMoved,
}

/// An error's words, to be stored unless they are.
pub type DetailsRow = (Fingerprint, Box<Details>);

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
    /// Rows.
    pub rows: u64,
    /// Events in them.
    pub events: u64,
}

/// Writes errors; one thread holds it. All methods block.
pub trait ErrorsWriter: Send {
    /// Makes the guard rows where they are missing, takes those of older terms for `claim`, and
    /// returns them as they then stand. A row that belongs to a newer writer is left alone.
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault>;

    /// Stores each error's words unless they are stored; the first to come stays.
    fn insert_details(&mut self, rows: &[DetailsRow]) -> Result<(), ErrorsFault>;

    /// Moves the guards and adds the rows in one transaction.
    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault>;

    /// The guard rows as they stand; those that are missing are zero.
    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault>;

    /// What of this shard was set aside.
    fn dead_letters(&mut self, shard: Shard) -> Result<DeadLetters, ErrorsFault>;
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
