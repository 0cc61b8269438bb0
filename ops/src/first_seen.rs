//! Errors whose words have not been stored yet.

use std::num::NonZeroUsize;

use timely::{
    dataflow::{StreamVec, channels::pact::Pipeline, operators::Operator},
    progress::Timestamp as Time,
};

use crate::{
    fingerprint::Fingerprint,
    flight::{Details, Entry},
    known::Known,
};

/// Picks the words of errors that this worker has not passed on yet.
pub trait FirstSeen<'scope, T: Time> {
    /// Emits the details of each fingerprint the first time they come by, at the time they came
    /// with; remembers the last `fingerprints_max` and may repeat one that it has forgotten.
    ///
    /// ```
    /// use errsift_ops::{event::Event, fingerprint::Fingerprint, first_seen::FirstSeen};
    /// use errsift_ops::{flight::{Details, Entry}, tally::Tally, timestamp::Timestamp};
    /// use errsift_ops::{fingerprint::RULE, window::Window};
    /// use timely::dataflow::operators::{Capture, ToStream, capture::Extract, vec::Map};
    ///
    /// let entry = |message: &str, seconds: i64| {
    ///     let at = Timestamp::from_millis(seconds * 1000);
    ///     let event = Event { message: message.to_owned(), ..Event::default() };
    ///     let fingerprint = Fingerprint::of(&event);
    ///     let details = Some(Box::new(Details { rule: RULE, payload: event.into() }));
    ///     Entry { fingerprint, window: Window::of(at), tally: Tally::one(at), details }
    /// };
    /// let first = timely::example(move |scope| {
    ///     [entry("a", 0), entry("a", 40), entry("b", 40)]
    ///         .to_stream(scope)
    ///         .first_seen(10.try_into().expect("not zero"))
    ///         .map(|(_, details)| details.payload.message)
    ///         .capture()
    /// });
    /// assert_eq!(first.extract(), [(0, vec!["a".to_owned(), "b".to_owned()])]);
    /// ```
    fn first_seen(
        self,
        fingerprints_max: NonZeroUsize,
    ) -> StreamVec<'scope, T, (Fingerprint, Box<Details>)>;
}

impl<'scope, T: Time> FirstSeen<'scope, T> for StreamVec<'scope, T, Entry> {
    fn first_seen(
        self,
        fingerprints_max: NonZeroUsize,
    ) -> StreamVec<'scope, T, (Fingerprint, Box<Details>)> {
        self.unary(Pipeline, "FirstSeen", move |_capability, _info| {
            let mut passed_on = Known::new(fingerprints_max);
            move |input, output| {
                input.for_each_stamp(|time, entries| {
                    let first = entries
                        .flat_map(|entries| entries.drain(..))
                        .filter_map(|entry| Some((entry.fingerprint, entry.details?)))
                        .filter(|(fingerprint, _)| passed_on.insert(*fingerprint));
                    output.session(&time).give_iterator(first);
                });
            }
        })
    }
}
