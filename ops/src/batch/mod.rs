//! Many events in one body, folded before they enter the dataflow.
//!
//! ```text
//!   pieces of a body ─► split ─► items ─► fold ─┬► entries: one per error and window
//!                                (one event      ├► identified: events with an id, one by one
//!                                 each)          └► rejected, by index
//! ```
//!
//! An item becomes what [`body::read`](crate::body::read) makes of it, or is rejected with its
//! words. Most are recognised faster: [`scan`](crate::scan) finds the few fields that say which error an event
//! is of and when it happened, and hands anything out of the ordinary to `body::read`. What is
//! kept of an error is the text of its first event, read when its words turn out to be wanted; what
//! is kept of a further one is a number. Events with an id stay apart, because only the dataflow
//! knows which came before.

mod fold;
mod split;
#[cfg(test)]
mod tests;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub use self::{
    fold::{Fold, Full, ITEM_BYTES_MAX, Rejected},
    split::{Format, Item, Malformed, Split},
};
use crate::{
    body, decode,
    event::EventId,
    fingerprint::{Fingerprint, RULE},
    flight::Details,
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};

/// Events of one batch, good and bad.
pub const EVENTS_MAX: usize = 16 * 1024;

/// A batch on its way to a flight, with the one who waits for all of it.
#[derive(Debug)]
pub struct Batch<W> {
    /// Its events.
    pub folded: Box<Folded>,
    /// Who waits.
    pub waiter: W,
}

/// The good events of a batch.
#[derive(Debug, Default)]
pub struct Folded {
    /// The distinct errors among them.
    pub errors: Vec<Named>,
    /// Those without an id, one entry for each error and window.
    pub entries: Vec<Counted>,
    /// Those with an id, as they came.
    pub identified: Vec<Identified>,
    /// How many were left out on the way because they had come before, by their ids.
    pub left_out: u64,
    /// When the server received them.
    pub received: Timestamp,
    /// How many had a time that lay in the future and was brought back.
    pub clamped: u64,
    /// Where to count those that came before.
    pub repeats: Repeats,
    /// The one service that their sender may report for; `None` if any.
    pub(crate) service: Option<Arc<str>>,
    /// The texts of the errors' first events, one after the other.
    pub(crate) texts: Vec<u8>,
}

/// An error in a batch.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// Which.
    pub fingerprint: Fingerprint,
    /// Where its first event's text is.
    pub(crate) text: (u32, u32),
}

/// Events of one error in one window.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Which of the batch's errors.
    pub error: u32,
    /// Which window.
    pub window: Window,
    /// How often, and when.
    pub tally: Tally,
}

/// An event with an id.
#[derive(Clone, Copy, Debug)]
pub struct Identified {
    /// Its id, [within](EventId::within) its service.
    pub id: EventId,
    /// Which of the batch's errors.
    pub error: u32,
    /// When it happened.
    pub at: Timestamp,
}

/// How many events of a batch had come before, shared with who waits for it.
#[derive(Clone, Debug, Default)]
pub struct Repeats(Arc<AtomicU64>);

impl Repeats {
    /// Counts more.
    pub fn add(&self, events: u64) {
        self.0.fetch_add(events, Ordering::Relaxed);
    }

    /// How many are counted.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Folded {
    /// Events in it, those left out included.
    pub fn events(&self) -> u64 {
        self.counted() + self.identified.len() as u64 + self.left_out
    }

    /// Events in its entries.
    fn counted(&self) -> u64 {
        self.entries.iter().map(|entry| entry.tally.count).sum()
    }

    /// Whether none of its events is left.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.identified.is_empty()
    }

    /// Bytes that a flight grows by, at most.
    pub fn bytes(&self) -> usize {
        self.texts.len() + (self.entries.len() + self.identified.len()) * ENTRY_BYTES
    }

    /// The words of one of its errors: its first event's.
    ///
    /// `None` is a mistake of this module: what was taken for an event is none.
    pub fn details(&self, error: u32) -> Option<Arc<Details>> {
        let (start, end) = self.errors.get(error as usize)?.text;
        let text = self.texts.get(start as usize..end as usize)?;
        let event = body::read(text, self.received).ok()?;
        let event = decode::of(event, self.service.as_deref()).ok()?;
        Some(Arc::new(Details { rule: RULE, payload: event.into() }))
    }
}

/// Bytes of a job's entry without words, or of an id.
const ENTRY_BYTES: usize = 88;
