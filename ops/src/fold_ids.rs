//! Events that come again with an id of their own are left out.
//!
//! An id that is [new](Seen::Never) goes on and is remembered. One whose event is stored is told so
//! at once. One of the flight that forms goes on too, and [`tally`](crate::tally) lets it wait with
//! the first without counting it. One whose flight is out is held back together with the time of its own
//! flight, which is let go when the flight before it is settled; if it is let go before that,
//! because senders should not wait any longer, nobody knows yet.

use std::{cell::RefCell, rc::Rc};

use timely::{
    dataflow::{
        StreamVec,
        channels::pact::Pipeline,
        operators::{
            Capability, InputCapability,
            generic::{OutputBuilder, builder_rc::OperatorBuilder},
        },
    },
    order::TotalOrder,
    progress::{Timestamp as Time, frontier::MutableAntichain, operate::FrontierInterest},
};

use crate::{
    event::EventId,
    fingerprint::Fingerprint,
    recent_ids::{RecentIds, Seen},
    reported::Reported,
};

/// What is known of the event that came before with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Earlier {
    /// It is stored.
    Stored,
    /// It may be stored.
    Perhaps,
}

/// The outputs, in the order in which they are made.
const ON: usize = 0;
const REPEATED: usize = 1;

/// A fingerprinted event with who waits for it.
type Named<W> = (Fingerprint, Reported, W);

/// Those who wait for an event that came before, each with what is known of that.
pub type Repeated<'scope, T, W> = StreamVec<'scope, T, (Earlier, W)>;

/// An event that waits for the fate of an earlier one.
struct Held<T: Time, W> {
    id: EventId,
    named: Named<W>,
    to_on: Capability<T>,
    to_repeated: Capability<T>,
}

/// Leaves out events that came before.
pub trait FoldIds<'scope, T: Time, W> {
    /// Splits events into those that go on and those that came before, by what `ids` knows. Whoever
    /// settles flights tells `ids` of their fates, at the times that they went on with.
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use errsift_ops::{
    ///     event::{Event, EventId}, fingerprint::WithFingerprint, fold_ids::{Earlier, FoldIds},
    ///     recent_ids::RecentIds,
    /// };
    /// use timely::dataflow::operators::{Capture, Input, capture::Extract, vec::Map};
    ///
    /// let (on, again) = timely::execute_directly(|worker| {
    ///     let ids = Rc::new(RefCell::new(RecentIds::new(100)));
    ///     let (mut input, on, again) = worker.dataflow::<u64, _, _>(|scope| {
    ///         let (input, events) = scope.new_input();
    ///         let (on, again) = events.fingerprint().fold_ids(Rc::clone(&ids));
    ///         (input, on.map(|(_, _, waiter)| waiter).capture(), again.capture())
    ///     });
    ///     let event = |id| Event { event_id: id, ..Event::default() }.into();
    ///     input.send((event(Some(EventId(1))), "first"));
    ///     input.send((event(None), "without"));
    ///     input.advance_to(1);
    ///     // the flight of time 0 is out: this one waits to hear of it
    ///     input.send((event(Some(EventId(1))), "again"));
    ///     input.flush();
    ///     worker.step();
    ///     ids.borrow_mut().settle(0, true);
    ///     input.advance_to(2);
    ///     input.send((event(Some(EventId(1))), "once more"));
    ///     (on, again)
    /// });
    /// assert_eq!(on.extract(), [(0, vec!["first", "without"])]);
    /// let stored = |who| vec![(Earlier::Stored, who)];
    /// assert_eq!(again.extract(), [(1, stored("again")), (2, stored("once more"))]);
    /// ```
    fn fold_ids(
        self,
        ids: Rc<RefCell<RecentIds<T>>>,
    ) -> (StreamVec<'scope, T, Named<W>>, Repeated<'scope, T, W>);
}

impl<'scope, T: Time + TotalOrder + Copy, W: 'static> FoldIds<'scope, T, W>
    for StreamVec<'scope, T, Named<W>>
{
    fn fold_ids(
        self,
        ids: Rc<RefCell<RecentIds<T>>>,
    ) -> (StreamVec<'scope, T, Named<W>>, Repeated<'scope, T, W>) {
        let mut builder = OperatorBuilder::new("FoldIds".to_owned(), self.scope());
        let mut input = builder.new_input(self, Pipeline);
        builder.set_notify_for(0, FrontierInterest::IfCapability);
        let (on, on_stream) = builder.new_output();
        let (repeated, repeated_stream) = builder.new_output();
        let mut on = OutputBuilder::from(on);
        let mut repeated = OutputBuilder::from(repeated);
        builder.build(move |_capabilities| {
            let mut held: Vec<Held<T, W>> = Vec::new();
            move |frontiers| {
                let frontier = &frontiers[0];
                let (mut on, mut repeated) = (on.activate(), repeated.activate());
                let mut ids = ids.borrow_mut();
                // before what follows: that may be at a later time and the same once more
                for Held { id, named, to_on, to_repeated } in std::mem::take(&mut held) {
                    match step(&mut ids, id, to_on.time(), frontier) {
                        Step::On => on.session(&to_on).give(named),
                        Step::Left(earlier) => {
                            repeated.session(&to_repeated).give((earlier, named.2));
                        }
                        Step::Wait => held.push(Held { id, named, to_on, to_repeated }),
                    }
                }
                input.for_each_stamp(|time, batches| {
                    let Some(at) = time.least().copied() else { return };
                    let mut on = on.session(&time);
                    let mut repeated = repeated.session(&time);
                    for batch in batches {
                        if batch.iter().all(|(_, event, _)| event.event_id.is_none()) {
                            on.give_container(batch);
                            continue;
                        }
                        for named in batch.drain(..) {
                            let Some(id) = named.1.event_id else {
                                on.give(named);
                                continue;
                            };
                            match step(&mut ids, id, &at, frontier) {
                                Step::On => on.give(named),
                                Step::Left(earlier) => repeated.give((earlier, named.2)),
                                Step::Wait => held.extend(hold(&time, id, named)),
                            }
                        }
                    }
                });
            }
        });
        (on_stream, repeated_stream)
    }
}

/// What to do with an event.
enum Step {
    On,
    Left(Earlier),
    Wait,
}

/// Decides about an event with `id` at `time`, and remembers it if it goes on.
fn step<T: Time + TotalOrder + Copy>(
    ids: &mut RecentIds<T>,
    id: EventId,
    time: &T,
    frontier: &MutableAntichain<T>,
) -> Step {
    match ids.seen(id) {
        Seen::Never => {
            ids.sent_on(id, *time);
            Step::On
        }
        Seen::Unsettled(same) if same == *time => Step::On,
        Seen::Stored => Step::Left(Earlier::Stored),
        Seen::Unsettled(_) if frontier.less_equal(time) => Step::Wait,
        Seen::Unsettled(_) => Step::Left(Earlier::Perhaps),
    }
}

fn hold<T: Time + TotalOrder, W>(
    time: &InputCapability<T>,
    id: EventId,
    named: Named<W>,
) -> Option<Held<T, W>> {
    let (to_on, to_repeated) = (time.retain_least(ON)?, time.retain_least(REPEATED)?);
    Some(Held { id, named, to_on, to_repeated })
}
