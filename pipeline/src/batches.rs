//! The way in for batches: a bounded channel beside that of single events.
//!
//! A batch goes to one flight whole, so that one answer holds for all of it; and it is only taken
//! if the flight that forms has room for all of it, or is empty.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use errsift_ops::batch::Batch;

use crate::{
    ack::Waiter, counters::Counters, histogram::Batch as Waits, settings::CHANNEL_EVENTS_MAX,
    wake::Wake,
};

/// Offers batches to the pipeline.
#[derive(Debug)]
pub struct Batches<W> {
    channel: Sender<Batch<W>>,
    waiting: Arc<AtomicU64>,
    wake: Arc<Wake>,
    counters: Arc<Counters>,
}

impl<W> Clone for Batches<W> {
    fn clone(&self) -> Self {
        Self {
            channel: self.channel.clone(),
            waiting: Arc::clone(&self.waiting),
            wake: Arc::clone(&self.wake),
            counters: Arc::clone(&self.counters),
        }
    }
}

impl<W> Batches<W> {
    /// A channel of [`CHANNEL_EVENTS_MAX`] events whose receiver is woken by `wake`.
    pub(crate) fn new(wake: Arc<Wake>, counters: Arc<Counters>) -> (Self, Boarding<W>) {
        // bounded by its events, which `offer` counts
        let (channel, receiver) = unbounded();
        let waiting = Arc::<AtomicU64>::default();
        let boarding = Boarding { receiver, waiting: Arc::clone(&waiting), next: None };
        (Self { channel, waiting, wake, counters }, boarding)
    }

    /// Hands one batch over, which must not be empty, or gives it back at once if the channel is
    /// full: its events are shed.
    pub fn offer(&self, batch: Batch<W>) -> Result<(), Batch<W>> {
        let events = batch.folded.events();
        self.counters.received.add(events);
        let before = self.waiting.fetch_add(events, Ordering::Relaxed);
        // one that is larger than all the room there is would never be taken
        let is_full = before > 0 && before + events > CHANNEL_EVENTS_MAX as u64;
        let refused = if is_full {
            Some(batch)
        } else {
            self.channel.send(batch).err().map(|refused| refused.0)
        };
        let Some(batch) = refused else {
            self.wake.wake();
            return Ok(());
        };
        self.waiting.fetch_sub(events, Ordering::Relaxed);
        self.counters.shed.add(events);
        Err(batch)
    }

    /// Counts events of batches that were none.
    pub fn refused(&self, events: u64) {
        self.counters.received.add(events);
        self.counters.invalid.add(events);
    }
}

/// Where batches wait for a flight.
#[derive(Debug)]
pub(crate) struct Boarding<W> {
    receiver: Receiver<Batch<W>>,
    waiting: Arc<AtomicU64>,
    /// One that the flight that forms had no room for.
    next: Option<Batch<W>>,
}

impl<W: Waiter> Boarding<W> {
    /// Moves into `arrived` what `admit` has room for, which is told each batch's events and bytes;
    /// returns whether no more will come.
    pub(crate) fn fill(
        &mut self,
        arrived: &mut Vec<Batch<W>>,
        now: Duration,
        waits: &mut Waits,
        mut admit: impl FnMut(u64, usize) -> bool,
    ) -> bool {
        loop {
            let batch = match self.next.take().map_or_else(|| self.receiver.try_recv(), Ok) {
                Ok(batch) => batch,
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            };
            let events = batch.folded.events();
            if !admit(events, batch.folded.bytes()) {
                self.next = Some(batch);
                return false;
            }
            self.waiting.fetch_sub(events, Ordering::Relaxed);
            if let Some(since) = batch.waiter.waiting_since() {
                waits.observe_duration(now.saturating_sub(since));
            }
            arrived.push(batch);
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.next.is_none() && self.receiver.is_empty()
    }

    /// Events that wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}
