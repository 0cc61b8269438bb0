//! Takes the shard, wires threads to graphs, and lets them run.

use std::{
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Nonce, Part},
};
use timely::{CommunicationConfig, WorkerConfig, communication::WorkerGuards};

use crate::{
    ack::Waiter,
    apply::{
        apply_counts::counts_channel,
        counts_writer::CountsWriter,
        feeder::Feeder,
        graveyard::Graveyard,
        keep_pending::PendingHandle,
        keeper::{Keep, Keeper},
        retry::Retry,
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
    operators::Operators,
    ports::{
        clock::Clock,
        dead::Recovery,
        errors::{Claim, Errors},
        journal::{Acquired, Armed, Backlog, Fence, Journal, JournalFault, Page, Progress},
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
    /// What its operators do, if that is counted.
    pub operators: Option<Arc<Operators>>,
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
    tracing::info!(term = claim.term.0, seq = fence.seq.0, before = before.seq.0, "shard taken");
    let recovery = note_start(stores.backlog.as_mut(), &claim)?;
    let (stops_sender, stops) = unbounded();
    let (confirmed_sender, confirmed) = unbounded();
    let (keeper, asked) = bounded(KEEPER_ASKED_MAX);
    let shared = Shared {
        errors: stores.errors,
        claim,
        acquired: fence.epoch,
        keeper,
        confirmed: confirmed_sender,
        epochs: Arc::default(),
        clock,
        counters: Arc::default(),
        operators: settings.operator_metrics.then(Arc::default),
        stops: stops_sender,
        apply_wake: Arc::default(),
    };
    let (counters, epochs) = (Arc::clone(&shared.counters), Arc::clone(&shared.epochs));
    let operators = shared.operators.clone();
    epochs.ended(before.epoch, before.events);
    let wake = Arc::clone(&shared.apply_wake);
    let (feed, live) = Feed::new(fence, Arc::clone(&epochs), wake, Arc::clone(&counters));
    let (pages_sender, pages) = bounded(1);

    let keeper = shared.spawn_keeper((stores.backlog, recovery, fence), asked, pages_sender);
    let apply = shared.spawn_apply(settings.workers.get(), |keeper| {
        let (feed, epochs) = (Arc::clone(&feed), Arc::clone(&epochs));
        let recovered = (fence.epoch, recovery.is_careful());
        Feeder::new(settings.shard, (feed, live), (keeper, pages), epochs, recovered)
    });
    let (ingest, intake) = shared.spawn_ingest(settings, stores.journal, armed, confirmed, feed);
    let running = Running { ingest, apply, keeper };
    Ok(Pipeline { intake, stops, counters, operators, epochs, claim, running })
}

/// Counts this start until its recovery has come through.
fn note_start(backlog: &mut dyn Backlog, claim: &Claim) -> Result<Recovery, JournalFault> {
    let recovery = backlog.recovery()?.begun();
    let mut retry = Retry::default();
    while let Err(fault) = backlog.note_recovery(claim, &recovery) {
        if retry.failures() >= NOTE_RETRIES {
            return Err(fault);
        }
        retry.pause();
    }
    if recovery.is_careful() {
        let (starts, accused) = (recovery.starts, recovery.accused.0);
        tracing::error!(
            starts,
            accused,
            deaths = recovery.deaths,
            "the last starts did not come through their recovery: jobs are fed one at a time"
        );
    }
    Ok(recovery)
}

/// How often noting a start is tried again.
const NOTE_RETRIES: u32 = 6;

/// Requests that wait for the keeper.
const KEEPER_ASKED_MAX: usize = 1_024;

/// How far the tables have come, if they answer.
fn tables_stand(settings: &Settings, errors: &dyn Errors) -> Progress {
    match errors.writer().guards(settings.shard) {
        Ok(guards) => Progress {
            term: guards.iter().map(|guard| guard.term).max().unwrap_or_default(),
            seq: guards.iter().map(|guard| guard.seq).max().unwrap_or_default(),
            epoch: guards.iter().map(|guard| guard.epoch).max().unwrap_or_default(),
            applied: guards.iter().map(|guard| guard.epoch).min().unwrap_or_default(),
            events: guards.iter().map(|guard| guard.events).sum(),
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

/// What the threads share, or get their own share of.
#[derive(Clone)]
struct Shared {
    errors: Arc<dyn Errors>,
    claim: Claim,
    /// The fence's epoch when the shard was taken.
    acquired: Epoch,
    keeper: Sender<Keep>,
    confirmed: Sender<Vec<Fingerprint>>,
    epochs: Arc<OpenEpochs>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    operators: Option<Arc<Operators>>,
    stops: Sender<Stop>,
    apply_wake: Arc<Wake>,
}

impl Shared {
    fn spawn_keeper(
        &self,
        (backlog, recovery, fence): (Box<dyn Backlog>, Recovery, Fence),
        asked: Receiver<Keep>,
        pages: Sender<Page>,
    ) -> JoinHandle<()> {
        self.counters.unfinished_starts.set(recovery.starts);
        let graveyard = Graveyard::new(
            self.claim,
            fence,
            Arc::clone(&self.clock),
            Arc::clone(&self.epochs),
            Arc::clone(&self.counters),
        );
        let keeper = Keeper {
            backlog,
            errors: self.errors.writer(),
            claim: self.claim,
            epochs: Arc::clone(&self.epochs),
            asked,
            pages,
            wake: Arc::clone(&self.apply_wake),
            counters: Arc::clone(&self.counters),
            graveyard,
            recovery,
            stops: self.stops.clone(),
        };
        spawn("keeper", move || keeper.run())
    }

    fn spawn_ingest<W: Waiter>(
        &self,
        settings: &Settings,
        journal: Box<dyn Journal>,
        armed: Armed,
        confirmed: Receiver<Vec<Fingerprint>>,
        feed: Arc<Feed>,
    ) -> (WorkerGuards<()>, Intake<W>) {
        let wake = Arc::new(Wake::default());
        let (intake, events) = Intake::new(Arc::clone(&wake), Arc::clone(&self.counters));
        let around = Surroundings {
            shard: settings.shard,
            clock: Arc::clone(&self.clock),
            wake: Arc::clone(&wake),
            counters: Arc::clone(&self.counters),
            ack_deadline: settings.ack_deadline,
        };
        let epochs = EpochClock::new(armed.fence().epoch, settings.flush_interval);
        let ingest = Ingest {
            events,
            confirmed,
            sealer: Sealer::new(journal, armed, epochs, around),
            feed,
            wake,
            clock: Arc::clone(&self.clock),
            counters: Arc::clone(&self.counters),
            ack_deadline: settings.ack_deadline,
            operators: self.operators.clone(),
        };
        let (ingest, stops) = (Mutex::new(Some(ingest)), self.stops.clone());
        let guards = workers(1, move |worker| {
            let ingest = ingest.lock().ok().and_then(|mut ingest| ingest.take());
            if let Some(stop) = ingest.and_then(|ingest| ingest_worker::run(worker, ingest)) {
                // whoever listens ends the process
                let _ = stops.send(stop);
            }
        });
        (guards, intake)
    }

    fn spawn_apply(
        &self,
        count: usize,
        feeder: impl FnOnce(Sender<Keep>) -> Feeder,
    ) -> WorkerGuards<()> {
        let mut first = Some(First {
            feeder: feeder(self.keeper.clone()),
            keeper: self.keeper.clone(),
            wake: Arc::clone(&self.apply_wake),
            stops: self.stops.clone(),
        });
        let shares: Vec<_> =
            (0..count).map(|index| Some(self.apply_share(index, count, first.take()))).collect();
        let shares = Mutex::new(shares);
        workers(count, move |worker| {
            let share = shares.lock().ok().and_then(|mut shares| shares[worker.index()].take());
            if let Some(apply) = share {
                apply_worker::run(worker, apply);
            }
        })
    }

    /// The share of the apply worker `index` of `count`, with threads that write for it.
    fn apply_share(&self, index: usize, count: usize, first: Option<First>) -> Apply {
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
            acquired: self.acquired,
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
            operators: self.operators.clone(),
            first,
        }
    }
}
