//! Entries travel to the worker that owns their part of the fingerprint space.

use timely::{
    dataflow::{StreamVec, channels::pact::Exchange, operators::Operator},
    progress::Timestamp as Time,
};

use crate::flight::Entry;

/// Brings all entries of a part to one worker.
pub trait ByPart<'scope, T: Time> {
    /// Sends each entry to the worker that [owns](crate::id::Part::owner) its part, so that one worker
    /// alone sees, counts and writes a fingerprint.
    ///
    /// ```
    /// use errsift_ops::{by_part::ByPart, event::Event, fingerprint::Fingerprint, flight::Entry};
    /// use errsift_ops::{tally::Tally, timestamp::Timestamp, window::Window};
    /// use timely::dataflow::operators::{Capture, ToStream, capture::Extract, vec::Map};
    ///
    /// let sent = timely::example(|scope| {
    ///     let at = Timestamp::from_millis(0);
    ///     let fingerprint = Fingerprint::of(&Event::default());
    ///     [Entry { fingerprint, window: Window::of(at), tally: Tally::one(at), details: None }]
    ///         .to_stream(scope)
    ///         .by_part()
    ///         .map(|entry| entry.fingerprint.part().index())
    ///         .capture()
    /// });
    /// // SHA-256 of nothing starts with e3: its top six bits are 56
    /// assert_eq!(sent.extract(), [(0, vec![56])]);
    /// ```
    #[must_use]
    fn by_part(self) -> Self;
}

impl<T: Time> ByPart<'_, T> for StreamVec<'_, T, Entry> {
    fn by_part(self) -> Self {
        let workers = self.scope().peers();
        let route = move |entry: &Entry| entry.fingerprint.part().owner(workers) as u64;
        self.unary(Exchange::new(route), "ByPart", |_capability, _info| {
            |input, output| {
                input
                    .for_each_stamp(|time, entries| output.session(&time).give_containers(entries));
            }
        })
    }
}
