//! Those who wait for an answer, and the answer.

use std::time::Duration;

use errsift_ops::body::Fault;

/// What an event's sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The event is durable at the configured level.
    Stored,
    /// The event is not well-formed; it was not stored.
    Invalid(Fault),
    /// The journal could not be written in time; the event was not stored.
    NotStored,
    /// The journal's answer is missing; the event may be stored.
    MaybeStored,
}

/// Somebody who waits to hear what became of an event. Dropping one without an answer means that
/// the process is going down: the event may be stored.
pub trait Waiter: Send + Sized + 'static {
    /// Tells one.
    fn answer(self, outcome: Outcome);

    /// Since when, by the monotonic clock; `None` leaves it out of the histograms of waiting.
    fn waiting_since(&self) -> Option<Duration> {
        None
    }

    /// Tells all who waited for one flight. An implementation may wake each of its threads once
    /// instead of once per waiter.
    fn answer_all(waiters: Vec<Self>, outcome: &Outcome) {
        for waiter in waiters {
            waiter.answer(outcome.clone());
        }
    }
}
