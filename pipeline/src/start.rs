//! Takes the shard, wires threads to graphs, and lets them run.

mod foreign;
mod take;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Nonce, Part, Seq},
    recent_ids::RecentIds,
};
use timely::{CommunicationConfig, WorkerConfig, communication::WorkerGuards};

use crate::{
    ack::Waiter,
    apply::{
        apply_counts::counts_channel,
        counts_writer::{CountsWriter, WordsFirst},
        feeder::Feeder,
        graveyard::Graveyard,
        keep_pending::PendingHandle,
        keeper::{Keep, Keeper},
        merger::Merger,
        store_details::details_writer,
        worker::{self as apply_worker, Apply, First},
    },
    batches::Batches,
    counters::Counters,
    epochs::{EpochClock, OpenEpochs},
    feed::Feed,
    hold::Holding,
    ids::JournaledIds,
    ingest::{
        sealer::{Sealer, Surroundings},
        worker::{self as ingest_worker, Ingest},
    },
    intake::Intake,
    lookout::Lookout,
    operators::Operators,
    ports::{
        clock::Clock,
        dead::Recovery,
        errors::{Claim, Errors},
        holder::Place,
        journal::{Armed, Backlog, Fence, Journal, JournalFault, Page},
    },
    settings::{APPLY_ROWS, Settings},
    stop::Stop,
    wake::Wake,
    watchdog,
};
use take::Taken;

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
    /// Where [`Pipeline::stops`] comes from.
    told: Sender<Stop>,
}

impl<W> Pipeline<W> {
    /// Marks the shard as held by the process at `place`, until it is released or another takes
    /// over. `backlog` is a handle of its own, so that no beat waits for a page or a trim.
    pub fn hold(&self, backlog: Box<dyn Backlog>, place: Place) -> Holding {
        Holding::start(backlog, &self.claim, place, self.told.clone())
    }
}

/// The threads of a pipeline.
pub struct Running {
    ingest: WorkerGuards<()>,
    apply: WorkerGuards<()>,
    keeper: JoinHandle<()>,
    /// Ends the watchdog when it is dropped.
    watchdog: Option<Sender<()>>,
}

impl Running {
    /// Waits until all that was offered is settled, applied and trimmed. Blocks for as long as
    /// that takes; drop the [`Intake`] first.
    pub fn join(self) {
        // a worker that panicked has ended the process already
        drop(self.ingest.join());
        drop(self.apply.join());
        drop(self.keeper.join());
        drop(self.watchdog);
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
    let Taken { armed, base, before, unseen, applied, recovery, journaled, ids } =
        take::take(settings, &mut stores, &*clock, nonce)?;
    let fence = *armed.fence();
    let claim = Claim { shard: settings.shard, term: fence.term, nonce: fence.nonce };
    let (stops_sender, stops) = unbounded();
    let (confirmed_sender, confirmed) = unbounded();
    let (keeper, asked) = bounded(KEEPER_ASKED_MAX);
    let shared = Shared {
        errors: stores.errors,
        claim,
        acquired: fence.epoch,
        unseen,
        keeper,
        confirmed: confirmed_sender,
        epochs: Arc::default(),
        journaled,
        clock,
        counters: Arc::default(),
        operators: settings.operator_metrics.then(Arc::default),
        stops: stops_sender.clone(),
        apply_wake: Arc::default(),
    };
    let (counters, epochs) = (Arc::clone(&shared.counters), Arc::clone(&shared.epochs));
    let operators = shared.operators.clone();
    epochs.ended(before.epoch, before.events);
    let wake = Arc::clone(&shared.apply_wake);
    let (feed, live) = Feed::new(
        fence,
        settings.backlog_bytes_max,
        Arc::clone(&epochs),
        wake,
        Arc::clone(&counters),
    );
    let (pages_sender, pages) = bounded(1);

    let ingest_wake = Arc::new(Wake::default());
    let lookout = Arc::new(Lookout::new(fence.seq, Arc::clone(&ingest_wake)));
    lookout.note_applied(Seq(base.0.saturating_sub(1)));
    let keeper = shared.spawn_keeper(
        settings,
        (stores.backlog, recovery, fence, applied),
        (&feed, Arc::clone(&lookout)),
        (asked, pages_sender),
    );
    let apply = shared.spawn_apply(settings.workers.get(), |keeper| {
        let standing = (Arc::clone(&epochs), Arc::clone(&shared.journaled));
        Feeder::new(
            &claim,
            (Arc::clone(&feed), live),
            (keeper, pages),
            standing,
            (fence.epoch, recovery.is_careful()),
            settings.backlog_bytes_max,
        )
    });
    let (ingest, intake) = shared.spawn_ingest(
        settings,
        (stores.journal, armed, before, ids),
        confirmed,
        feed,
        (ingest_wake, lookout),
    );
    let watchdog = settings
        .watchdog
        .map(|still_max| watchdog::start(Arc::clone(&counters), still_max, stops_sender.clone()));
    let running = Running { ingest, apply, keeper, watchdog };
    let told = stops_sender;
    Ok(Pipeline { intake, stops, counters, operators, epochs, claim, running, told })
}

/// Requests that wait for the keeper.
const KEEPER_ASKED_MAX: usize = 1_024;

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
    /// Where the journal stood, as far as the tables go along with it, if they did not say where they
    /// are.
    unseen: Option<Fence>,
    keeper: Sender<Keep>,
    confirmed: Sender<Vec<Fingerprint>>,
    epochs: Arc<OpenEpochs>,
    journaled: Arc<JournaledIds>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    operators: Option<Arc<Operators>>,
    stops: Sender<Stop>,
    apply_wake: Arc<Wake>,
}

impl Shared {
    fn spawn_keeper(
        &self,
        settings: &Settings,
        (backlog, recovery, fence, applied): (Box<dyn Backlog>, Recovery, Fence, Epoch),
        (feed, lookout): (&Arc<Feed>, Arc<Lookout>),
        (asked, pages): (Receiver<Keep>, Sender<Page>),
    ) -> JoinHandle<()> {
        self.counters.unfinished_starts.set(recovery.starts);
        let graveyard = Graveyard::new(
            self.claim,
            fence,
            Arc::clone(&self.clock),
            Arc::clone(&self.epochs),
            Arc::clone(&self.counters),
        );
        let merger = Merger::new(self.claim.term, Arc::clone(feed), settings.flush_interval);
        let keeper = Keeper {
            backlog,
            errors: self.errors.writer(),
            claim: self.claim,
            feed: Arc::clone(feed),
            epochs: Arc::clone(&self.epochs),
            journaled: Arc::clone(&self.journaled),
            clock: Arc::clone(&self.clock),
            asked,
            pages,
            wake: Arc::clone(&self.apply_wake),
            counters: Arc::clone(&self.counters),
            lookout,
            applied,
            recent: VecDeque::new(),
            again: None,
            stops: self.stops.clone(),
            merger,
            trim_lag: settings.trim_lag,
            lagging: VecDeque::new(),
            apart: None,
            graveyard,
            recovery,
        };
        spawn("keeper", move || keeper.run())
    }

    fn spawn_ingest<W: Waiter>(
        &self,
        settings: &Settings,
        (journal, armed, before, ids): (Box<dyn Journal>, Armed, Fence, RecentIds<u64>),
        confirmed: Receiver<Vec<Fingerprint>>,
        feed: Arc<Feed>,
        (wake, lookout): (Arc<Wake>, Arc<Lookout>),
    ) -> (WorkerGuards<()>, Intake<W>) {
        let (batches, boarding) = Batches::new(Arc::clone(&wake), Arc::clone(&self.counters));
        let (intake, events) = Intake::new(Arc::clone(&wake), Arc::clone(&self.counters), batches);
        let around = Surroundings {
            shard: settings.shard,
            clock: Arc::clone(&self.clock),
            wake: Arc::clone(&wake),
            counters: Arc::clone(&self.counters),
            lookout,
            ack_deadline: settings.ack_deadline,
        };
        let epochs =
            EpochClock::new(self.acquired, settings.flush_interval, settings.epoch_bytes_max());
        let ingest = Ingest {
            events,
            boarding,
            confirmed,
            sealer: Sealer::new(journal, (armed, before), epochs, around),
            ids,
            feed,
            wake,
            clock: Arc::clone(&self.clock),
            counters: Arc::clone(&self.counters),
            ack_deadline: settings.ack_deadline,
            operators: self.operators.clone(),
        };
        let (ingest, stops) = (Mutex::new(Some(ingest)), self.stops.clone());
        let counters = Arc::clone(&self.counters);
        let guards = workers(1, move |worker| {
            let ingest = ingest.lock().ok().and_then(|mut ingest| ingest.take());
            let stop = ingest.and_then(|ingest| ingest_worker::run(worker, ingest));
            counters.pulse.ingest_ended.set(1);
            if let Some(stop) = stop {
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
            self.claim.shard,
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
            unseen: self.unseen,
            words: WordsFirst::none(),
            parts: Part::owned(index, count).collect(),
            rows_max: APPLY_ROWS,
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
