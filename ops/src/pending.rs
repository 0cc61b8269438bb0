//! Counts that are journaled but not applied yet, folded until somebody asks for them.

use rustc_hash::FxHashMap;
use timely::{
    dataflow::{StreamVec, channels::pact::Pipeline, operators::Operator},
    order::TotalOrder,
    progress::Timestamp as Time,
    scheduling::Activator,
};

use crate::{fingerprint::Fingerprint, flight::Entry};

/// Folds counts per fingerprint between two moments at which they are due.
pub trait Pending<'scope, T: Time> {
    /// Emits, whenever `due` says so and when its time ends, how much each fingerprint's count at
    /// each time has grown since it was last emitted. The increments of a time sum to its counts.
    /// The activator has the operator ask `due`.
    ///
    /// ```
    /// use errsift_ops::{event::Event, fingerprint::Fingerprint, flight::Entry, pending::Pending};
    /// use errsift_ops::{tally::Tally, timestamp::Timestamp, window::Window};
    /// use timely::dataflow::operators::{Capture, ToStream, capture::Extract, vec::Map};
    ///
    /// let grown = timely::example(|scope| {
    ///     [0, 10, 40]
    ///         .map(|seconds| {
    ///             let at = Timestamp::from_millis(seconds * 1000);
    ///             let fingerprint = Fingerprint::of(&Event::default());
    ///             Entry { fingerprint, window: Window::of(at), tally: Tally::one(at), details: None }
    ///         })
    ///         .to_stream(scope)
    ///         .pending(|| false)
    ///         .0
    ///         .map(|(_, grown)| grown)
    ///         .capture()
    /// });
    /// assert_eq!(grown.extract(), [(0, vec![3])]);
    /// ```
    fn pending(
        self,
        due: impl FnMut() -> bool + 'static,
    ) -> (StreamVec<'scope, T, (Fingerprint, u64)>, Activator);
}

impl<'scope, T: Time + TotalOrder> Pending<'scope, T> for StreamVec<'scope, T, Entry> {
    fn pending(
        self,
        mut due: impl FnMut() -> bool + 'static,
    ) -> (StreamVec<'scope, T, (Fingerprint, u64)>, Activator) {
        let scope = self.scope();
        let mut activator = None;
        let stream = self.unary_frontier(Pipeline, "Pending", |_capability, info| {
            activator = Some(scope.activator_for(info.address));
            // few times are open at once: a list is enough
            let mut grown: Vec<(_, FxHashMap<Fingerprint, u64>)> = Vec::new();
            move |(input, frontier), output| {
                input.for_each_stamp(|time, entries| {
                    let Some(time) = time.retain_least(output.output_index()) else {
                        return;
                    };
                    if grown.iter().all(|(at, _)| *at != time) {
                        grown.push((time.clone(), FxHashMap::default()));
                    }
                    let Some((_, counts)) = grown.iter_mut().find(|(at, _)| *at == time) else {
                        return;
                    };
                    for entry in entries.flat_map(|entries| entries.drain(..)) {
                        *counts.entry(entry.fingerprint).or_default() += entry.tally.count;
                    }
                });
                let due = due();
                grown.retain_mut(|(time, counts)| {
                    let ended = !frontier.less_equal(time.time());
                    if due || ended {
                        output.session(time).give_iterator(counts.drain());
                    }
                    !(due || ended)
                });
            }
        });
        (stream, activator.expect("the constructor above has run"))
    }
}
