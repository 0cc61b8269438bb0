//! The way in: a bounded channel between the front end and the ingest worker.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use errsift_ops::decode::Received;

use crate::{batches::Batches, counters::Counters, settings::CHANNEL_EVENTS_MAX, wake::Wake};

/// Offers events to the pipeline. When the last one is dropped, the pipeline drains and ends.
#[derive(Debug)]
pub struct Intake<W> {
    events: Sender<Received<W>>,
    batches: Batches<W>,
    wake: Arc<Wake>,
    counters: Arc<Counters>,
}

impl<W> Clone for Intake<W> {
    fn clone(&self) -> Self {
        Self {
            events: self.events.clone(),
            batches: self.batches.clone(),
            wake: Arc::clone(&self.wake),
            counters: Arc::clone(&self.counters),
        }
    }
}

impl<W> Intake<W> {
    /// A channel of [`CHANNEL_EVENTS_MAX`] events whose receiver is woken by `wake`, beside that of
    /// `batches`.
    pub(crate) fn new(
        wake: Arc<Wake>,
        counters: Arc<Counters>,
        batches: Batches<W>,
    ) -> (Self, Receiver<Received<W>>) {
        let (events, receiver) = bounded(CHANNEL_EVENTS_MAX);
        (Self { events, batches, wake, counters }, receiver)
    }

    /// The way in for batches.
    pub fn batches(&self) -> &Batches<W> {
        &self.batches
    }

    /// Hands one event over, or gives it back at once if the channel is full: it is shed.
    pub fn offer(&self, received: Received<W>) -> Result<(), Received<W>> {
        self.counters.received.add(1);
        match self.events.try_send(received) {
            Ok(()) => {
                self.wake.wake_for(|| self.events.len());
                Ok(())
            }
            Err(TrySendError::Full(received) | TrySendError::Disconnected(received)) => {
                self.counters.shed.add(1);
                Err(received)
            }
        }
    }
}
