//! The way from ingest to apply: executed flights, and how far things have come.
//!
//! A flight handed over here is a short-cut. What counts is that it lies in the journal: when
//! apply lags, the short-cut is dropped and apply reads the flight from the journal instead, as
//! it does after a restart.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use errsift_ops::{
    flight::Flight,
    id::{Epoch, Seq},
};

use crate::{
    apply::reach::Reach, counters::Counters, epochs::OpenEpochs, failpoints, ports::journal::Fence,
    settings::FEED_FLIGHTS_MAX, wake::Wake,
};

/// An executed flight on its way to apply.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) seq: Seq,
    /// What is in it; `None` if only the journal has it.
    pub(crate) flight: Option<Flight>,
    /// Size of its job: what it takes in memory, roughly.
    pub(crate) job_bytes: usize,
}

impl Executed {
    /// Whether the events that its number was given to are in it. If not, an empty flight has taken
    /// their place, and they never will be.
    pub(crate) fn with_events(&self) -> bool {
        self.flight.as_ref().is_none_or(|flight| !flight.entries.is_empty())
    }
}

/// How far ingest has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Horizon {
    /// The last executed flight.
    pub(crate) executed: Seq,
    /// The last closed epoch and its last flight.
    pub(crate) closed: Option<(Epoch, Seq)>,
    /// Whether no flight will follow.
    pub(crate) ended: bool,
    /// Whether the journal has forgotten flights that it is not given again.
    pub(crate) forgotten: bool,
}

/// Shared by ingest, which writes it, and apply's first worker, which reads it.
#[derive(Debug)]
pub(crate) struct Feed {
    flights: Sender<Executed>,
    /// Bytes of the jobs in the channel.
    bytes: AtomicUsize,
    /// Bytes of the jobs in the dataflow.
    fed: AtomicUsize,
    /// Bytes of both together at most.
    bytes_max: usize,
    /// How far apply has come with the journal, and what must come from it.
    pub(crate) reach: Reach,
    horizon: Mutex<Horizon>,
    epochs: Arc<OpenEpochs>,
    wake: Arc<Wake>,
    counters: Arc<Counters>,
}

impl Feed {
    /// A feed on which flights up to the fence's were executed, and their epochs closed, earlier.
    pub(crate) fn new(
        fence: Fence,
        bytes_max: usize,
        epochs: Arc<OpenEpochs>,
        wake: Arc<Wake>,
        counters: Arc<Counters>,
    ) -> (Arc<Self>, Receiver<Executed>) {
        let (flights, receiver) = bounded(FEED_FLIGHTS_MAX);
        let closed = Some((fence.epoch, fence.seq));
        let horizon =
            Mutex::new(Horizon { executed: fence.seq, closed, ended: false, forgotten: false });
        epochs.ended(fence.epoch, fence.events);
        counters.pulse.closed.set(fence.epoch.0);
        let feed = Self {
            flights,
            bytes: AtomicUsize::new(0),
            fed: AtomicUsize::new(0),
            bytes_max,
            reach: Reach::default(),
            horizon,
            epochs,
            wake,
            counters,
        };
        (Arc::new(feed), receiver)
    }

    /// Hands an executed flight over, or drops it if apply is too far behind.
    pub(crate) fn hand_over(&self, executed: Executed) {
        failpoints::pass("hand_over");
        let (seq, job_bytes) = (executed.seq, executed.job_bytes);
        let held = self.bytes.load(Ordering::Relaxed) + self.fed.load(Ordering::Relaxed);
        let room = held + job_bytes <= self.bytes_max;
        if executed.flight.is_some() && room && self.flights.try_send(executed).is_ok() {
            self.bytes.fetch_add(job_bytes, Ordering::Relaxed);
        } else {
            self.counters.paged.add(1);
        }
        failpoints::pass("handed_over");
        // only now: whoever sees this number and an empty channel may page the flight.
        // Apply is not woken: it looks every few milliseconds, and takes many flights at once.
        self.change(|horizon| horizon.executed = seq);
    }

    /// Notes that a flight was taken out of the channel.
    pub(crate) fn taken(&self, executed: &Executed) {
        self.bytes.fetch_sub(executed.job_bytes, Ordering::Relaxed);
    }

    /// Says that `epoch` ended with the flight `seq`, which is the last that was executed.
    pub(crate) fn close(&self, epoch: Epoch, seq: Seq) {
        failpoints::pass("epoch_close");
        self.epochs.ended(epoch, self.counters.journaled.get());
        self.counters.pulse.closed.set(epoch.0);
        self.change(|horizon| horizon.closed = Some((epoch, seq)));
        failpoints::pass("epoch_closed");
        self.wake.wake();
    }

    /// Says that the journal has forgotten flights, and that nobody gives it these again: what
    /// memory does not have either is gone.
    pub(crate) fn note_forgotten(&self) {
        self.change(|horizon| horizon.forgotten = true);
    }

    /// Says that no flight will follow.
    pub(crate) fn end(&self) {
        self.change(|horizon| horizon.ended = true);
        self.wake.wake();
    }

    /// Bytes of the jobs that wait in the channel.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Notes where the journal begins.
    pub(crate) fn note_base(&self, base: Seq) {
        self.counters.journal_base.set(base.0);
    }

    /// Says that apply's first worker has fed so many entries more.
    pub(crate) fn note_entries(&self, entries: usize) {
        self.counters.pulse.fed.add(entries as u64);
    }

    /// Says that apply's first worker turns, and finds all epochs before `frontier` applied (`None`:
    /// all).
    pub(crate) fn note_turn(&self, frontier: Option<Epoch>) {
        self.counters.pulse.apply_turns.add(1);
        self.counters.pulse.frontier.set(frontier.map_or(u64::MAX, |frontier| frontier.0));
    }

    /// Says how many bytes of jobs apply has in its dataflow.
    pub(crate) fn note_fed(&self, bytes: usize) {
        self.fed.store(bytes, Ordering::Relaxed);
        let waiting = self.bytes.load(Ordering::Relaxed);
        self.counters.apply_backlog_bytes.set((bytes + waiting) as u64);
    }

    /// How far ingest has come.
    pub(crate) fn horizon(&self) -> Horizon {
        *self.horizon.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Horizon)) {
        change(&mut self.horizon.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}
