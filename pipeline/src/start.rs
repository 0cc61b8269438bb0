//! Takes the shard, wires threads to graphs, and lets them run.

use std::{
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Nonce, Part},
};
use timely::{CommunicationConfig, WorkerConfig, communication::WorkerGuards};

use crate::{
    ack::Waiter,
    apply::{
        apply_counts::counts_channel,
        counts_writer::CountsWriter,
        feeder::Feeder,
        keep_pending::PendingHandle,
        keeper::{Keep, Keeper},
        store_details::details_writer,
        worker::{self as apply_worker, Apply, First},
    },
    counters::Counters,
    epochs::{EpochClock, OpenEpochs},
    feed::Feed,
    ingest::{
        sealer::{Sealer, Surroundings},
        worker::{self as ingest_worker, Ingest},
    },
    intake::Intake,
    ports::{
        clock::Clock,
        errors::{Claim, Errors},
        journal::{Acquired, Backlog, Journal, JournalFault, Progress},
    },
    settings::Settings,
    stop::Stop,
    wake::Wake,
};

/// The stores of one shard.
pub struct Stores {
    /// The journal's writing end.
    pub journal: Box<dyn Journal>,
    /// The journal's reading end.
    pub backlog: Box<dyn Backlog>,
    /// The tables.
    pub errors: Arc<dyn Errors>,
}

/// A running pipeline.
pub struct Pipeline<W> {
    /// The way in. Dropping it and all its clones drains the pipeline.
    pub intake: Intake<W>,
    /// Says why the pipeline must stop, if it must; whoever listens ends the process.
    pub stops: Receiver<Stop>,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// Epochs whose counts are pending.
    pub epochs: Arc<OpenEpochs>,
    /// Who it writes as.
    pub claim: Claim,
    /// Its threads.
    pub running: Running,
}

/// The threads of a pipeline.
pub struct Running {
    ingest: WorkerGuards<()>,
    apply: WorkerGuards<()>,
    keeper: JoinHandle<()>,
}

impl Running {
    /// Waits until all that was offered is settled, applied and trimmed. Blocks for as long as
    /// that takes; drop the [`Intake`] first.
    pub fn join(self) {
        // a worker that panicked has ended the process already
        drop(self.ingest.join());
        drop(self.apply.join());
        drop(self.keeper.join());
    }
}

/// Starts the pipeline. `nonce` is a fresh random number.
///
/// The tables need not answer: the guard rows are then taken when they do. An error means that the
/// journal could not be taken.
pub fn start<W: Waiter>(
    settings: &Settings,
    mut stores: Stores,
    clock: Arc<dyn Clock>,
    nonce: Nonce,
) -> Result<Pipeline<W>, JournalFault> {
    let at_least = tables_stand(settings, stores.errors.as_ref());
    let Acquired { armed, before } = stores.journal.acquire(nonce, at_least)?;
    let fence = *armed.fence();
    let claim = Claim { shard: settings.shard, term: fence.term, nonce: fence.nonce };
    tracing::info!(
        shard = claim.shard.0,
        term = claim.term.0,
        seq = fence.seq.0,
        before = before.seq.0,
        "shard taken"
    );
    let counters = Arc::new(Counters::default());
    let epochs = Arc::new(OpenEpochs::default());
    let (stops_sender, stops) = unbounded();
    let (confirmed_sender, confirmed) = unbounded();
    let (ingest_wake, apply_wake) = (Arc::new(Wake::default()), Arc::new(Wake::default()));
    let (intake, events) = Intake::new(Arc::clone(&ingest_wake), Arc::clone(&counters));
    let (feed, live) = Feed::new(fence, Arc::clone(&apply_wake), Arc::clone(&counters));
    let last = fence.epoch.max(at_least.epoch);
    let around = Surroundings {
        shard: settings.shard,
        clock: Arc::clone(&clock),
        wake: Arc::clone(&ingest_wake),
        counters: Arc::clone(&counters),
        ack_deadline: settings.ack_deadline,
    };
    let clock_of_epochs = EpochClock::new(last, settings.flush_interval);
    let ingest = Ingest {
        events,
        confirmed,
        sealer: Sealer::new(stores.journal, armed, clock_of_epochs, around),
        feed: Arc::clone(&feed),
        wake: ingest_wake,
        clock: Arc::clone(&clock),
        counters: Arc::clone(&counters),
        ack_deadline: settings.ack_deadline,
    };
    let (keeper_sender, asked) = bounded(KEEPER_ASKED_MAX);
    let (pages_sender, pages) = bounded(1);
    let keeper = Keeper {
        backlog: stores.backlog,
        errors: stores.errors.writer(),
        claim,
        epochs: Arc::clone(&epochs),
        asked,
        pages: pages_sender,
        wake: Arc::clone(&apply_wake),
        counters: Arc::clone(&counters),
    };
    let feeder = Feeder::new(
        settings.shard,
        (feed, live),
        (keeper_sender.clone(), pages),
        Arc::clone(&epochs),
        last,
    );
    let first = First {
        feeder,
        keeper: keeper_sender.clone(),
        wake: apply_wake,
        stops: stops_sender.clone(),
    };
    let sinks = Sinks {
        errors: stores.errors,
        claim,
        keeper: keeper_sender,
        confirmed: confirmed_sender,
        epochs: Arc::clone(&epochs),
        clock,
        counters: Arc::clone(&counters),
        stops: stops_sender.clone(),
    };
    let keeper = spawn("keeper", move || keeper.run());
    let apply = spawn_apply(settings.workers.get(), first, &sinks);
    let ingest = spawn_ingest(ingest, stops_sender);
    let running = Running { ingest, apply, keeper };
    Ok(Pipeline { intake, stops, counters, epochs, claim, running })
}

/// Requests that wait for the keeper.
const KEEPER_ASKED_MAX: usize = 1_024;

/// How far the tables have come, if they answer.
fn tables_stand(settings: &Settings, errors: &dyn Errors) -> Progress {
    match errors.writer().guards(settings.shard) {
        Ok(guards) => Progress {
            term: guards.iter().map(|guard| guard.term).max().unwrap_or_default(),
            seq: guards.iter().map(|guard| guard.seq).max().unwrap_or_default(),
            epoch: guards.iter().map(|guard| guard.epoch).max().unwrap_or_default(),
        },
        Err(fault) => {
            tracing::warn!(%fault, "tables do not answer, starting without them");
            Progress::default()
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.expect("the system has room for a thread at start")
}

/// One set of timely workers. They park at once when idle: spinning costs a core that the front
/// end and the stores need.
fn workers(
    count: usize,
    run: impl Fn(&mut timely::worker::Worker) + Send + Sync + 'static,
) -> WorkerGuards<()> {
    let communication = match count {
        1 => CommunicationConfig::Thread,
        count => CommunicationConfig::Process(count),
    };
    let worker = WorkerConfig::default().idle_spin(Duration::ZERO);
    let config = timely::Config { communication, worker };
    timely::execute(config, run).expect("workers within one process need nothing that can fail")
}

fn spawn_ingest<W: Waiter>(ingest: Ingest<W>, stops: Sender<Stop>) -> WorkerGuards<()> {
    let ingest = Mutex::new(Some(ingest));
    workers(1, move |worker| {
        let ingest = ingest.lock().ok().and_then(|mut ingest| ingest.take());
        if let Some(stop) = ingest.and_then(|ingest| ingest_worker::run(worker, ingest)) {
            // whoever listens ends the process
            let _ = stops.send(stop);
        }
    })
}

/// What every apply worker gets its own share of.
#[derive(Clone)]
struct Sinks {
    errors: Arc<dyn Errors>,
    claim: Claim,
    keeper: Sender<Keep>,
    confirmed: Sender<Vec<Fingerprint>>,
    epochs: Arc<OpenEpochs>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    stops: Sender<Stop>,
}

fn spawn_apply(count: usize, first: First, sinks: &Sinks) -> WorkerGuards<()> {
    let mut first = Some(first);
    let shares: Vec<_> =
        (0..count).map(|index| Some(sinks.share(index, count, first.take()))).collect();
    let shares = Mutex::new(shares);
    workers(count, move |worker| {
        let share = shares.lock().ok().and_then(|mut shares| shares[worker.index()].take());
        if let Some(apply) = share {
            apply_worker::run(worker, apply);
        }
    })
}

impl Sinks {
    /// The share of the worker `index` of `count`, with threads that write for it.
    fn share(&self, index: usize, count: usize, first: Option<First>) -> Apply {
        let (details, writer) = details_writer(
            self.errors.writer(),
            self.confirmed.clone(),
            Arc::clone(&self.counters),
        );
        spawn("details", move || writer.run());
        let (counts, channel) = counts_channel();
        let writer = CountsWriter {
            channel,
            errors: self.errors.writer(),
            claim: self.claim,
            parts: Part::all().filter(|part| part.index() % count == index).collect(),
            counters: Arc::clone(&self.counters),
            stops: self.stops.clone(),
        };
        spawn("counts", move || writer.run());
        Apply {
            details,
            pending: PendingHandle { keeper: self.keeper.clone() },
            counts,
            epochs: Arc::clone(&self.epochs),
            clock: Arc::clone(&self.clock),
            first,
        }
    }
}
