//! New errors' words go to the tables at once.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::OccupiedEntry},
    sync::Arc,
};

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
    /// How many of them are held while more may come at their time: the tables take many rows in
    /// less time than few at a time.
    pub(crate) held_bytes: u64,
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
        held_bytes: 0,
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
        self.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
            Pipeline,
            "StoreDetails",
            move |_capability, info| {
                let activator = worker.sync_activator_for(info.address.to_vec());
                let mut waiting: BTreeMap<u64, Waiting> = BTreeMap::new();
                let mut out: Option<(Capability<u64>, u64)> = None;
                move |(input, frontier), output| {
                    input.for_each_stamp(|time, rows| {
                        let Some(time) = time.retain_least(output.output_index()) else {
                            return;
                        };
                        let (_, waiting) =
                            waiting.entry(*time.time()).or_insert_with(|| (time, VecDeque::new()));
                        for row in rows.flat_map(|rows| rows.drain(..)) {
                            handle.waiting.add(row.1.payload.text_bytes() as u64);
                            waiting.push_back(row);
                        }
                    });
                    if handle.stored.try_recv().is_ok()
                        && let Some((_time, bytes)) = out.take()
                    {
                        handle.waiting.sub(bytes);
                    }
                    let is_full = handle.waiting.get() >= handle.held_bytes;
                    if out.is_none()
                        && let Some(first) = waiting.first_entry()
                        && (is_full || !frontier.less_equal(first.key()))
                    {
                        let (time, rows) = take(first, handle.rows_max);
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

/// Rows of a time that are not with the thread, and what holds it.
type Waiting = (Capability<u64>, VecDeque<DetailsRow>);

/// The first rows of a time, at most `rows_max`.
fn take(
    mut first: OccupiedEntry<'_, u64, Waiting>,
    rows_max: usize,
) -> (Capability<u64>, Vec<DetailsRow>) {
    let (time, rows) = first.get_mut();
    if rows.len() > rows_max {
        return (time.clone(), rows.drain(..rows_max).collect());
    }
    let (time, rows) = first.remove();
    (time, rows.into())
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use crossbeam_channel::unbounded;
    use errsift_ops::{event::Payload, fingerprint::RULE, flight::Details};
    use timely::dataflow::operators::{
        Probe,
        vec::{Input, UnorderedInput},
    };

    use super::*;
    use crate::{conformance::fingerprint, memory::MemoryErrors, ports::errors::Errors};

    fn row(number: u32) -> DetailsRow {
        let payload = Payload { message: "0123456789".to_owned(), ..Payload::default() };
        (fingerprint(1, number), Arc::new(Details { rule: RULE, payload }))
    }

    /// A handle whose words are held up to so many bytes, and what is stored.
    fn held(bytes: u64) -> (DetailsHandle, Receiver<Vec<Fingerprint>>) {
        let (confirmed, stored) = unbounded();
        let errors = MemoryErrors::default();
        let (mut handle, writer) =
            details_writer(errors.writer(), Shard(1), confirmed, Arc::default());
        handle.held_bytes = bytes;
        drop(thread::spawn(move || writer.run()));
        (handle, stored)
    }

    #[test]
    fn words_are_held_until_they_are_many_or_no_more_come() {
        timely::execute_directly(|worker| {
            let (handle, stored) = held(100);
            let waiting = Arc::clone(&handle.waiting);
            let (mut input, probe) = worker.dataflow::<u64, _, _>(|scope| {
                let (input, rows) = scope.new_input();
                (input, rows.store_details(handle).probe().0)
            });
            input.advance_to(1);
            let mut step = |rows: std::ops::Range<u32>| {
                rows.for_each(|number| input.send(row(number)));
                input.flush();
                for _ in 0..20 {
                    worker.step();
                    thread::sleep(Duration::from_millis(1));
                }
                stored.try_iter().map(|batch: Vec<_>| batch.len()).sum::<usize>()
            };
            assert_eq!(step(0..9), 0);
            assert_eq!(step(9..12), 12);
            assert_eq!((step(12..13), waiting.get()), (0, 10));
            input.advance_to(2);
            while probe.less_equal(&1) {
                worker.step_or_park(Some(Duration::from_millis(1)));
            }
            assert_eq!((stored.try_iter().count(), waiting.get()), (1, 0));
            // more than one call takes
            (20..=20 + 2_000).for_each(|number| input.send(row(number)));
            input.close();
            while !probe.done() {
                worker.step_or_park(Some(Duration::from_millis(1)));
            }
            let calls = stored.try_iter().map(|batch: Vec<_>| batch.len());
            assert_eq!(calls.collect::<Vec<_>>(), [1_000, 1_000, 1]);
        });
    }

    #[test]
    fn an_earlier_time_does_not_wait_for_a_later_one() {
        timely::execute_directly(|worker| {
            let (handle, stored) = held(u64::MAX);
            let ((mut input, now), probe) = worker.dataflow::<u64, _, _>(|scope| {
                let (input, rows) = scope.new_unordered_input();
                (input, rows.store_details(handle).probe().0)
            });
            let [later, earlier] = [2, 1].map(|time| now.delayed(&time));
            drop(now);
            // as from two workers, one of which is ahead
            for (at, number) in [(&later, 2), (&earlier, 1)] {
                input.activate().session(at).give(row(number));
                worker.step();
            }
            drop(earlier);
            for _ in 0..5_000 {
                if !probe.less_equal(&1) {
                    break;
                }
                worker.step_or_park(Some(Duration::from_millis(1)));
            }
            assert!(!probe.less_equal(&1), "time 1 waits for time 2");
            assert_eq!(stored.try_iter().flatten().collect::<Vec<_>>(), [row(1).0]);
            drop(later);
            while !probe.done() {
                worker.step_or_park(Some(Duration::from_millis(1)));
            }
        });
    }
}
