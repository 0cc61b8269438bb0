//! The ingest graph: wiring, and the operators that reach outside.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use errsift_ops::{
    batch::Batch,
    body::Fault,
    decode::{Decode, Received},
    fingerprint::{Fingerprint, WithFingerprint},
    fold_batch_ids::{Answered, FoldBatchIds},
    fold_ids::{Earlier, FoldIds},
    recent_ids::RecentIds,
    tally::{Tallied, TallyByTime},
};
use timely::{
    container::CapacityContainerBuilder,
    dataflow::{
        ProbeHandle, Scope, StreamVec,
        channels::pact::Pipeline,
        operators::{
            ActivateCapability, Capability, Probe,
            core::{UnorderedHandle, UnorderedInput},
            generic::{OutputBuilder, builder_rc::OperatorBuilder},
        },
    },
    progress::operate::FrontierInterest,
    scheduling::Activator,
};

use crate::{
    ack::{Outcome, Waiter},
    counters::{Counter, Counters},
    feed::{Executed, Feed},
    ingest::{account::Account, end::End, sealer::Sealer},
};

/// What the worker holds of the graph.
pub(crate) struct Handles<W: Waiter> {
    /// Takes received bodies at the time of `forming`.
    pub(crate) input: UnorderedHandle<u64, CapacityContainerBuilder<Vec<Received<W>>>>,
    /// Takes batches at the time of `forming_batches`.
    pub(crate) batches: UnorderedHandle<u64, CapacityContainerBuilder<Vec<Batch<W>>>>,
    /// The time of the forming flight, held open.
    pub(crate) forming: ActivateCapability<u64>,
    /// The same time, for batches.
    pub(crate) forming_batches: ActivateCapability<u64>,
    /// Has the journal operator look at its sealer.
    pub(crate) journal: Activator,
    /// Passes a time when its flight is settled.
    pub(crate) executed: ProbeHandle<u64>,
}

/// What operators tell each other beside the streams, and the worker.
pub(crate) struct Told {
    pub(crate) account: Rc<RefCell<Account>>,
    pub(crate) ids: Rc<RefCell<RecentIds<u64>>>,
    pub(crate) counters: Arc<Counters>,
}

/// Connects the operators.
pub(crate) fn ingest<W: Waiter>(
    scope: Scope<'_, u64>,
    wanted: impl FnMut(&Fingerprint) -> bool + 'static,
    sealer: Rc<RefCell<Sealer<W>>>,
    feed: Arc<Feed>,
    Told { account, ids, counters }: Told,
) -> Handles<W> {
    let ((input, forming), received) = scope.new_unordered_input();
    let ((batch_input, forming_batches), batches) = scope.new_unordered_input();
    let (events, faults) = received.decode();
    faults.refuse(Rc::clone(&account), Arc::clone(&counters));
    let (events, repeated) = events.fingerprint().fold_ids(Rc::clone(&ids));
    repeated.answer_repeated(Rc::clone(&account), Arc::clone(&counters));
    let (batches, answered) = batches.fold_batch_ids(Rc::clone(&ids));
    answered.answer_batches(Rc::clone(&account), counters);
    let (executed, journal) = events.tally_with(batches, wanted).journal(sealer, account, ids);
    let (probe, executed) = executed.probe();
    executed.hand_over(feed);
    Handles { input, batches: batch_input, forming, forming_batches, journal, executed: probe }
}

/// Answers those whose bodies were not events.
trait Refuse {
    fn refuse(self, account: Rc<RefCell<Account>>, counters: Arc<Counters>);
}

impl<W: Waiter> Refuse for StreamVec<'_, u64, (Fault, W)> {
    fn refuse(self, account: Rc<RefCell<Account>>, counters: Arc<Counters>) {
        self.end("Refuse", move |at, (fault, waiter)| {
            counters.invalid.add(1);
            account.borrow_mut().refused(at);
            waiter.answer(Outcome::Invalid(fault));
        });
    }
}

/// Answers those whose events came before.
trait AnswerRepeated {
    fn answer_repeated(self, account: Rc<RefCell<Account>>, counters: Arc<Counters>);
}

impl<W: Waiter> AnswerRepeated for StreamVec<'_, u64, (Earlier, W)> {
    fn answer_repeated(self, account: Rc<RefCell<Account>>, counters: Arc<Counters>) {
        self.end("AnswerRepeated", move |at, (earlier, waiter)| {
            account.borrow_mut().repeated(at);
            let (counter, outcome) = as_before(earlier, &counters);
            counter.add(1);
            counters.duplicates.add(1);
            waiter.answer(outcome);
        });
    }
}

/// Answers those of whose batches nothing goes on.
trait AnswerBatches {
    fn answer_batches(self, account: Rc<RefCell<Account>>, counters: Arc<Counters>);
}

impl<W: Waiter> AnswerBatches for StreamVec<'_, u64, Answered<W>> {
    fn answer_batches(self, account: Rc<RefCell<Account>>, counters: Arc<Counters>) {
        self.end("AnswerBatches", move |at, Answered { waiter, earlier, repeated, dropped }| {
            account.borrow_mut().turned_away(at, repeated, dropped);
            counters.dropped.add(dropped);
            let (counter, outcome) = as_before(earlier, &counters);
            counter.add(repeated + dropped);
            counters.duplicates.add(repeated);
            waiter.answer(outcome);
        });
    }
}

/// Where an event that came before is counted, and what its sender hears.
fn as_before(earlier: Earlier, counters: &Counters) -> (&Counter, Outcome) {
    match earlier {
        Earlier::Stored => (&counters.acked, Outcome::Stored),
        Earlier::Perhaps => (&counters.maybe_stored, Outcome::MaybeStored),
    }
}

/// Seals each time's tallies as a flight and sends it.
trait Journaled<'scope, W> {
    /// Emits each flight when it is executed; holds its time until then, and tells `ids` what became
    /// of it. The activator has the operator take in what the journal has reported.
    fn journal(
        self,
        sealer: Rc<RefCell<Sealer<W>>>,
        account: Rc<RefCell<Account>>,
        ids: Rc<RefCell<RecentIds<u64>>>,
    ) -> (StreamVec<'scope, u64, Executed>, Activator);
}

impl<'scope, W: Waiter> Journaled<'scope, W> for StreamVec<'scope, u64, Tallied<W>> {
    fn journal(
        self,
        sealer: Rc<RefCell<Sealer<W>>>,
        account: Rc<RefCell<Account>>,
        ids: Rc<RefCell<RecentIds<u64>>>,
    ) -> (StreamVec<'scope, u64, Executed>, Activator) {
        let mut builder = OperatorBuilder::new("Journal".to_owned(), self.scope());
        let activator = self.scope().activator_for(builder.operator_info().address);
        let mut input = builder.new_input(self, Pipeline);
        builder.set_notify_for(0, FrontierInterest::Never);
        let (output, stream) = builder.new_output();
        let mut output = OutputBuilder::from(output);
        builder.build(move |_capabilities| {
            let mut out: Option<Capability<u64>> = None;
            move |_frontiers| {
                let mut output = output.activate();
                let (mut sealer, mut ids) = (sealer.borrow_mut(), ids.borrow_mut());
                match (sealer.turn(), &out) {
                    (Some(executed), Some(time)) => {
                        ids.settle(*time.time(), executed.with_events());
                        output.session(time).give(executed);
                    }
                    // a probe: no event brought a time with it
                    (Some(executed), None) => sealer.leave(executed),
                    (None, _) => {}
                }
                input.for_each_stamp(|time, flights| {
                    let at = time.least().copied().unwrap_or_default();
                    for tallied in flights.flat_map(|flights| flights.drain(..)) {
                        account.borrow_mut().sealed(at, tallied.repeated);
                        if sealer.ready() {
                            out = time.retain_least(output.output_index());
                        } else {
                            ids.settle(at, false);
                        }
                        sealer.seal(tallied);
                    }
                });
                if !sealer.holds_flight()
                    && let Some(time) = out.take()
                    && !sealer.stopped()
                {
                    ids.settle(*time.time(), false);
                }
            }
        });
        (stream, activator)
    }
}

/// Passes executed flights on to apply.
trait HandOver {
    fn hand_over(self, feed: Arc<Feed>);
}

impl HandOver for StreamVec<'_, u64, Executed> {
    fn hand_over(self, feed: Arc<Feed>) {
        self.end("HandOver", move |_at, executed| feed.hand_over(executed));
    }
}
