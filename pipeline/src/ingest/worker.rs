//! The ingest worker's loop: fill the forming flight, let it go when the journal is free, park.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use crossbeam_channel::{Receiver, TryRecvError};
use errsift_ops::{
    decode::Received, fingerprint::Fingerprint, known::Known, recent_ids::RecentIds,
};
use timely::{dataflow::ProbeHandle, worker::Worker};

use crate::{
    ack::Waiter,
    batches::Boarding,
    counters::Counters,
    feed::Feed,
    histogram::{Batch, MICROSECONDS},
    ingest::{
        aboard::Aboard,
        account::Account,
        graph::{self, Handles, Told},
        sealer::Sealer,
    },
    operators::{self, Operators},
    ports::clock::Clock,
    settings::{FLIGHT_BYTES_MAX, FLIGHT_EVENTS_MAX, KNOWN_MAX},
    stop::Stop,
    wake::Wake,
};

/// The longest sleep, so that a missed wake-up costs no more than this.
const PARK_MAX: Duration = Duration::from_millis(100);
/// The shortest: what is due is done by the next turn.
const PARK_MIN: Duration = Duration::from_micros(100);

/// Events for which the worker wakes while a flight is out.
const WAKE_EVENTS: usize = 64;

/// What the ingest worker runs on.
pub(crate) struct Ingest<W> {
    pub(crate) events: Receiver<Received<W>>,
    pub(crate) boarding: Boarding<W>,
    /// Fingerprints whose words the tables have confirmed.
    pub(crate) confirmed: Receiver<Vec<Fingerprint>>,
    pub(crate) sealer: Sealer<W>,
    /// Ids of events that an earlier process has stored.
    pub(crate) ids: RecentIds<u64>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) ack_deadline: Duration,
    /// Where to count what operators do, if at all.
    pub(crate) operators: Option<Arc<Operators>>,
}

/// What has gone into the flight that forms.
#[derive(Default)]
pub(crate) struct Forming {
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) since: Duration,
    /// Whether a batch has found no room.
    pub(super) closed: bool,
}

impl Forming {
    fn full(&self) -> bool {
        self.closed || self.events >= FLIGHT_EVENTS_MAX || self.bytes >= FLIGHT_BYTES_MAX
    }

    /// How many events must wait to be worth a wake-up: any, but while a flight `is_out` as many as
    /// are decoded in the time that a wake-up costs several times over, so that little is left to
    /// do when it is back.
    fn worth_waking(&self, is_out: bool) -> usize {
        match (self.full(), is_out) {
            (true, _) => usize::MAX,
            (false, true) => WAKE_EVENTS,
            (false, false) => 1,
        }
    }
}

/// Runs until every [`Intake`](crate::intake::Intake) is dropped and all they offered is settled,
/// or until this process must stop. The last epoch is closed before it returns.
pub(crate) fn run<W: Waiter>(worker: &mut Worker, ingest: Ingest<W>) -> Option<Stop> {
    let Ingest { events, boarding, confirmed, sealer, ids, feed, .. } = ingest;
    let Ingest { wake, clock, counters, ack_deadline, operators, .. } = ingest;
    wake.bind();
    if let Some(operators) = operators {
        operators::watch(worker, "ingest", &operators);
    }
    let told = Told {
        account: Rc::new(RefCell::new(Account::new(counters.journaled.get()))),
        ids: Rc::new(RefCell::new(ids)),
        counters: Arc::clone(&counters),
    };
    let (account, ids) = (Rc::clone(&told.account), Rc::clone(&told.ids));
    let known = Rc::new(RefCell::new(Known::new(KNOWN_MAX)));
    let sealer = Rc::new(RefCell::new(sealer));
    let wanted = unknown(Rc::clone(&known));
    let Handles { mut input, batches, forming: mut time, forming_batches, journal, executed } =
        worker.dataflow_named::<u64, _, _>("Ingest", |scope| {
            graph::ingest(scope, wanted, Rc::clone(&sealer), Arc::clone(&feed), told)
        });
    let mut aboard = Aboard::new(boarding, batches, forming_batches);
    let mut forming = Forming::default();
    let mut arrived = Vec::new();
    let mut waits = Batch::new(MICROSECONDS);
    loop {
        let now = clock.monotonic();
        learn(&mut known.borrow_mut(), &confirmed);
        age(&mut ids.borrow_mut(), now, &counters);
        let before = forming.events;
        let ended = fill_in_turn(&mut arrived, &events, &mut aboard, &mut forming, now, &mut waits);
        if forming.events > before {
            counters.stages.channel.take_in(&mut waits);
            account.borrow_mut().taken(*time.time(), arrived.len() as u64 + aboard.send());
            input.activate().session(&time).give_iterator(arrived.drain(..));
        }
        counters.channel_depth.set(events.len() as u64 + aboard.boarding.waiting());
        // the flight let go before must have reached the sealer, and be settled
        let free = !executed.less_than(time.time()) && sealer.borrow().ready();
        let expired = now >= forming.since + ack_deadline || sealer.borrow().given_up(now);
        if forming.events > 0 && (free || expired) {
            let next = time.time() + 1;
            time.downgrade(&next);
            aboard.let_go(next);
            counters.stages.forming.observe_duration(now.saturating_sub(forming.since));
            sealer.borrow_mut().let_go(now);
            forming = Forming::default();
        }
        hand_over_left(&mut sealer.borrow_mut(), &feed);
        publish(&account, &executed, (&sealer.borrow(), &known.borrow()), &counters);
        let settled = ended && forming.events == 0 && !executed.less_than(time.time());
        if let Some((epoch, seq)) = sealer.borrow_mut().close_epoch(settled) {
            feed.close(epoch, seq);
        }
        if settled {
            feed.end();
            return None;
        }
        let stop = sealer.borrow_mut().take_stop();
        if let Some(stop) = stop {
            stopped(&stop, &mut sealer.borrow_mut(), &feed);
            return Some(stop);
        }
        let due = sealer.borrow().due().map_or(PARK_MAX, |due| due.saturating_sub(now));
        if due.is_zero() || sealer.borrow().has_reports() {
            journal.activate();
        }
        step(worker, &wake, due, (&forming, &events, &aboard.boarding), &sealer);
    }
}

/// Has what memory holds applied, if the journal has lost it and that is why this process must end.
fn stopped<W: Waiter>(stop: &Stop, sealer: &mut Sealer<W>, feed: &Feed) {
    if stop.wants_drain() {
        end(sealer, feed);
    }
}

/// Runs what is to be run. Parks if there is nothing, and nothing worth waking up for has come once
/// the wake-up is armed.
fn step<W: Waiter>(
    worker: &mut Worker,
    wake: &Wake,
    due: Duration,
    (forming, events, boarding): (&Forming, &Receiver<Received<W>>, &Boarding<W>),
    sealer: &RefCell<Sealer<W>>,
) {
    let waiting_min = forming.worth_waking(sealer.borrow().awaits_success());
    wake.arm_for(waiting_min);
    let boards = !forming.full() && !boarding.is_empty();
    if boards || events.len() >= waiting_min || sealer.borrow().has_reports() {
        wake.disarm();
        worker.step();
    } else {
        // parks only if no operator has anything to do
        worker.step_or_park(Some(due.clamp(PARK_MIN, PARK_MAX)));
        wake.disarm();
    }
}

/// Ends the last epoch and the feed, of a journal that has forgotten flights.
fn end<W: Waiter>(sealer: &mut Sealer<W>, feed: &Feed) {
    feed.note_forgotten();
    if let Some((epoch, seq)) = sealer.close_epoch(true) {
        feed.close(epoch, seq);
    }
    feed.end();
}

/// Says where all events are, and how many errors are known.
fn publish<W: Waiter>(
    account: &RefCell<Account>,
    executed: &ProbeHandle<u64>,
    (sealer, known): (&Sealer<W>, &Known),
    counters: &Counters,
) {
    let mut account = account.borrow_mut();
    counters.pulse.ingest_turns.add(1);
    counters.known.set(known.len() as u64);
    if let Some(frontier) = executed.with_frontier(|frontier| frontier.first().copied()) {
        account.passed(frontier);
    }
    account.publish(sealer.events_held(), counters);
}

/// Whether an error's words are still needed.
fn unknown(known: Rc<RefCell<Known>>) -> impl FnMut(&Fingerprint) -> bool {
    move |fingerprint| !known.borrow_mut().contains(fingerprint)
}

/// Takes in which errors the tables have confirmed.
fn learn(known: &mut Known, confirmed: &Receiver<Vec<Fingerprint>>) {
    for fingerprint in confirmed.try_iter().flatten() {
        known.insert(fingerprint);
    }
}

/// Forgets ids that are too old; says how many are left, and whether there was no room for some.
fn age(ids: &mut RecentIds<u64>, now: Duration, counters: &Counters) {
    ids.advance(now);
    counters.event_ids.set(ids.stored() as u64);
    let before = counters.event_ids_crowded_out.get();
    if ids.crowded_out() > before {
        let crowded_out = ids.crowded_out() - before;
        tracing::warn!(crowded_out, "event ids forgotten early, there are too many");
        counters.event_ids_crowded_out.set(ids.crowded_out());
    }
}

/// A probe was executed outside of any time of the dataflow; apply counts on every number.
fn hand_over_left<W: Waiter>(sealer: &mut Sealer<W>, feed: &Feed) {
    if let Some(executed) = sealer.take_left() {
        feed.hand_over(executed);
    }
}

/// Moves what has arrived into the forming flight, single events or batches first; returns whether
/// no more will come.
fn fill_in_turn<W: Waiter>(
    arrived: &mut Vec<Received<W>>,
    events: &Receiver<Received<W>>,
    aboard: &mut Aboard<W>,
    forming: &mut Forming,
    now: Duration,
    waits: &mut Batch,
) -> bool {
    if aboard.first {
        let ended = aboard.fill(forming, now, waits);
        fill(arrived, events, forming, now, waits) && ended
    } else {
        let ended = fill(arrived, events, forming, now, waits);
        aboard.fill(forming, now, waits) && ended
    }
}

/// Moves what has arrived into the forming flight; returns whether no more will come.
fn fill<W: Waiter>(
    arrived: &mut Vec<Received<W>>,
    events: &Receiver<Received<W>>,
    forming: &mut Forming,
    now: Duration,
    waits: &mut Batch,
) -> bool {
    while !forming.full() {
        match events.try_recv() {
            Ok(received) => {
                if forming.events == 0 {
                    forming.since = now;
                }
                if let Some(since) = received.waiter.waiting_since() {
                    waits.observe_duration(now.saturating_sub(since));
                }
                forming.events += 1;
                forming.bytes += received.body.len();
                arrived.push(received);
            }
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => return true,
        }
    }
    false
}
