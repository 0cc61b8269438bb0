//! The ingest graph: wiring, and the operators that reach outside.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use errsift_ops::{
    body::Fault,
    decode::{Decode, Received},
    fingerprint::{Fingerprint, WithFingerprint},
    tally::{Tallied, TallyByTime},
};
use timely::{
    container::CapacityContainerBuilder,
    dataflow::{
        ProbeHandle, Scope, StreamVec,
        channels::pact::Pipeline,
        operators::{
            ActivateCapability, Capability, Operator, Probe,
            core::{UnorderedHandle, UnorderedInput},
            generic::{OutputBuilder, builder_rc::OperatorBuilder},
        },
    },
    progress::operate::FrontierInterest,
    scheduling::Activator,
};

use crate::{
    ack::{Outcome, Waiter},
    counters::Counters,
    feed::{Executed, Feed},
    ingest::{account::Account, sealer::Sealer},
};

/// What the worker holds of the graph.
pub(crate) struct Handles<W: Waiter> {
    /// Takes received bodies at the time of `forming`.
    pub(crate) input: UnorderedHandle<u64, CapacityContainerBuilder<Vec<Received<W>>>>,
    /// The time of the forming flight, held open.
    pub(crate) forming: ActivateCapability<u64>,
    /// Has the journal operator look at its sealer.
    pub(crate) journal: Activator,
    /// Passes a time when its flight is settled.
    pub(crate) executed: ProbeHandle<u64>,
}

/// Connects the operators.
pub(crate) fn ingest<W: Waiter>(
    scope: Scope<'_, u64>,
    wanted: impl FnMut(&Fingerprint) -> bool + 'static,
    sealer: Rc<RefCell<Sealer<W>>>,
    feed: Arc<Feed>,
    (account, counters): (Rc<RefCell<Account>>, Arc<Counters>),
) -> Handles<W> {
    let ((input, forming), received) = scope.new_unordered_input();
    let (events, faults) = received.decode();
    faults.refuse(Rc::clone(&account), counters);
    let (executed, journal) = events.fingerprint().tally(wanted).journal(sealer, account);
    let (probe, executed) = executed.probe();
    executed.hand_over(feed);
    Handles { input, forming, journal, executed: probe }
}

/// Answers those whose bodies were not events.
trait Refuse {
    fn refuse(self, account: Rc<RefCell<Account>>, counters: Arc<Counters>);
}

impl<W: Waiter> Refuse for StreamVec<'_, u64, (Fault, W)> {
    fn refuse(self, account: Rc<RefCell<Account>>, counters: Arc<Counters>) {
        self.sink(Pipeline, "Refuse", move |(input, _frontier)| {
            input.for_each_stamp(|time, faults| {
                let mut account = account.borrow_mut();
                for (fault, waiter) in faults.flat_map(|faults| faults.drain(..)) {
                    counters.invalid.add(1);
                    account.refused(time.least().copied().unwrap_or_default());
                    waiter.answer(Outcome::Invalid(fault));
                }
            });
        });
    }
}

/// Seals each time's tallies as a flight and sends it.
trait Journaled<'scope, W> {
    /// Emits each flight when it is executed; holds its time until then. The activator has the
    /// operator take in what the journal has reported.
    fn journal(
        self,
        sealer: Rc<RefCell<Sealer<W>>>,
        account: Rc<RefCell<Account>>,
    ) -> (StreamVec<'scope, u64, Executed>, Activator);
}

impl<'scope, W: Waiter> Journaled<'scope, W> for StreamVec<'scope, u64, Tallied<W>> {
    fn journal(
        self,
        sealer: Rc<RefCell<Sealer<W>>>,
        account: Rc<RefCell<Account>>,
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
                let mut sealer = sealer.borrow_mut();
                match (sealer.turn(), &out) {
                    (Some(executed), Some(time)) => output.session(time).give(executed),
                    // a probe: no event brought a time with it
                    (Some(executed), None) => sealer.leave(executed),
                    (None, _) => {}
                }
                input.for_each_stamp(|time, flights| {
                    account.borrow_mut().sealed(time.least().copied().unwrap_or_default());
                    for tallied in flights.flat_map(|flights| flights.drain(..)) {
                        if sealer.ready() {
                            out = time.retain_least(output.output_index());
                        }
                        sealer.seal(tallied);
                    }
                });
                if !sealer.holds_flight() {
                    out = None;
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
        self.sink(Pipeline, "HandOver", move |(input, _frontier)| {
            input.for_each_stamp(|_time, flights| {
                for executed in flights.flat_map(|flights| flights.drain(..)) {
                    feed.hand_over(executed);
                }
            });
        });
    }
}
