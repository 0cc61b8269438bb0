//! The whole pipeline on stores in memory.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by where it panics")]

#[path = "memory/heal.rs"]
mod heal;
mod ids;
mod poison;
mod support;
#[path = "memory/watchdog.rs"]
mod watchdog;
#[path = "memory/words.rs"]
mod words;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use errsift_ops::{
    body::Fault,
    fingerprint::Fingerprint,
    id::{Part, Seq, Shard},
    tally::Tally,
    window::Window,
};
use errsift_pipeline::{
    ack::Outcome,
    faulty::{Faults, Faulty},
    memory::{MemoryErrors, MemoryJournal},
    ports::{
        errors::Errors,
        journal::{Backlog, Journal, Progress},
    },
    settings::Settings,
    start::Stores,
    stop::Stop,
};
use proptest::prelude::*;
use support::{Away, Breaking, Late, Run, body, fingerprint, settings};

fn stores(journal: &MemoryJournal, errors: &MemoryErrors) -> Stores {
    Stores {
        journal: Box::new(journal.clone()),
        backlog: Box::new(journal.clone()),
        errors: Arc::new(errors.clone()),
    }
}

type Counts = BTreeMap<Fingerprint, Tally>;
type Windows = BTreeMap<(Window, Fingerprint), u64>;

/// Runs the events (message number, seconds back) through fresh stores.
fn run(events: &[(u8, i64)], workers: usize) -> (Counts, Windows) {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let mut run = Run::start(&settings(workers), stores(&journal, &errors), 1);
    for (message, second) in events {
        run.offer(&body(&format!("message {message}"), *second));
    }
    let outcomes = run.outcomes();
    assert!(outcomes.values().all(|outcome| *outcome == Outcome::Stored));
    run.end();
    let left = journal.clone().size().unwrap();
    assert_eq!(left.jobs, 0, "everything applied is trimmed");
    (errors.counts(), errors.windows())
}

/// What the rows must be, computed without any of the pipeline.
fn expected(events: &[(u8, i64)]) -> (BTreeMap<String, u64>, u64) {
    let mut counts = BTreeMap::new();
    for (message, _) in events {
        *counts.entry(fingerprint(&format!("message {message}")).to_string()).or_default() += 1;
    }
    (counts, events.len() as u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn one_two_and_four_workers_agree(
        events in proptest::collection::vec((0..40_u8, 0..200_i64), 1..400)
    ) {
        let one = run(&events, 1);
        prop_assert_eq!(&one, &run(&events, 2));
        prop_assert_eq!(&one, &run(&events, 4));
        let (counts, windows) = one;
        let (expected, sum) = expected(&events);
        let found: BTreeMap<_, _> =
            counts.iter().map(|(fingerprint, tally)| (fingerprint.to_string(), tally.count)).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(windows.values().sum::<u64>(), sum);
    }

    #[test]
    fn what_is_acked_is_counted_or_set_aside(
        seed in any::<u64>(), per_thousand in 0..300_u64, workers in 1..4_usize,
        refused in proptest::collection::btree_set(0..30_u8, 1..6),
        events in proptest::collection::vec((0..30_u8, 0..200_i64), 1..300)
    ) {
        let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
        let faults = Faults::new(seed, per_thousand);
        let stores = Stores {
            journal: Box::new(journal.clone()),
            backlog: Box::new(journal.clone()),
            errors: Arc::new(Faulty::new(errors.clone(), faults)),
        };
        for message in &refused {
            errors.refuse(fingerprint(&format!("message {message}")));
        }
        let mut run = Run::start(&settings(workers), stores, 1);
        for (message, second) in &events {
            run.offer(&body(&format!("message {message}"), *second));
        }
        prop_assert!(run.outcomes().values().all(|outcome| *outcome == Outcome::Stored));
        let counters = run.end();
        let (counts, dead) = (errors.counts(), errors.dead());
        let mut sums = (0, 0);
        for message in 0..30_u8 {
            let sent = events.iter().filter(|(of, _)| *of == message).count() as u64;
            let key = fingerprint(&format!("message {message}"));
            let found =
                (counts.get(&key).map_or(0, |tally| tally.count), dead.get(&key).copied().unwrap_or(0));
            let expected = if refused.contains(&message) { (0, sent) } else { (sent, 0) };
            prop_assert_eq!(found, expected, "message {}", message);
            sums = (sums.0 + found.0, sums.1 + found.1);
        }
        prop_assert_eq!(errors.windows().values().sum::<u64>(), sums.0);
        let mut tables = errors.writer();
        let settled = tables.settled(Shard(0)).unwrap();
        prop_assert_eq!((settled.counted(), settled.dead.events), sums);
        prop_assert_eq!(journal.clone().fence().unwrap().events, settled.events());
        if counters.applied_epoch.get() == settled.guards[0].epoch.0 {
            // the last trim may fall to a fault
            prop_assert_eq!((counters.counted.get(), counters.dead.get()), sums);
            prop_assert_eq!(counters.applied_difference.get(), 0);
        }
    }

    #[test]
    fn with_faults_what_is_acked_is_counted_once(
        seed in any::<u64>(), per_thousand in 50..400_u64, number in 1..120_usize
    ) {
        let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
        let faults = Faults::new(seed, per_thousand);
        let stores = || Stores {
            journal: Box::new(Faulty::new(journal.clone(), faults.clone())),
            backlog: Box::new(Faulty::new(journal.clone(), faults.clone())),
            errors: Arc::new(Faulty::new(errors.clone(), faults.clone())),
        };
        let mut run = Run::start_among_faults(&settings(2), stores, 1);
        for attempt in 0..number {
            run.offer(&body(&format!("attempt {attempt}"), 0));
            if attempt % 7 == 0 {
                std::thread::yield_now();
            }
        }
        let outcomes = run.outcomes();
        let counters = run.end();
        prop_assert_eq!(counters.in_flight.get(), 0);
        prop_assert_eq!(counters.applied_difference.get(), 0);
        let counts = errors.counts();
        let messages = errors.messages();
        for (attempt, outcome) in outcomes {
            let fingerprint = fingerprint(&format!("attempt {attempt}"));
            let count = counts.get(&fingerprint).map_or(0, |tally| tally.count);
            match outcome {
                Outcome::Stored => prop_assert_eq!(count, 1, "acked attempt {}", attempt),
                Outcome::NotStored => prop_assert_eq!(count, 0, "refused attempt {}", attempt),
                Outcome::MaybeStored => prop_assert!(count <= 1, "unknown attempt {}", attempt),
                Outcome::Invalid(fault) => prop_assert!(false, "{}", fault),
            }
            prop_assert_eq!(count == 1, messages.contains_key(&fingerprint));
        }
        let guards = errors.guards(Shard(0));
        let counted: u64 = guards.iter().map(|guard| guard.events).sum();
        prop_assert_eq!(counted, counts.values().map(|tally| tally.count).sum::<u64>());
        prop_assert_eq!(journal.clone().fence().unwrap().events, counted, "the ledger");
    }
}

/// Refusing goes on over several epochs, in the order that they are applied in.
#[test]
fn epochs_go_on_after_one_with_refused_rows() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    errors.refuse(fingerprint("refused"));
    let mut run = Run::start(&settings(2), stores(&journal, &errors), 1);
    for round in 1..=4 {
        for message in ["refused", "taken", "taken too"] {
            run.offer(&body(message, 0));
        }
        let counters = Arc::clone(&run.pipeline.counters);
        while (counters.counted.get(), counters.dead.get()) < (2 * round, round) {
            assert!(run.pipeline.stops.try_recv().is_err());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    run.end();
    assert_eq!(errors.dead(), BTreeMap::from([(fingerprint("refused"), 4)]));
    assert_eq!(errors.counts().values().map(|tally| tally.count).sum::<u64>(), 8);
}

#[test]
fn a_successor_applies_what_its_predecessor_acked() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let first_stores = Stores {
        journal: Box::new(journal.clone()),
        backlog: Box::new(journal.clone()),
        errors: Arc::new(Away),
    };
    let mut first = Run::start(&settings(1), first_stores, 1);
    for number in 0..500 {
        first.offer(&body(&format!("message {}", number % 10), number % 90));
    }
    assert!(first.outcomes().values().all(|outcome| *outcome == Outcome::Stored));
    let executed = journal.clone().fence().unwrap().seq;
    assert!(executed >= Seq(1) && errors.counts().is_empty());

    // the first is still there, as a process is that was only frozen
    let mut second = Run::start(&settings(2), stores(&journal, &errors), 2);
    second.offer(&body("message 0", 0));
    assert_eq!(second.outcomes()[&0], Outcome::Stored);
    first.offer(&body("too late", 0));
    assert!(matches!(first.pipeline.stops.recv().unwrap(), Stop::Fenced(_)));
    second.end();
    first.abandon();

    let counts = errors.counts();
    assert_eq!(counts.len(), 10);
    assert_eq!(counts[&fingerprint("message 0")].count, 51);
    assert_eq!(counts[&fingerprint("message 9")].count, 50);
    assert_eq!(errors.messages()[&fingerprint("message 3")], "message 3");
    assert!(errors.guards(Shard(0)).iter().all(|guard| guard.seq > executed));
}

#[test]
fn replaying_the_journal_gives_the_same_rows_as_the_first_run() {
    let events: Vec<_> =
        (0..300_u16).map(|n| (u8::try_from(n % 17).unwrap(), i64::from(n % 95))).collect();
    let first = run(&events, 1);
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let away = Stores {
        journal: Box::new(journal.clone()),
        backlog: Box::new(journal.clone()),
        errors: Arc::new(Away),
    };
    let mut journaled = Run::start(&settings(1), away, 1);
    for (message, second) in &events {
        journaled.offer(&body(&format!("message {message}"), *second));
    }
    journaled.outcomes();
    journaled.abandon();
    for nonce in 2..4 {
        // the second time around everything is applied already, and nothing changes
        Run::start(&settings(2), stores(&journal, &errors), nonce).end();
        assert_eq!((errors.counts(), errors.windows()), first);
    }
}

#[test]
fn faults_in_bodies_are_answered_and_stop_nothing() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let mut run = Run::start(&settings(1), stores(&journal, &errors), 1);
    run.offer("{");
    run.offer(&body("fine", 0));
    run.offer(r#"{"mesage":"m"}"#);
    let outcomes = run.outcomes();
    assert!(matches!(outcomes[&0], Outcome::Invalid(Fault { field: None, .. })));
    assert_eq!(outcomes[&1], Outcome::Stored);
    assert!(
        matches!(&outcomes[&2], Outcome::Invalid(Fault { field: Some(field), .. }) if field == "mesage")
    );
    run.end();
    assert_eq!(errors.counts().len(), 1);
}

#[test]
fn a_journal_that_went_back_is_carried_on_from_the_tables() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let mut first = Run::start(&settings(1), stores(&journal, &errors), 1);
    first.offer(&body("before", 0));
    first.outcomes();
    first.end();
    let applied = errors.guards(Shard(0))[0];

    let restored = MemoryJournal::default();
    let mut second = Run::start(&settings(1), stores(&restored, &errors), 2);
    assert!(second.pipeline.claim.term > applied.term);
    second.offer(&body("after", 0));
    assert_eq!(second.outcomes()[&0], Outcome::Stored);
    second.end();
    let fence = restored.clone().fence().unwrap();
    assert!(fence.seq > applied.seq && fence.epoch > applied.epoch);
    assert_eq!(errors.counts().len(), 2);
}

#[test]
fn what_came_before_an_outage_is_counted_without_an_event_after_it() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let broken = Arc::new(AtomicBool::new(false));
    let stores = Stores {
        journal: Box::new(Breaking { journal: journal.clone(), broken: Arc::clone(&broken) }),
        ..stores(&journal, &errors)
    };
    // the epoch outlasts the outage, which takes the 5 s that an event waits
    let long = Settings { flush_interval: Duration::from_secs(8), ..settings(1) };
    let mut run = Run::start_with_step(&long, stores, 1, 10);
    run.offer(&body("before", 0));
    while run.pipeline.counters.acked.get() < 1 {
        std::thread::yield_now();
    }
    broken.store(true, Ordering::Relaxed);
    run.offer(&body("during", 0));
    assert_eq!(run.outcomes()[&1], Outcome::NotStored);
    broken.store(false, Ordering::Relaxed);
    while !errors.counts().contains_key(&fingerprint("before")) {
        std::thread::yield_now();
    }
    while run.pipeline.counters.journal_up.get() == 0 {
        std::thread::yield_now();
    }
    run.end();
    assert_eq!(errors.counts().len(), 1);
}

#[test]
fn jobs_that_are_applied_already_change_nothing() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let away = Stores { errors: Arc::new(Away), ..stores(&journal, &errors) };
    let mut journaled = Run::start(&settings(1), away, 1);
    for number in 0..50 {
        journaled.offer(&body(&format!("message {number}"), 0));
    }
    journaled.outcomes();
    journaled.abandon();
    let untrimmed = journal.backup();
    Run::start(&settings(1), stores(&journal, &errors), 2).end();
    let counts = errors.counts();
    assert_eq!(counts.len(), 50);
    // the same jobs once more, as after a crash between COMMIT and trim
    Run::start(&settings(2), stores(&untrimmed, &errors), 3).end();
    assert_eq!(errors.counts(), counts);
}

#[test]
fn the_memory_journal_hands_out_each_term_once() {
    let mut journal = MemoryJournal::default();
    let first = journal.acquire(errsift_ops::id::Nonce(1), Progress::default()).unwrap();
    let second = journal.acquire(errsift_ops::id::Nonce(2), Progress::default()).unwrap();
    assert!(second.armed.fence().term > first.armed.fence().term);
    assert_eq!(Part::COUNT, 64);
}

#[test]
fn a_steady_stream_of_events_is_stored_without_a_refusal() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let late = Stores { journal: Box::new(Late::new(&journal)), ..stores(&journal, &errors) };
    let mut run = Run::start(&settings(1), late, 1);
    for number in 0..50_000 {
        run.offer(&body(&format!("message {}", number % 100), 0));
    }
    let outcomes = run.outcomes();
    let refused = outcomes.values().filter(|outcome| **outcome != Outcome::Stored).count();
    assert_eq!(refused, 0);
    run.end();
    assert_eq!(errors.counts().values().map(|tally| tally.count).sum::<u64>(), 50_000);
}
