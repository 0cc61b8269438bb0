//! New errors' words go to the tables at once.

use std::{collections::VecDeque, sync::Arc};

use crossbeam_channel::{Receiver, Sender, bounded};
use errsift_ops::{fingerprint::Fingerprint, id::Shard};
use timely::{
    container::CapacityContainerBuilder,
    dataflow::{
        StreamVec,
        channels::pact::Pipeline,
        operators::{Capability, Operator},
    },
    scheduling::SyncActivator,
};

use crate::{
    apply::retry::Retry,
    counters::{Counter, Counters},
    failpoints,
    ports::errors::{DeadLetters, DetailsRow, ErrorsFault, ErrorsWriter},
    settings::DETAILS_ROWS,
};

/// The worker's end of the thread that writes details: one batch is with it at a time.
pub(crate) struct DetailsHandle {
    /// Bytes of text that have come in and are not stored.
    pub(crate) waiting: Arc<Counter>,
    /// Rows in one call to the tables.
    pub(crate) rows_max: usize,
    batches: Sender<(Vec<DetailsRow>, SyncActivator)>,
    stored: Receiver<()>,
}

/// The thread's end.
pub(crate) struct DetailsWriter {
    batches: Receiver<(Vec<DetailsRow>, SyncActivator)>,
    stored: Sender<()>,
    errors: Box<dyn ErrorsWriter>,
    shard: Shard,
    confirmed: Sender<Vec<Fingerprint>>,
    counters: Arc<Counters>,
}

/// Both ends. Fingerprints whose words are stored, be it as dead letters of `shard`, are told to
/// `confirmed`.
pub(crate) fn details_writer(
    errors: Box<dyn ErrorsWriter>,
    shard: Shard,
    confirmed: Sender<Vec<Fingerprint>>,
    counters: Arc<Counters>,
) -> (DetailsHandle, DetailsWriter) {
    let (send_batch, batches) = bounded(1);
    let (send_stored, stored) = bounded(1);
    let writer = DetailsWriter { batches, stored: send_stored, errors, shard, confirmed, counters };
    let handle = DetailsHandle {
        waiting: Arc::default(),
        rows_max: DETAILS_ROWS,
        batches: send_batch,
        stored,
    };
    (handle, writer)
}

impl DetailsWriter {
    /// Stores batch after batch until the worker is gone. Storing again what is stored changes
    /// nothing, so every failure is simply tried again.
    pub(crate) fn run(mut self) {
        let mut retry = Retry::default();
        while let Ok((rows, activator)) = self.batches.recv() {
            let call = self.counters.pulse.call();
            failpoints::pass("details_begin");
            let dead = loop {
                let fault = match self.errors.insert_details(self.shard, &rows) {
                    Ok(dead) => break dead,
                    Err(fault) => fault,
                };
                self.counters.errors_retries.add(1);
                self.counters.errors_failing.add(u64::from(retry.failures() == 0));
                if retry.worth_a_line() {
                    report(&fault, retry.failures());
                }
                retry.pause();
            };
            self.counters.errors_failing.sub(u64::from(retry.failures() > 0));
            retry.succeeded();
            drop(call);
            failpoints::pass("details_stored");
            if dead != DeadLetters::default() {
                set_aside(&self.counters, dead);
            }
            self.counters.details_rows.add((rows.len() as u64).saturating_sub(dead.rows));
            // either end is gone only when the process ends
            let _ =
                self.confirmed.send(rows.into_iter().map(|(fingerprint, _)| fingerprint).collect());
            let _ = self.stored.send(());
            let _ = activator.activate();
        }
    }
}

/// Counts what the tables refuse as data, and says so.
pub(crate) fn set_aside(counters: &Counters, dead: DeadLetters) {
    let DeadLetters { rows, events } = dead;
    counters.set_aside_rows.add(rows);
    counters.set_aside.add(events);
    // until the tables are asked again, which settles whatever crosses this
    counters.dead_letters.add(rows);
    counters.dead.add(events);
    tracing::error!(rows, events, "tables refuse rows, set aside: see errsift dead list");
}

/// Says why the tables were not written.
pub(crate) fn report(fault: &ErrorsFault, failures: u32) {
    match fault {
        ErrorsFault::Denied(_) => tracing::error!(%fault, failures, "tables refuse, trying again"),
        ErrorsFault::Transient(_) | ErrorsFault::Unknown(_) => {
            tracing::warn!(%fault, failures, "tables not written, trying again");
        }
    }
}

/// The sink of `first_seen`.
pub(crate) trait StoreDetails<'scope> {
    /// Holds each time until the details that came at it are stored; emits nothing.
    fn store_details(self, handle: DetailsHandle) -> StreamVec<'scope, u64, ()>;
}

impl<'scope> StoreDetails<'scope> for StreamVec<'scope, u64, DetailsRow> {
    fn store_details(self, handle: DetailsHandle) -> StreamVec<'scope, u64, ()> {
        let worker = self.scope().worker();
        self.unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
            Pipeline,
            "StoreDetails",
            move |_capability, info| {
                let activator = worker.sync_activator_for(info.address.to_vec());
                let mut waiting: VecDeque<(Capability<u64>, Vec<DetailsRow>)> = VecDeque::new();
                let mut out: Option<(Capability<u64>, u64)> = None;
                move |input, output| {
                    input.for_each_stamp(|time, rows| {
                        let Some(time) = time.retain_least(output.output_index()) else {
                            return;
                        };
                        for row in rows.flat_map(|rows| rows.drain(..)) {
                            handle.waiting.add(row.1.payload.text_bytes() as u64);
                            match waiting.back_mut() {
                                Some((at, rows)) if *at == time && rows.len() < handle.rows_max => {
                                    rows.push(row);
                                }
                                _ => waiting.push_back((time.clone(), vec![row])),
                            }
                        }
                    });
                    if handle.stored.try_recv().is_ok()
                        && let Some((_time, bytes)) = out.take()
                    {
                        handle.waiting.sub(bytes);
                    }
                    if out.is_none()
                        && let Some((time, rows)) = waiting.pop_front()
                    {
                        let bytes = rows.iter().map(|(_, details)| details.payload.text_bytes());
                        out = Some((time, bytes.sum::<usize>() as u64));
                        // room for one, and none is with the thread
                        let _ = handle.batches.send((rows, activator.clone()));
                    }
                }
            },
        )
    }
}
