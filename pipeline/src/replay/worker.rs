//! The replay workers' loop: log by log, take, fold, step.

use std::{collections::VecDeque, rc::Rc, sync::Arc, thread, time::Duration};

use crossbeam_channel::{Sender, unbounded};
use errsift_ops::{
    flight::Entry,
    id::{Epoch, Part, Seq},
    recorded::{fold::Fold, passed_on::Place, seen::Folded},
};
use timely::{
    dataflow::{InputHandleVec, ProbeHandle},
    worker::Worker,
};

use super::{HELD_BYTES, RANGES_OPEN_MAX, Shared, WAITING_BYTES_MAX, agree::agree, graph};
use crate::{
    apply::{
        apply_counts::{ClosedEpoch, ClosedEpochs, CountsHandle, counts_channel},
        counts_writer::{CountsWriter, WordsFirst},
        store_details::{DetailsHandle, details_writer},
    },
    ports::{
        recording::{Chunk, Opened, Plan, Recording, Taken},
        words::WordsFrontier,
    },
    settings::{REPLAY_APPLY_ROWS, REPLAY_DETAILS_ROWS},
    stop::Stop,
};

/// How long a worker waits for a chunk, or for anything while it may take none.
const WAIT: Duration = Duration::from_millis(1);

/// Runs until there is no log left.
pub(super) fn run(worker: &mut Worker, shared: &Shared) {
    let passed_on = Arc::clone(&shared.passed_on);
    let mut fold = Fold::beside(shared.replay.rules.clone(), passed_on);
    let met = graph::Met::default();
    loop {
        let plan: Option<Plan> = agree(worker, || shared.replay.recordings.next());
        let Some(plan) = plan else { return };
        match shared.replay.recordings.open(&plan) {
            Ok(opened) => one(worker, shared, (&plan, opened), &mut fold, &met),
            Err(fault) => {
                stop(&shared.stops, Stop::Unreadable(fault.0));
                return;
            }
        }
    }
}

/// Replays one log.
fn one(
    worker: &mut Worker,
    shared: &Shared,
    (plan, opened): (&Plan, Opened),
    fold: &mut Fold,
    met: &graph::Met,
) {
    let words = Arc::new(WordsFrontier::new(Some(0)));
    let sinks = sinks(worker, shared, plan, Arc::clone(&words));
    let ranges = Ranges { recording: Arc::clone(&opened.recording), stops: shared.stops.clone() };
    let (input, applied) = worker.dataflow_named::<u64, _, _>("Replay", |scope| {
        let met = (Rc::clone(met), Arc::clone(&shared.distinct));
        graph::replay(scope, met, ranges, (words, sinks))
    });
    let mut reader = Reader {
        shared,
        index: plan.index,
        opened,
        input: Some(input),
        fold,
        chunk: Chunk::default(),
        open: VecDeque::new(),
    };
    while !applied.done() {
        if reader.turn(&applied) {
            worker.step();
        } else {
            worker.step_or_park(Some(WAIT));
        }
    }
}

/// This worker's threads that write.
fn sinks(
    worker: &Worker,
    shared: &Shared,
    plan: &Plan,
    words: Arc<WordsFrontier>,
) -> (DetailsHandle, CountsHandle) {
    // nobody asks which words are stored: each fold passes them on once
    let (confirmed, _) = unbounded();
    let errors = &shared.replay.errors;
    let counters = || Arc::clone(&shared.counters);
    let (mut details, writer) = details_writer(errors.writer(), plan.shard, confirmed, counters());
    details.waiting = Arc::clone(&shared.waiting);
    details.held_bytes = HELD_BYTES;
    details.rows_max = REPLAY_DETAILS_ROWS;
    spawn("details", move || writer.run());
    let (counts, channel) = counts_channel();
    let (index, peers) = (worker.index(), worker.peers());
    let writer = CountsWriter {
        channel,
        errors: errors.writer(),
        claim: plan.claim(),
        // the log says where epochs are, and no clock
        acquired: Epoch(u64::MAX),
        unseen: None,
        words: WordsFirst {
            frontier: words,
            waiting: Arc::clone(&shared.waiting),
            beside_bytes: HELD_BYTES,
        },
        parts: Part::owned(index, peers).collect(),
        rows_max: REPLAY_APPLY_ROWS,
        counters: counters(),
        stops: shared.stops.clone(),
    };
    spawn("counts", move || writer.run());
    (details, counts)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    drop(thread.expect("the system has room for a thread"));
}

/// Whoever listens ends the process.
fn stop(stops: &Sender<Stop>, stop: Stop) {
    let _ = stops.send(stop);
}

/// What one worker reads of one log.
struct Reader<'a> {
    shared: &'a Shared,
    index: usize,
    opened: Opened,
    input: Option<InputHandleVec<u64, Entry>>,
    fold: &'a mut Fold,
    chunk: Chunk,
    /// Ranges that this worker has fed and that were not applied when it last looked.
    open: VecDeque<u64>,
}

impl Reader<'_> {
    /// Folds a chunk if there is one and it may; says whether there may be more at once.
    fn turn(&mut self, applied: &ProbeHandle<u64>) -> bool {
        let Some(input) = &mut self.input else { return false };
        while self.open.front().is_some_and(|range| !applied.less_equal(range)) {
            self.open.pop_front();
        }
        if self.open.len() >= RANGES_OPEN_MAX || self.shared.waiting.get() > WAITING_BYTES_MAX {
            return false;
        }
        let used = std::mem::take(&mut self.chunk);
        match self.opened.recording.take(used, WAIT) {
            Ok(Taken::Chunk(chunk)) => {
                if chunk.range > *input.time() {
                    close(self.fold, input, &mut self.open);
                    input.advance_to(chunk.range);
                }
                self.chunk = chunk;
                self.fold_chunk();
                true
            }
            Ok(Taken::Wait) => true,
            Ok(Taken::End) => {
                close(self.fold, input, &mut self.open);
                self.input = None;
                true
            }
            Err(fault) => {
                stop(&self.shared.stops, Stop::Unreadable(fault.0));
                thread::sleep(Duration::from_millis(20));
                false
            }
        }
    }

    fn fold_chunk(&mut self) {
        let Some(input) = &mut self.input else { return };
        let (shared, chunk) = (self.shared, &self.chunk);
        let mut folded = Folded::default();
        let now = shared.replay.clock.wall();
        self.fold.goes_on_at(Place { log: self.index as u64, range: chunk.range });
        self.fold.chunk(&self.opened.form, chunk.records(), chunk.at, now, &mut folded);
        for entry in folded.first.drain(..) {
            input.send(entry);
        }
        input.flush();
        shared.replay.recordings.folded(self.index, chunk.span.len() as u64, &mut folded);
    }
}

/// Sends all that is folded of the range that `input` is at.
fn close(fold: &mut Fold, input: &mut InputHandleVec<u64, Entry>, open: &mut VecDeque<u64>) {
    for entry in fold.drain() {
        input.send(entry);
    }
    if *input.time() > 0 {
        open.push_back(*input.time());
    }
}

/// The ranges of a log, as [`ApplyCounts`](crate::apply::apply_counts::ApplyCounts) asks for them.
pub(super) struct Ranges {
    recording: Arc<dyn Recording>,
    stops: Sender<Stop>,
}

impl ClosedEpochs for Ranges {
    fn between(&self, after: Epoch, open: Option<Epoch>) -> Vec<ClosedEpoch> {
        match self.recording.closed(after.0, open.map(|open| open.0)) {
            Ok(closed) => closed
                .into_iter()
                .map(|closed| ClosedEpoch {
                    time: Epoch(closed.range),
                    epoch: closed.end,
                    seq: Seq(closed.end.0),
                })
                .collect(),
            Err(fault) => {
                stop(&self.stops, Stop::Unreadable(fault.0));
                Vec::new()
            }
        }
    }
}
