//! The 30-second aggregate: differential dataflow at its plainest.

use differential_dataflow::{
    lattice::Lattice,
    operators::arrange::arrangement::arrange_core,
    trace::implementations::{KeyBatcher, KeySpine},
};
use timely::{
    dataflow::{StreamVec, channels::pact::Pipeline, operators::Operator},
    order::TotalOrder,
    progress::Timestamp as Time,
};

use crate::{fingerprint::Fingerprint, flight::Entry, tally::Tally, window::Window};

/// The key that tallies are accumulated under.
pub type Key = (Fingerprint, Window);

/// What all entries of one time say of one fingerprint in one window.
pub type WindowCount<T> = (Key, T, Tally);

/// Accumulates tallies per time.
pub trait WindowCounts<'scope, T: Time> {
    /// Emits, once the frontier has passed a time, one tally per fingerprint and window: the sum
    /// of all that came at it. Tallies of several times passed together come in one message and
    /// each says its own time.
    ///
    /// The arrangement is pipelined: entries are expected where [`ByPart`](crate::by_part::ByPart)
    /// has brought them. Nothing is kept once it is emitted.
    ///
    /// ```
    /// use errsift_ops::{event::Event, fingerprint::Fingerprint, flight::Entry, tally::Tally};
    /// use errsift_ops::{timestamp::Timestamp, window::Window, window_counts::WindowCounts};
    /// use timely::dataflow::operators::{Capture, Input, capture::Extract, vec::Map};
    ///
    /// let entry = |seconds: i64| {
    ///     let at = Timestamp::from_millis(seconds * 1000);
    ///     let fingerprint = Fingerprint::of(&Event::default());
    ///     Entry { fingerprint, window: Window::of(at), tally: Tally::one(at), details: None }
    /// };
    /// let counts = timely::execute_directly(move |worker| {
    ///     let (mut input, counts) = worker.dataflow::<u64, _, _>(|scope| {
    ///         let (input, entries) = scope.new_input();
    ///         let counts = entries.window_counts().map(|((_, window), epoch, tally)| {
    ///             (window.start().seconds(), epoch, tally.count)
    ///         });
    ///         (input, counts.capture())
    ///     });
    ///     input.advance_to(1);
    ///     input.send(entry(0));
    ///     input.send(entry(29));
    ///     input.send(entry(30));
    ///     input.advance_to(2);
    ///     (0..4).for_each(|_| drop(worker.step()));
    ///     input.send(entry(0));
    ///     counts
    /// });
    /// // epoch 1 has two windows, and epoch 2 does not repeat what epoch 1 said
    /// assert_eq!(counts.extract(), [(1, vec![(0, 1, 2), (30, 1, 1)]), (2, vec![(0, 2, 1)])]);
    /// ```
    fn window_counts(self) -> StreamVec<'scope, T, WindowCount<T>>;
}

impl<'scope, T: Time + TotalOrder + Lattice> WindowCounts<'scope, T>
    for StreamVec<'scope, T, Entry>
{
    fn window_counts(self) -> StreamVec<'scope, T, WindowCount<T>> {
        let updates: StreamVec<'scope, T, ((Key, ()), T, Tally)> =
            self.unary(Pipeline, "WindowUpdates", |_capability, _info| {
                |input, output| {
                    input.for_each_stamp(|time, entries| {
                        let Some(at) = time.least().cloned() else {
                            return;
                        };
                        let updates = entries.flat_map(|entries| entries.drain(..)).map(|entry| {
                            (((entry.fingerprint, entry.window), ()), at.clone(), entry.tally)
                        });
                        output.session(&time).give_iterator(updates);
                    });
                }
            });
        arrange_core::<_, _, KeyBatcher<Key, T, Tally>, KeySpine<Key, T, Tally>>(
            updates,
            Pipeline,
            "WindowCounts",
            KeyBatcher::new,
        )
        .as_collection(|key, ()| *key)
        .inner
    }
}
