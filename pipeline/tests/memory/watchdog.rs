//! The watchdog: it ends a pipeline that could move and does not, and leaves one alone that waits
//! for a store.

use std::{
    sync::{
        Arc, Barrier, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use errsift_ops::id::{Nonce, Shard};
use errsift_pipeline::{
    memory::{MemoryErrors, MemoryJournal},
    ports::{
        errors::{
            Applied, Claim, DeadLetters, DetailsRow, Errors, ErrorsFault, ErrorsReader,
            ErrorsWriter, Guards, Range, Settled,
        },
        heal::Heal,
        journal::{
            Acquired, Armed, Commit, CommitDone, FenceDone, Journal, JournalFault, Progress,
        },
    },
    settings::Settings,
    start::Stores,
    stop::Stop,
};

use crate::support::{Run, body, settings};

/// Long enough for any machine.
const HANG: Duration = Duration::from_secs(60);
const STILL_MAX: Duration = Duration::from_secs(1);

fn watched() -> Settings {
    Settings { watchdog: Some(STILL_MAX), ..settings(1) }
}

pub type Before = dyn Fn() + Send + Sync;

/// Tables that do something before they apply.
#[derive(Clone)]
pub struct Detained {
    pub tables: MemoryErrors,
    pub before: Arc<Before>,
}

struct Writer(Box<dyn ErrorsWriter>, Arc<Before>);

impl Errors for Detained {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(Writer(self.tables.writer(), Arc::clone(&self.before)))
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        self.tables.reader()
    }
}

impl ErrorsWriter for Writer {
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault> {
        self.0.take_guards(claim)
    }

    fn insert_details(
        &mut self,
        shard: Shard,
        rows: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault> {
        self.0.insert_details(shard, rows)
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        (self.1)();
        self.0.apply(claim, range)
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        self.0.guards(shard)
    }

    fn settled(&mut self, shard: Shard) -> Result<Settled, ErrorsFault> {
        self.0.settled(shard)
    }
}

fn run(before: impl Fn() + Send + Sync + 'static) -> Run {
    let journal = MemoryJournal::default();
    let errors = Detained { tables: MemoryErrors::default(), before: Arc::new(before) };
    let stores = Stores {
        journal: Box::new(journal.clone()),
        backlog: Box::new(journal),
        errors: Arc::new(errors),
    };
    Run::start(&watched(), stores, 1)
}

#[test]
fn a_thread_that_is_gone_is_noticed() {
    // where a panic does not end the process, it takes its thread away
    let mut run = run(|| panic!("on purpose"));
    run.offer(&body("a", 0));
    let stop = run.pipeline.stops.recv_timeout(HANG).unwrap();
    assert!(matches!(&stop, Stop::Stuck(place) if place.contains("apply stands")), "{stop}");
    assert_eq!(stop.exit_code(), 70);
    run.abandon();
}

#[test]
fn tables_that_hang_are_waited_for() {
    let (entered, inside) = channel();
    let (entered, gate) = (Mutex::new(entered), Arc::new(Barrier::new(2)));
    let released = Arc::clone(&gate);
    let once = std::sync::Once::new();
    let mut run = run(move || {
        once.call_once(|| {
            entered.lock().unwrap().send(()).unwrap();
            gate.wait();
        });
    });
    run.offer(&body("a", 0));
    inside.recv_timeout(HANG).unwrap();
    // events go on being taken meanwhile
    run.offer(&body("b", 0));
    let stop = run.pipeline.stops.recv_timeout(3 * STILL_MAX);
    assert!(stop.is_err(), "{stop:?}");
    released.wait();
    let counters = run.end();
    assert_eq!(counters.counted.get(), 2);
}

/// A journal that never comes back from handing over a flight, and says that it was handed one.
struct Swallowing {
    journal: MemoryJournal,
    entered: Sender<()>,
    never: Receiver<()>,
}

impl Journal for Swallowing {
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        self.journal.acquire(nonce, at_least)
    }

    fn commit(&mut self, _: Commit, _: CommitDone) {
        self.entered.send(()).unwrap();
        let _ = self.never.recv();
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

#[test]
fn an_ingest_worker_that_hangs_is_noticed() {
    let (entered, inside) = channel();
    let (kept, never) = channel();
    let journal = MemoryJournal::default();
    let swallowing = Swallowing { journal: journal.clone(), entered, never };
    let stores = Stores {
        journal: Box::new(swallowing),
        backlog: Box::new(journal),
        errors: Arc::new(MemoryErrors::default()),
    };
    let mut run = Run::start(&watched(), stores, 1);
    run.offer(&body("swallowed", 0));
    inside.recv_timeout(HANG).unwrap();
    // nobody would notice without this one: it waits behind the first
    run.offer(&body("waits", 0));
    let stop = run.pipeline.stops.recv_timeout(HANG).unwrap();
    assert!(matches!(&stop, Stop::Stuck(place) if place.contains("ingest worker")), "{stop}");
    run.abandon();
    drop(kept);
}
