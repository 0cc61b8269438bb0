//! What a store of tables is asked, as a trait; each store answers by its indexes.

use errsift_ops::{fingerprint::Fingerprint, id::Shard, timestamp::Timestamp};
use errsift_pipeline::{
    live::LiveFault,
    ports::{
        errors::{ErrorRow, ErrorsFault},
        journal::JournalFault,
    },
};

use super::{Label, Position, Sort, Span};

/// Why a question is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryFault {
    /// A store does not answer, or refuses.
    #[error("{0}")]
    Away(String),
    /// The store took too long and was stopped.
    #[error("the store took too long; ask for a shorter range")]
    TooLong,
}

impl From<ErrorsFault> for QueryFault {
    fn from(fault: ErrorsFault) -> Self {
        Self::Away(fault.to_string())
    }
}

impl From<JournalFault> for QueryFault {
    fn from(fault: JournalFault) -> Self {
        Self::Away(fault.to_string())
    }
}

impl From<LiveFault> for QueryFault {
    fn from(fault: LiveFault) -> Self {
        Self::Away(fault.to_string())
    }
}

/// As much of an error as it takes to order and to filter it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which error.
    pub fingerprint: Fingerprint,
    /// Events applied.
    pub count: u64,
    /// Earliest applied event.
    pub first_seen: Option<Timestamp>,
    /// Latest applied event.
    pub last_seen: Option<Timestamp>,
    /// When its words were stored; only asked of errors that are not counted yet.
    pub stored_at: Option<Timestamp>,
    /// By [`Label`]; absent unless asked for.
    pub labels: [Option<String>; 3],
    /// Empty unless asked for.
    pub message: String,
}

impl Candidate {
    /// An error of which nothing is known yet.
    pub fn of(fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint,
            count: 0,
            first_seen: None,
            last_seen: None,
            stored_at: None,
            labels: [None, None, None],
            message: String::new(),
        }
    }

    /// Its value of `label`.
    pub fn label(&self, label: Label) -> Option<&str> {
        self.labels[label as usize].as_deref()
    }

    /// Its place in an order. One that is not counted yet stands where it was stored.
    pub fn position(&self, sort: Sort) -> Position {
        let key = |at: Option<Timestamp>| {
            at.or(self.stored_at).unwrap_or_default().millis().cast_unsigned()
        };
        let key = match sort {
            Sort::Count => self.count,
            Sort::LastSeen => key(self.last_seen),
            Sort::FirstSeen => key(self.first_seen),
        };
        Position { key, fingerprint: self.fingerprint }
    }
}

/// A stretch of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The order.
    pub sort: Sort,
    /// It begins behind this place.
    pub after: Option<Position>,
    /// Errors, at most.
    pub max: usize,
    /// Whether labels and messages are asked for.
    pub details: bool,
}

/// A condition that an index answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrowing<'a> {
    /// A label has this value.
    Label(Label, &'a str),
    /// The message begins with this text.
    Prefix(&'a str),
}

impl Narrowing<'_> {
    /// Columns of `error_details AS d` that stand for label, label, label and message, none of
    /// them but what the index has.
    pub fn indexed_columns(&self) -> &'static str {
        match self {
            Self::Label(Label::Service, _) => "d.service, NULL, NULL, NULL",
            Self::Label(Label::Level, _) => "NULL, d.level, NULL, NULL",
            Self::Label(Label::Environment, _) => "NULL, NULL, d.environment, NULL",
            Self::Prefix(_) => "NULL, NULL, NULL, NULL",
        }
    }
}

/// Answers questions from the tables. All methods block; each sees what was committed when it began.
pub trait Queries: Send {
    /// Counted errors in the walk's order; fewer than its `max` only at the order's end.
    fn walk(&mut self, walk: &Walk) -> Result<Vec<Candidate>, QueryFault>;

    /// All counted errors that meet `narrowing`, in any order, perhaps some others too; `None` if
    /// more than `max` may meet it. With labels and messages if `details`, else only with the label
    /// that it is narrowed by.
    fn few(
        &mut self,
        narrowing: Narrowing<'_>,
        max: usize,
        details: bool,
    ) -> Result<Option<Vec<Candidate>>, QueryFault>;

    /// Those that are not counted yet among the `newest` whose words were stored last, newest
    /// first. With labels and messages.
    fn uncounted(&mut self, newest: usize) -> Result<Vec<Candidate>, QueryFault>;

    /// Each of `fingerprints` as the view `errors` shows it, without its stack trace, in the order
    /// given, all at one instant together with their guards.
    fn rows(
        &mut self,
        shard: Shard,
        fingerprints: &[Fingerprint],
    ) -> Result<Vec<ErrorRow>, QueryFault>;

    /// Counts of one error in those of `windows` that have any, by the window's start.
    fn windows_of(
        &mut self,
        fingerprint: &Fingerprint,
        windows: &[Timestamp],
    ) -> Result<Vec<(Timestamp, u64)>, QueryFault>;

    /// Counts of all errors, or of one service's, in the steps of `span` that have any, by a time
    /// in the step.
    fn windows(
        &mut self,
        service: Option<&str>,
        span: &Span,
    ) -> Result<Vec<(Timestamp, u64)>, QueryFault>;
}
