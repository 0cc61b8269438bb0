//! One door for the pipeline's tests: a clock that ticks, waiters that write down what they hear,
//! and runs over given stores.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use errsift_ops::{decode::Received, fingerprint::Fingerprint, id::Nonce, timestamp::Timestamp};
use errsift_pipeline::{
    ack::{Outcome, Waiter},
    counters::Counters,
    memory::MemoryJournal,
    ports::{
        clock::Clock,
        errors::{
            Applied, Claim, DeadLetters, DetailsRow, ErrorRow, Errors, ErrorsFault, ErrorsReader,
            ErrorsWriter, Guards, Range, Settled,
        },
        heal::Heal,
        journal::{
            Acquired, Armed, Commit, CommitDone, CommitFault, FenceDone, Journal, JournalFault,
            Progress,
        },
    },
    settings::Settings,
    start::{Pipeline, Stores, start},
};

/// When the ticking clock starts.
pub const START_MS: i64 = 1_700_000_000_000;

/// Moves some milliseconds on each time it is read, so that pauses and epochs end without waiting.
#[derive(Debug)]
pub struct Ticking {
    now_ms: AtomicI64,
    step_ms: i64,
}

impl Clock for Ticking {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(START_MS + self.now_ms.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.now_ms.fetch_add(self.step_ms, Ordering::Relaxed).unsigned_abs())
    }
}

/// Writes down what became of the event it carries the number of.
#[derive(Debug)]
pub struct Noting(pub usize, pub Sender<Heard>);

impl Waiter for Noting {
    fn answer(self, outcome: Outcome) {
        self.1.send((self.0, outcome)).unwrap();
    }
}

/// A journal that answers from a thread of its own, a little later, as a server does.
pub struct Late {
    journal: MemoryJournal,
    commits: Sender<(Commit, CommitDone)>,
}

impl Late {
    pub fn new(journal: &MemoryJournal) -> Self {
        let (commits, arriving) = channel::<(Commit, CommitDone)>();
        let mut server = journal.clone();
        std::thread::spawn(move || {
            for (commit, done) in arriving {
                std::thread::sleep(Duration::from_micros(200));
                server.commit(commit, done);
            }
        });
        Self { journal: journal.clone(), commits }
    }
}

impl Journal for Late {
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        self.journal.acquire(nonce, at_least)
    }

    fn commit(&mut self, commit: Commit, done: CommitDone) {
        self.commits.send((commit, done)).unwrap();
    }

    fn confirm(&mut self, armed: Armed, done: CommitDone) {
        self.journal.confirm(armed, done);
    }

    fn rearm(&mut self, done: FenceDone) {
        self.journal.rearm(done);
    }

    fn heal(&mut self, heal: Heal, done: FenceDone) {
        self.journal.heal(heal, done);
    }
}

/// A journal that refuses every commit while it is broken.
pub struct Breaking {
    pub journal: MemoryJournal,
    pub broken: Arc<AtomicBool>,
}

impl Journal for Breaking {
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        self.journal.acquire(nonce, at_least)
    }

    fn commit(&mut self, commit: Commit, done: CommitDone) {
        if self.broken.load(Ordering::Relaxed) {
            let reason = "broken".to_owned();
            done(Err(CommitFault::Refused { reason, armed: Some(commit.armed) }));
        } else {
            self.journal.commit(commit, done);
        }
    }

    fn confirm(&mut self, armed: Armed, done: CommitDone) {
        self.journal.confirm(armed, done);
    }

    fn rearm(&mut self, done: FenceDone) {
        self.journal.rearm(done);
    }

    fn heal(&mut self, heal: Heal, done: FenceDone) {
        self.journal.heal(heal, done);
    }
}

/// Tables that never answer.
#[derive(Debug)]
pub struct Away;

fn away<T>() -> Result<T, ErrorsFault> {
    Err(ErrorsFault::Transient("away".to_owned()))
}

impl Errors for Away {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(Away)
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        Box::new(Away)
    }
}

impl ErrorsWriter for Away {
    fn take_guards(&mut self, _: &Claim) -> Result<Guards, ErrorsFault> {
        away()
    }

    fn insert_details(
        &mut self,
        _: errsift_ops::id::Shard,
        _: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault> {
        away()
    }

    fn apply(&mut self, _: &Claim, _: &Range<'_>) -> Result<Applied, ErrorsFault> {
        away()
    }

    fn guards(&mut self, _: errsift_ops::id::Shard) -> Result<Guards, ErrorsFault> {
        away()
    }

    fn settled(&mut self, _: errsift_ops::id::Shard) -> Result<Settled, ErrorsFault> {
        away()
    }
}

impl ErrorsReader for Away {
    fn read(
        &mut self,
        _: errsift_ops::id::Shard,
        _: &Fingerprint,
    ) -> Result<ErrorRow, ErrorsFault> {
        away()
    }
}

/// Which event, and what became of it.
type Heard = (usize, Outcome);

/// A pipeline that is left as it is when a test fails: draining what the test has broken on purpose
/// may never end, and nobody would hear what failed.
pub struct Held(Option<Pipeline<Noting>>);

impl Deref for Held {
    type Target = Pipeline<Noting>;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().unwrap()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget(self.0.take());
        }
    }
}

/// A pipeline under test, and what its waiters have heard.
pub struct Run {
    pub pipeline: Held,
    clock: Arc<Ticking>,
    heard: (Sender<Heard>, Receiver<Heard>),
    offered: usize,
}

/// Settings with short epochs.
pub fn settings(workers: usize) -> Settings {
    Settings {
        flush_interval: Duration::from_millis(100),
        workers: workers.try_into().unwrap(),
        ..Settings::default()
    }
}

impl Run {
    /// Starts a pipeline that takes the shard as writer `nonce`.
    pub fn start(settings: &Settings, stores: Stores, nonce: u64) -> Self {
        Self::start_with_step(settings, stores, nonce, 1)
    }

    /// The same with stores that may not let a process start: another is started then, as by a
    /// supervisor.
    pub fn start_among_faults(
        settings: &Settings,
        stores: impl Fn() -> Stores,
        nonce: u64,
    ) -> Self {
        const STARTS_MAX: u64 = 20;
        let clock = Arc::new(Ticking { now_ms: AtomicI64::new(0), step_ms: 1 });
        for start_number in 0..STARTS_MAX {
            let nonce = Nonce(nonce + start_number * 1_000);
            let clock_port = Arc::clone(&clock) as Arc<dyn Clock>;
            if let Ok(pipeline) = start(settings, stores(), clock_port, nonce) {
                return Self::of(pipeline, clock);
            }
        }
        panic!("no process could start");
    }

    /// The same with a clock that moves by `step_ms`.
    pub fn start_with_step(settings: &Settings, stores: Stores, nonce: u64, step_ms: i64) -> Self {
        let clock = Ticking { now_ms: AtomicI64::new(0), step_ms };
        Self::start_with_clock(settings, stores, nonce, clock)
    }

    /// The same, so many milliseconds after the first start.
    pub fn start_at(settings: &Settings, stores: Stores, nonce: u64, now_ms: i64) -> Self {
        let clock = Ticking { now_ms: AtomicI64::new(now_ms), step_ms: 1 };
        Self::start_with_clock(settings, stores, nonce, clock)
    }

    fn start_with_clock(settings: &Settings, stores: Stores, nonce: u64, clock: Ticking) -> Self {
        let clock = Arc::new(clock);
        let pipeline =
            start(settings, stores, Arc::clone(&clock) as Arc<dyn Clock>, Nonce(nonce)).unwrap();
        Self::of(pipeline, clock)
    }

    fn of(pipeline: Pipeline<Noting>, clock: Arc<Ticking>) -> Self {
        Self { pipeline: Held(Some(pipeline)), clock, heard: channel(), offered: 0 }
    }

    /// Lets this much time pass at once.
    pub fn pass(&self, ms: i64) {
        self.clock.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Offers an event with this body; the channel must have room.
    pub fn offer(&mut self, body: &str) {
        let waiter = Noting(self.offered, self.heard.0.clone());
        self.offered += 1;
        let at = self.clock.wall();
        let received = Received { body: body.to_owned().into(), at, service: None, waiter };
        self.pipeline.intake.offer(received).unwrap();
    }

    /// Waits until everything offered is answered.
    pub fn outcomes(&self) -> BTreeMap<usize, Outcome> {
        (0..self.offered).map(|_| self.heard.1.recv().unwrap()).collect()
    }

    /// Waits for the next so many answers.
    pub fn more(&self, number: usize) -> BTreeMap<usize, Outcome> {
        (0..number).map(|_| self.heard.1.recv().unwrap()).collect()
    }

    /// Leaves the pipeline as it is: its tables never answer, so it would never end.
    pub fn abandon(self) {
        std::mem::forget(self);
    }

    /// Drains and ends the pipeline. Whatever happened, no event may be missing from the ledger's
    /// first side.
    pub fn end(mut self) -> Arc<Counters> {
        let Pipeline { intake, running, counters, .. } = self.pipeline.0.take().unwrap();
        drop(intake);
        running.join();
        assert_eq!(counters.acked_difference.get(), 0, "{counters:?}");
        counters
    }
}

/// An event's body.
pub fn body(message: &str, second: i64) -> String {
    format!(r#"{{"message":"{message}","timestamp":{}}}"#, START_MS / 1000 - second)
}

/// The fingerprint of a bare message.
pub fn fingerprint(message: &str) -> Fingerprint {
    Fingerprint::of(&errsift_ops::event::Event {
        message: message.to_owned(),
        ..errsift_ops::event::Event::default()
    })
}
