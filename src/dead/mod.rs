//! Dead letters: rows that the tables refuse as data, set aside so that everything else goes on.
//!
//! A letter is one row of counts, of one window, or the words of one error. The tables' adapters
//! write them while they apply, and are asked for them here, beside a running server.
//!
//! Jobs that were set aside lie with the journal; what can be read of one is counted here too.

mod job;
mod letter;

use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Shard},
    window::Window,
};
use errsift_pipeline::ports::errors::ErrorsFault;

pub use self::{
    job::Revived,
    letter::{Letter, reason},
};

/// The epoch of refused words, which belong to none; no flight has it.
pub const WORDS: Epoch = Epoch(0);

/// Which letter of a shard, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The epoch it was set aside in; [`WORDS`] for words.
    pub epoch: Epoch,
    /// Which error.
    pub fingerprint: Fingerprint,
    /// Which window; the first of all for words.
    pub window: Window,
}

impl Key {
    /// The key of refused words.
    pub fn of_words(fingerprint: Fingerprint) -> Self {
        Self { epoch: WORDS, fingerprint, window: Window::default() }
    }
}

/// A dead letter as it lies in the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRow {
    /// Which.
    pub key: Key,
    /// Events in it; 0 for words.
    pub count: u64,
    /// Why it was refused last.
    pub reason: String,
    /// Its payload; an `Err` says why it cannot be read, and such a letter cannot be redriven.
    pub letter: Result<Letter, String>,
}

/// How a redrive ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redriven {
    /// It is counted, or stored, and no dead letter any more.
    Done,
    /// The tables refuse it again, for this reason, which it keeps.
    Refused(String),
    /// Somebody else has redriven or dropped it meanwhile.
    Gone,
}

/// Letters read at once.
pub const PAGE_ROWS: usize = 500;

/// A shard's dead letters in its tables, beside a running server. All methods block.
pub trait DeadRows {
    /// Up to [`PAGE_ROWS`] letters after `after`, in the order of their keys; of one error, or of all.
    fn page(
        &mut self,
        after: Option<&Key>,
        of: Option<&Fingerprint>,
    ) -> Result<Vec<DeadRow>, ErrorsFault>;

    /// Counts the letter's events, or stores its words, in one transaction: counts, windows and
    /// the part's guard row grow by it, and it is gone.
    fn redrive(&mut self, row: &DeadRow) -> Result<Redriven, ErrorsFault>;

    /// Gives the letter up in one transaction: it is gone, and its events are dropped in the guard
    /// row. `false` if it was gone already.
    fn discard(&mut self, row: &DeadRow) -> Result<bool, ErrorsFault>;

    /// Counts a dead job's events and stores its words in one transaction, with its mark.
    /// [`Redriven::Gone`] if the mark is there: that was done before.
    fn redrive_job(&mut self, job: &Revived) -> Result<Redriven, ErrorsFault>;

    /// Whose they are.
    fn shard(&self) -> Shard;
}
