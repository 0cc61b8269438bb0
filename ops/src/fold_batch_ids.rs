//! Events of batches that come again with an id of their own are left out, as
//! [`fold_ids`](crate::fold_ids) does it with single ones.
//!
//! A batch goes to one flight whole. So while the fate of an earlier flight decides about one of
//! its events, all of it is held back; and if its own flight is let go before that, it is turned away
//! whole, and only those of its events may be stored that came before.

use std::{cell::RefCell, rc::Rc};

use timely::{
    dataflow::{
        StreamVec,
        channels::pact::Pipeline,
        operators::{
            Capability,
            generic::{OutputBuilder, builder_rc::OperatorBuilder},
        },
    },
    order::TotalOrder,
    progress::{Timestamp as Time, frontier::MutableAntichain, operate::FrontierInterest},
};

use crate::{
    batch::Batch,
    fold_ids::Earlier,
    recent_ids::{RecentIds, Seen},
};

/// The outputs, in the order in which they are made.
const ON: usize = 0;
const ANSWERED: usize = 1;

/// A batch of which nothing goes on.
#[derive(Debug)]
pub struct Answered<W> {
    /// Who waits for it.
    pub waiter: W,
    /// All of it is stored, or some of it may be.
    pub earlier: Earlier,
    /// Its events that came before.
    pub repeated: u64,
    /// Its events that did not, and are dropped.
    pub dropped: u64,
}

/// Leaves out events of batches that came before.
pub trait FoldBatchIds<'scope, T: Time, W> {
    /// Splits batches into those of which something goes on, without what came before, and those
    /// whose answer is known, by what `ids` knows.
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use errsift_ops::{
    ///     batch::{Batch, Fold, Item}, fold_batch_ids::FoldBatchIds, recent_ids::RecentIds,
    ///     timestamp::Timestamp,
    /// };
    /// use timely::dataflow::operators::{Capture, Input, capture::Extract, vec::Map};
    ///
    /// let batch = |(events, waiter): (Vec<&'static str>, &'static str)| {
    ///     let mut fold = Fold::new(Timestamp::default(), None);
    ///     for event in events {
    ///         fold.take(Item::Text(event.as_bytes())).expect("these are not too many");
    ///     }
    ///     Batch { folded: Box::new(fold.finish()), waiter }
    /// };
    /// let with_id = r#"{"message":"m","eventId":"0123456789abcdef0123456789abcdef"}"#;
    /// let (on, answered) = timely::execute_directly(move |worker| {
    ///     let ids = Rc::new(RefCell::new(RecentIds::new(100)));
    ///     let (mut input, on, answered) = worker.dataflow::<u64, _, _>(|scope| {
    ///         let (input, batches) = scope.new_input();
    ///         let (on, answered) = batches.map(batch).fold_batch_ids(Rc::clone(&ids));
    ///         let on = on.map(|batch: Batch<_>| (batch.waiter, batch.folded.left_out));
    ///         (input, on.capture(), answered.map(|batch| (batch.waiter, batch.repeated)).capture())
    ///     });
    ///     input.send((vec![with_id], "first"));
    ///     input.advance_to(1);
    ///     // the flight of time 0 is out: these wait to hear of it
    ///     input.send((vec![with_id, r#"{"message":"new"}"#], "in part"));
    ///     input.send((vec![with_id, with_id], "again"));
    ///     input.flush();
    ///     worker.step();
    ///     ids.borrow_mut().settle(0, true);
    ///     (on, answered)
    /// });
    /// assert_eq!(on.extract(), [(0, vec![("first", 0)]), (1, vec![("in part", 1)])]);
    /// assert_eq!(answered.extract(), [(1, vec![("again", 2)])]);
    /// ```
    fn fold_batch_ids(
        self,
        ids: Rc<RefCell<RecentIds<T>>>,
    ) -> (StreamVec<'scope, T, Batch<W>>, StreamVec<'scope, T, Answered<W>>);
}

/// A batch that waits for the fate of an earlier flight.
struct Held<T: Time, W> {
    batch: Batch<W>,
    to_on: Capability<T>,
    to_answered: Capability<T>,
}

impl<'scope, T: Time + TotalOrder + Copy, W: 'static> FoldBatchIds<'scope, T, W>
    for StreamVec<'scope, T, Batch<W>>
{
    fn fold_batch_ids(
        self,
        ids: Rc<RefCell<RecentIds<T>>>,
    ) -> (StreamVec<'scope, T, Batch<W>>, StreamVec<'scope, T, Answered<W>>) {
        let mut builder = OperatorBuilder::new("FoldBatchIds".to_owned(), self.scope());
        let mut input = builder.new_input(self, Pipeline);
        builder.set_notify_for(0, FrontierInterest::IfCapability);
        let (on, on_stream) = builder.new_output();
        let (answered, answered_stream) = builder.new_output();
        let mut on = OutputBuilder::from(on);
        let mut answered = OutputBuilder::from(answered);
        builder.build(move |_capabilities| {
            let mut held: Vec<Held<T, W>> = Vec::new();
            move |frontiers| {
                let frontier = &frontiers[0];
                let (mut on, mut answered) = (on.activate(), answered.activate());
                let mut ids = ids.borrow_mut();
                // those held come first: what follows may be at a later time
                for Held { batch, to_on, to_answered } in std::mem::take(&mut held) {
                    match step(&mut ids, batch, to_on.time(), frontier) {
                        Step::On(batch) => on.session(&to_on).give(batch),
                        Step::Answered(batch) => answered.session(&to_answered).give(batch),
                        Step::Wait(batch) => held.push(Held { batch, to_on, to_answered }),
                    }
                }
                input.for_each_stamp(|time, batches| {
                    let Some(at) = time.least().copied() else { return };
                    for batch in batches.flat_map(|batches| batches.drain(..)) {
                        match step(&mut ids, batch, &at, frontier) {
                            Step::On(batch) => on.session(&time).give(batch),
                            Step::Answered(batch) => answered.session(&time).give(batch),
                            Step::Wait(batch) => {
                                let to_on = time.retain_least(ON);
                                if let Some((to_on, to_answered)) =
                                    to_on.zip(time.retain_least(ANSWERED))
                                {
                                    held.push(Held { batch, to_on, to_answered });
                                }
                            }
                        }
                    }
                });
            }
        });
        (on_stream, answered_stream)
    }
}

/// What to do with a batch.
enum Step<W> {
    On(Batch<W>),
    Answered(Answered<W>),
    Wait(Batch<W>),
}

/// Decides about a batch at `time`, and remembers the ids of what goes on of it.
fn step<T: Time + TotalOrder + Copy, W>(
    ids: &mut RecentIds<T>,
    mut batch: Batch<W>,
    time: &T,
    frontier: &MutableAntichain<T>,
) -> Step<W> {
    let folded = &mut batch.folded;
    if folded.identified.is_empty() {
        return Step::On(batch);
    }
    let is_elsewhere = |seen| matches!(seen, Seen::Unsettled(other) if other != *time);
    let seen = |event: &crate::batch::Identified| ids.seen(event.id);
    if folded.identified.iter().map(seen).any(is_elsewhere) {
        if frontier.less_equal(time) {
            return Step::Wait(batch);
        }
        let came_before = |seen: &Seen<T>| *seen == Seen::Stored || is_elsewhere(*seen);
        let repeated = folded.identified.iter().map(seen).filter(came_before).count() as u64;
        let dropped = folded.events() - repeated;
        folded.repeats.add(repeated);
        let (waiter, earlier) = (batch.waiter, Earlier::Perhaps);
        return Step::Answered(Answered { waiter, earlier, repeated, dropped });
    }
    let all = folded.identified.len();
    folded.identified.retain(|event| match ids.seen(event.id) {
        Seen::Stored => false,
        Seen::Unsettled(_) => true,
        Seen::Never => {
            ids.sent_on(event.id, *time);
            true
        }
    });
    folded.left_out = (all - folded.identified.len()) as u64;
    if folded.is_empty() {
        folded.repeats.add(folded.left_out);
        let (repeated, waiter, earlier) = (folded.left_out, batch.waiter, Earlier::Stored);
        return Step::Answered(Answered { waiter, earlier, repeated, dropped: 0 });
    }
    Step::On(batch)
}
