//! The apply workers' loop: feed, step, trim what is applied.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use crossbeam_channel::{Sender, TrySendError};
use errsift_ops::{
    flight::Entry,
    id::{Epoch, Seq},
};
use timely::{
    dataflow::{InputHandleVec, ProbeHandle},
    worker::Worker,
};

use crate::{
    apply::{
        apply_counts::CountsHandle,
        feeder::{Feeder, Feeding},
        graph::{self, Handles},
        keep_pending::PendingHandle,
        keeper::Keep,
        store_details::DetailsHandle,
    },
    epochs::OpenEpochs,
    operators::{self, Operators},
    ports::clock::Clock,
    settings::PENDING_INTERVAL,
    stop::Stop,
    wake::Wake,
};

/// How long a worker sleeps while nothing wakes it. Flights do not: they are taken many at a time.
const PARK: Duration = Duration::from_millis(20);
/// Entries fed before the dataflow gets its turn.
const FEED_ENTRIES: usize = 64 * 1024;

/// What one worker runs on.
pub(crate) struct Apply {
    pub(crate) details: DetailsHandle,
    pub(crate) pending: PendingHandle,
    pub(crate) counts: CountsHandle,
    pub(crate) epochs: Arc<OpenEpochs>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where to count what operators do, if at all.
    pub(crate) operators: Option<Arc<Operators>>,
    /// The first worker's; the others have none and take what it exchanges to them.
    pub(crate) first: Option<First>,
}

/// What only the first worker has.
pub(crate) struct First {
    pub(crate) feeder: Feeder,
    pub(crate) keeper: Sender<Keep>,
    pub(crate) wake: Arc<Wake>,
}

/// Runs until everything that was journaled is applied and nothing follows.
pub(crate) fn run(worker: &mut Worker, apply: Apply) {
    let Apply { details, pending, counts, epochs, clock, operators, first } = apply;
    if let Some(operators) = operators {
        operators::watch(worker, "apply", &operators);
    }
    let due = Rc::new(Cell::new(false));
    let Handles { input, applied, pending: grown } =
        worker.dataflow_named::<u64, _, _>("Apply", |scope| {
            let sinks = (details, pending, counts);
            graph::apply(scope, Rc::clone(&due), Arc::clone(&epochs), sinks)
        });
    // workers other than the first drop their input: it would hold every epoch open
    let mut leader = first.map(|first| Leader::new(first, input, epochs));
    let mut pending_at = clock.monotonic();
    while !applied.done() {
        let busy = leader.as_mut().is_some_and(|leader| leader.turn(&applied));
        let now = clock.monotonic();
        if now >= pending_at + PENDING_INTERVAL {
            pending_at = now;
            due.set(true);
            grown.activate();
        }
        if busy {
            worker.step();
        } else {
            worker.step_or_park(Some(PARK));
        }
        if let Some(leader) = &leader {
            leader.first.wake.disarm();
        }
    }
    if let Some(mut leader) = leader {
        leader.first.feeder.applied(None);
        leader.trim(None);
    }
}

/// The first worker's part: it feeds the dataflow and has the journal trimmed.
struct Leader {
    first: First,
    input: Option<InputHandleVec<u64, Entry>>,
    epochs: Arc<OpenEpochs>,
    trimmed: Option<(Epoch, Seq)>,
    state: State,
}

/// Whether it feeds.
enum State {
    Feeding,
    /// Nothing more is fed, and the keeper has yet to hear why.
    Stopping(Stop),
    /// Nothing more is fed.
    Stopped,
}

impl Leader {
    fn new(first: First, input: InputHandleVec<u64, Entry>, epochs: Arc<OpenEpochs>) -> Self {
        first.wake.bind();
        Self { first, input: Some(input), epochs, trimmed: None, state: State::Feeding }
    }

    /// Feeds what there is; returns whether there may be more at once.
    fn turn(&mut self, applied: &ProbeHandle<u64>) -> bool {
        let frontier = applied.with_frontier(|frontier| frontier.first().copied().map(Epoch));
        self.first.feeder.applied(frontier);
        self.trim(frontier);
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Feeding => self.state = State::Feeding,
            State::Stopping(stop) => {
                self.tell(stop);
                return false;
            }
            State::Stopped => return false,
        }
        self.first.wake.arm();
        let Some(input) = &mut self.input else {
            return false;
        };
        let mut fed = 0;
        while fed < FEED_ENTRIES {
            match self.first.feeder.turn() {
                Ok(Feeding::Entries(epoch, entries)) => {
                    fed += entries.len();
                    input.advance_to(epoch.0.max(*input.time()));
                    for entry in entries {
                        input.send(entry);
                    }
                }
                Ok(Feeding::Advance(epoch)) => input.advance_to(epoch.0),
                Ok(Feeding::Wait) => {
                    input.flush();
                    return false;
                }
                Ok(Feeding::End) => {
                    self.input = None;
                    return true;
                }
                Err(stop) => {
                    self.tell(stop);
                    return false;
                }
            }
        }
        true
    }

    /// Has the keeper end the process; it knows whether a successor is behind what was found.
    fn tell(&mut self, stop: Stop) {
        self.state = match self.first.keeper.try_send(Keep::Stop(stop)) {
            Err(TrySendError::Full(Keep::Stop(stop))) => State::Stopping(stop),
            // heard, or the keeper has ended
            _ => State::Stopped,
        };
    }

    /// Has the jobs of all epochs before `frontier` dropped (`None`: of all).
    fn trim(&mut self, frontier: Option<Epoch>) {
        let after = self.trimmed.map_or(Epoch::default(), |(epoch, _)| epoch);
        let last = self.epochs.between(after, frontier).last().copied();
        let Some((epoch, seq)) = last else {
            return;
        };
        if self.first.keeper.try_send(Keep::Trim(epoch, seq)).is_ok() {
            self.trimmed = Some((epoch, seq));
        }
    }
}
