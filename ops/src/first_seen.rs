//! Errors whose words have not been stored yet.

use std::{num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use rustc_hash::FxBuildHasher;
use timely::{
    dataflow::{
        StreamVec,
        channels::pact::Pipeline,
        operators::generic::{OutputBuilder, builder_rc::OperatorBuilder},
    },
    order::TotalOrder,
    progress::{Timestamp as Time, operate::FrontierInterest},
};

use crate::{
    fingerprint::Fingerprint,
    flight::{Details, Entry},
};

/// Errors' words, each with the fingerprint they belong to.
pub type Words<'scope, T> = StreamVec<'scope, T, (Fingerprint, Arc<Details>)>;

/// Takes the words out of entries and picks those that this worker has not passed on yet.
pub trait FirstSeen<'scope, T: Time + TotalOrder> {
    /// Splits off the details of each fingerprint the first time they come by, and again if they do
    /// at an earlier time, which may be applied before the other is; the entries go on without them.
    /// Both keep their time. The operator remembers the last `fingerprints_max` and may repeat one
    /// that it has forgotten.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use errsift_ops::{event::Event, fingerprint::Fingerprint, first_seen::FirstSeen};
    /// use errsift_ops::{flight::{Details, Entry}, tally::Tally, timestamp::Timestamp};
    /// use errsift_ops::{fingerprint::RULE, window::Window};
    /// use timely::dataflow::operators::{Capture, ToStream, capture::Extract, vec::Map};
    ///
    /// let entry = |message: &str, seconds: i64| {
    ///     let at = Timestamp::from_millis(seconds * 1000);
    ///     let event = Event { message: message.to_owned(), ..Event::default() };
    ///     let fingerprint = Fingerprint::of(&event);
    ///     let details = Some(Arc::new(Details { rule: RULE, payload: event.into() }));
    ///     Entry { fingerprint, window: Window::of(at), tally: Tally::one(at), details }
    /// };
    /// let (first, entries) = timely::example(move |scope| {
    ///     let (first, entries) = [entry("a", 0), entry("a", 40), entry("b", 40)]
    ///         .to_stream(scope)
    ///         .first_seen(10.try_into().expect("not zero"));
    ///     let first = first.map(|(_, details)| details.payload.message.clone());
    ///     let entries = entries.map(|entry| (entry.window.start().seconds(), entry.details));
    ///     (first.capture(), entries.capture())
    /// });
    /// assert_eq!(first.extract(), [(0, vec!["a".to_owned(), "b".to_owned()])]);
    /// assert_eq!(entries.extract(), [(0, vec![(0, None), (30, None), (30, None)])]);
    /// ```
    fn first_seen(
        self,
        fingerprints_max: NonZeroUsize,
    ) -> (Words<'scope, T>, StreamVec<'scope, T, Entry>);
}

impl<'scope, T: Time + TotalOrder> FirstSeen<'scope, T> for StreamVec<'scope, T, Entry> {
    fn first_seen(
        self,
        fingerprints_max: NonZeroUsize,
    ) -> (Words<'scope, T>, StreamVec<'scope, T, Entry>) {
        let mut builder = OperatorBuilder::new("FirstSeen".to_owned(), self.scope());
        let mut input = builder.new_input(self, Pipeline);
        builder.set_notify_for(0, FrontierInterest::Never);
        let (first, first_stream) = builder.new_output();
        let (rest, rest_stream) = builder.new_output();
        let mut first = OutputBuilder::from(first);
        let mut rest = OutputBuilder::from(rest);
        let mut earliest = Earliest::new(fingerprints_max);
        builder.build(move |_capabilities| {
            move |_frontiers| {
                let mut first = first.activate();
                let mut rest = rest.activate();
                input.for_each_stamp(|time, batches| {
                    let at = time.least().cloned();
                    let mut first = first.session(&time);
                    let mut rest = rest.session(&time);
                    for entries in batches {
                        for entry in entries.iter_mut() {
                            let Some(details) = entry.details.take() else {
                                continue;
                            };
                            if earliest.is_first(entry.fingerprint, at.as_ref()) {
                                first.give((entry.fingerprint, details));
                            }
                        }
                        rest.give_container(entries);
                    }
                });
            }
        });
        (first_stream, rest_stream)
    }
}

/// Errors whose words went on, each with the earliest time at which they did.
struct Earliest<T>(LruCache<Fingerprint, T, FxBuildHasher>);

impl<T: Time + TotalOrder> Earliest<T> {
    fn new(fingerprints_max: NonZeroUsize) -> Self {
        // takes memory only as it fills
        let mut times = LruCache::unbounded_with_hasher(FxBuildHasher);
        times.resize(fingerprints_max);
        Self(times)
    }

    /// Whether words that come `at` a time are needed there.
    fn is_first(&mut self, fingerprint: Fingerprint, at: Option<&T>) -> bool {
        let Some(at) = at else { return true };
        match self.0.get_mut(&fingerprint) {
            Some(known) if *known <= *at => false,
            Some(known) => {
                known.clone_from(at);
                true
            }
            None => {
                self.0.put(fingerprint, at.clone());
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_time_needs_the_words_again() {
        let mut earliest = Earliest::new(2.try_into().unwrap());
        let [a, b, c] = [1, 2, 3].map(|byte| Fingerprint([byte; 32]));
        assert!(earliest.is_first(a, Some(&5_u64)));
        assert!(!earliest.is_first(a, Some(&5)) && !earliest.is_first(a, Some(&6)));
        assert!(earliest.is_first(a, Some(&4)));
        assert!(!earliest.is_first(a, Some(&4)));
        assert!(earliest.is_first(b, Some(&4)) && earliest.is_first(c, Some(&4)));
        assert!(earliest.is_first(a, Some(&4)), "it was forgotten");
    }
}
