//! Tables that are away for long, and what is kept meanwhile.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by where it panics")]

#[allow(dead_code, reason = "one door for several test binaries")]
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use errsift_ops::id::{Epoch, Shard};
use errsift_pipeline::{
    ack::Outcome,
    memory::{MemoryErrors, MemoryJournal},
    ports::{
        errors::{
            Applied, Claim, DeadLetters, DetailsRow, Errors, ErrorsFault, ErrorsReader,
            ErrorsWriter, Guards, Range, Settled,
        },
        journal::Backlog,
    },
    settings::Settings,
    start::Stores,
};
use support::{Run, body, fingerprint, settings};

/// Tables that answer only while they are not away.
#[derive(Clone)]
struct Switched {
    errors: MemoryErrors,
    away: Arc<AtomicBool>,
}

impl Errors for Switched {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(SwitchedWriter { writer: self.errors.writer(), away: Arc::clone(&self.away) })
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        self.errors.reader()
    }
}

struct SwitchedWriter {
    writer: Box<dyn ErrorsWriter>,
    away: Arc<AtomicBool>,
}

impl SwitchedWriter {
    fn here(&mut self) -> Result<&mut dyn ErrorsWriter, ErrorsFault> {
        if self.away.load(Ordering::Relaxed) {
            return Err(ErrorsFault::Transient("away".to_owned()));
        }
        Ok(&mut *self.writer)
    }
}

impl ErrorsWriter for SwitchedWriter {
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault> {
        self.here()?.take_guards(claim)
    }

    fn insert_details(
        &mut self,
        shard: Shard,
        rows: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault> {
        self.here()?.insert_details(shard, rows)
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        self.here()?.apply(claim, range)
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        self.here()?.guards(shard)
    }

    fn settled(&mut self, shard: Shard) -> Result<Settled, ErrorsFault> {
        self.here()?.settled(shard)
    }
}

/// Tables that are away until the switch is off, on a journal.
fn away(journal: &MemoryJournal) -> (Stores, MemoryErrors, Arc<AtomicBool>) {
    let (errors, away) = (MemoryErrors::default(), Arc::new(AtomicBool::new(true)));
    let switched = Switched { errors: errors.clone(), away: Arc::clone(&away) };
    let stores = Stores {
        journal: Box::new(journal.clone()),
        backlog: Box::new(journal.clone()),
        errors: Arc::new(switched),
    };
    (stores, errors, away)
}

/// Memory holds what the limit says, and an epoch more at most; the rest is paged, and counted.
#[test]
fn the_backlog_in_memory_is_bounded() {
    const LIMIT: usize = 64 * 1024;
    let journal = MemoryJournal::default();
    let (stores, errors, away) = away(&journal);
    let small = Settings { backlog_bytes_max: LIMIT, ..settings(2) };
    let mut run = Run::start(&small, stores, 1);
    let mut largest = 0;
    for round in 0..60_u64 {
        for number in 0..100 {
            run.offer(&body(&format!("message {number} of {round}"), 0));
        }
        while run.pipeline.counters.acked.get() < (round + 1) * 100 {
            thread::yield_now();
        }
        largest = largest.max(run.pipeline.counters.apply_backlog_bytes.get());
    }
    let journaled = journal.clone().size().unwrap().bytes;
    assert!(journaled > 8 * LIMIT as u64, "{journaled} bytes are not much more than the limit");
    thread::sleep(Duration::from_millis(200));
    largest = largest.max(run.pipeline.counters.apply_backlog_bytes.get());
    // an epoch has half the limit, and the flights that fill and follow it
    let epoch = LIMIT as u64 / 2 + 2 * 100 * 200;
    assert!(largest <= LIMIT as u64 + epoch, "{largest} bytes in memory");
    assert!(run.pipeline.counters.paged.get() > 0);

    // events that come while the backlog drains are acknowledged and counted too
    away.store(false, Ordering::Relaxed);
    for number in 0..100 {
        run.offer(&body(&format!("message {number} of 60"), 0));
    }
    assert!(run.outcomes().values().all(|outcome| *outcome == Outcome::Stored));
    let counters = run.end();
    assert_eq!(errors.counts().len(), 6_100);
    assert!(errors.counts().values().all(|tally| tally.count == 1));
    assert_eq!(errors.messages().len(), 6_100);
    assert_eq!(counters.applied_difference.get(), 0);
    assert_eq!(journal.clone().size().unwrap().jobs, 0);
}

/// Sends ten errors many times over.
fn send(run: &mut Run, rounds: u64) {
    let before = run.pipeline.counters.acked.get();
    for number in 0..rounds * 10 {
        run.offer(&body(&format!("message {}", number % 10), 0));
        if number % 5 == 0 {
            thread::yield_now();
        }
    }
    while run.pipeline.counters.acked.get() < before + rounds * 10 {
        thread::yield_now();
    }
}

#[test]
fn jobs_are_merged_while_the_tables_are_away_and_counted_once() {
    let journal = MemoryJournal::default();
    for nonce in 1..=2 {
        let (stores, ..) = away(&journal);
        let mut run = Run::start(&settings(1), stores, nonce);
        send(&mut run, 100);
        while run.pipeline.counters.merged.get() == 0 {
            send(&mut run, 1);
        }
        run.abandon();
    }
    let (stores, errors, away) = away(&journal);
    let run = Run::start(&settings(2), stores, 3);
    away.store(false, Ordering::Relaxed);
    let journaled = journal.clone().fence().unwrap().events;
    let counters = run.end();
    let counts = errors.counts();
    assert_eq!(counts.len(), 10);
    assert_eq!(counts.values().map(|tally| tally.count).sum::<u64>(), journaled);
    assert_eq!(counters.applied_difference.get(), 0);
    assert_eq!(errors.messages()[&fingerprint("message 3")], "message 3");
}

/// Epochs of less than a second run ahead of the clock. A journal that is new, while the tables are
/// away, must not number new ones like those.
#[test]
fn a_new_journal_numbers_its_epochs_beyond_the_tables_ones() {
    let (stores, errors, away) = away(&MemoryJournal::default());
    away.store(false, Ordering::Relaxed);
    let mut first = Run::start(&settings(1), stores, 1);
    for _ in 0..40 {
        send(&mut first, 1);
    }
    first.end();
    let applied = errors.guards(Shard(0))[0];
    assert!(applied.epoch > Epoch(0));

    let journal = MemoryJournal::default();
    away.store(true, Ordering::Relaxed);
    let mut second = Run::start(&settings(1), shared(&journal, &errors, &away), 2);
    send(&mut second, 1);
    away.store(false, Ordering::Relaxed);
    let (stops, counters) = (second.pipeline.stops.clone(), second.end());
    assert!(stops.try_recv().is_err(), "it need not start again");
    assert_eq!(errors.counts()[&fingerprint("message 0")].count, 41);
    assert!(errors.guards(Shard(0))[0].epoch > applied.epoch);
    assert_eq!(counters.applied_difference.get(), 0);
}

/// Stores that share what others have; the tables answer once `away` is off.
fn shared(journal: &MemoryJournal, errors: &MemoryErrors, away: &Arc<AtomicBool>) -> Stores {
    let switched = Switched { errors: errors.clone(), away: Arc::clone(away) };
    Stores {
        journal: Box::new(journal.clone()),
        backlog: Box::new(journal.clone()),
        errors: Arc::new(switched),
    }
}

/// The tables have epochs that the journal has lost for good, and do not answer when it is taken
/// again: new flights must not get the numbers of these epochs, which would be skipped as applied.
/// The ledger must say so little of what only the tables have as of what was never sent.
#[test]
fn what_follows_on_a_journal_that_went_back_is_counted_without_asking_the_tables() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let away = Arc::new(AtomicBool::new(false));
    let mut first = Run::start(&settings(1), shared(&journal, &errors, &away), 1);
    send(&mut first, 1);
    first.end();
    let copy = journal.backup();
    let mut lost = Run::start_at(&settings(1), shared(&journal, &errors, &away), 2, 10);
    for _ in 0..40 {
        send(&mut lost, 1);
    }
    lost.end();
    journal.restore(&copy);

    away.store(true, Ordering::Relaxed);
    let mut died = Run::start_at(&settings(1), shared(&journal, &errors, &away), 3, 20);
    send(&mut died, 1);
    died.abandon();
    let mut came_back = Run::start_at(&settings(1), shared(&journal, &errors, &away), 4, 30);
    send(&mut came_back, 1);
    away.store(false, Ordering::Relaxed);
    while errors.counts()[&fingerprint("message 0")].count < 43 {
        assert!(came_back.pipeline.stops.is_empty(), "it need not start again");
        thread::yield_now();
    }
    let counters = came_back.end();
    assert_eq!((counters.applied_difference.get(), counters.acked_lost.get()), (0, 0));

    let counters = Run::start_at(&settings(1), shared(&journal, &errors, &away), 5, 40).end();
    assert_eq!((counters.applied_difference.get(), counters.acked_lost.get()), (0, 0));
    assert_eq!(journal.clone().fence().unwrap().events, 430);
}
