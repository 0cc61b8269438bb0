//! A process under test: a pipeline, who waits for it, and what they were told.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use errsift_ops::{decode::Received, fingerprint::Fingerprint, id::Nonce};
use errsift_pipeline::{
    ack::{Outcome, Waiter},
    counters::Counters,
    faulty::{Faults, Faulty},
    live::{self, LiveFault},
    ports::{clock::Clock, errors::Errors},
    settings::Settings,
    start::{Pipeline, Stores, start},
    stop::Stop,
};

use super::{
    door::{Door, Life},
    world::{SHARD, World},
};

/// How long a test waits for what must come, in real time: pauses between attempts grow to 2 s, and
/// many cases run at once.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long a killed process's threads may go on by themselves.
const LINGER: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_micros(300);
const LOOK_MAX: Duration = Duration::from_millis(50);

/// Waits until `is_so`, and says whether it came.
#[expect(clippy::disallowed_methods, reason = "what never comes must end within the test's time")]
pub fn wait_until(mut is_so: impl FnMut() -> bool) -> bool {
    let mut waited = Duration::ZERO;
    loop {
        let since = Instant::now();
        if is_so() {
            return true;
        }
        if waited >= PATIENCE {
            return false;
        }
        std::thread::sleep(LOOK);
        // a machine that stood still has not waited
        waited += since.elapsed().min(LOOK_MAX);
    }
}

/// What became of attempts, by their numbers.
pub type Answers = Vec<Heard>;

/// One attempt's number and what became of it.
type Heard = (usize, Outcome);

/// Tells what it hears unless its process is dead.
pub struct Client {
    attempt: usize,
    life: Arc<Life>,
    heard: Sender<(usize, Outcome)>,
}

impl Waiter for Client {
    fn answer(self, outcome: Outcome) {
        if !self.life.is_dead() {
            // nobody listens when the process is gone
            let _ = self.heard.send((self.attempt, outcome));
        }
    }
}

/// One process.
pub struct Process {
    pub life: Arc<Life>,
    pub counters: Arc<Counters>,
    pipeline: Pipeline<Client>,
    heard: (Sender<Heard>, Receiver<Heard>),
    /// Attempts that are not answered yet.
    pub asked: usize,
}

impl Process {
    /// Starts one; `None` if it cannot take the shard.
    pub fn start(
        world: &Arc<World>,
        settings: &Settings,
        nonce: u64,
        faults: &Faults,
    ) -> Option<Self> {
        let life = Life::new(world);
        let door = Door(Arc::clone(&life));
        let stores = Stores {
            journal: Box::new(Faulty::new(door.clone(), faults.clone())),
            backlog: Box::new(Faulty::new(door.clone(), faults.clone())),
            errors: Arc::new(Faulty::new(door, faults.clone())),
        };
        let clock = Arc::clone(&life) as Arc<dyn Clock>;
        let pipeline = start(settings, stores, clock, Nonce(nonce)).ok()?;
        let counters = Arc::clone(&pipeline.counters);
        Some(Self { life, counters, pipeline, heard: channel(), asked: 0 })
    }

    /// Offers an event.
    pub fn offer(&mut self, attempt: usize, body: String) {
        let (life, heard) = (Arc::clone(&self.life), self.heard.0.clone());
        let at = self.life.world.wall();
        let waiter = Client { attempt, life, heard };
        let received = Received { body: body.into(), at, service: None, waiter };
        self.asked += 1;
        if let Err(Received { waiter, .. }) = self.pipeline.intake.offer(received) {
            // it has stopped already
            waiter.answer(Outcome::NotStored);
        }
    }

    /// What was told since it was last asked.
    pub fn answers(&mut self) -> Answers {
        let answers: Vec<_> = self.heard.1.try_iter().collect();
        self.asked -= answers.len();
        answers
    }

    /// Why it must stop, if it must.
    pub fn stop(&self) -> Option<Stop> {
        self.pipeline.stops.try_recv().ok()
    }

    /// Kills it. What it leaves behind ends by itself, or is ended.
    pub fn kill(mut self) -> Answers {
        self.life.end();
        let answers = self.answers();
        let Pipeline { intake, running, .. } = self.pipeline;
        drop(intake);
        let life = Arc::clone(&self.life);
        std::thread::spawn(move || {
            std::thread::sleep(LINGER);
            life.bury();
            running.join();
        });
        answers
    }

    /// Live counts of the errors with these fingerprints, as its readers see them.
    pub fn live(&self, names: &[Fingerprint]) -> Result<Vec<u64>, LiveFault> {
        let mut door = Door(Arc::clone(&self.life));
        let mut reader = door.reader();
        let epochs = self.pipeline.epochs.waiting();
        let row = |name| live::read(SHARD, name, &epochs, &mut door, &mut *reader);
        names.iter().map(row).map(|row| Ok(row?.count)).collect()
    }

    /// Drains it, until it ends or must not go on; `None` if neither comes.
    pub fn drain(self) -> Option<(Answers, Option<Stop>)> {
        let Pipeline { intake, running, stops, .. } = self.pipeline;
        drop(intake);
        let (send, ended) = channel();
        std::thread::spawn(move || {
            running.join();
            let _ = send.send(());
        });
        let mut stop = None;
        let came = wait_until(|| {
            stop = stops.try_recv().ok();
            stop.is_some() || ended.try_recv().is_ok()
        });
        if stop.is_some() {
            self.life.bury();
        }
        came.then(|| (self.heard.1.try_iter().collect(), stop))
    }
}
