//! Events that are sent again with an id of their own, on stores in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::support::{Away, Breaking, Late, Run, START_MS, fingerprint, settings};
use errsift_pipeline::{
    ack::Outcome,
    faulty::{Faults, Faulty},
    memory::{MemoryErrors, MemoryJournal},
    ports::journal::Backlog,
    start::Stores,
};
use proptest::prelude::*;

/// An event with the `n`th id.
fn body(message: &str, n: usize) -> String {
    format!(r#"{{"message":"{message}","eventId":"{n:032x}","timestamp":{}}}"#, START_MS / 1000)
}

/// Each id in a message of its own, so that rows tell how often it was counted.
fn own(n: usize) -> String {
    body(&format!("id {n}"), n)
}

fn count(errors: &MemoryErrors, n: usize) -> u64 {
    errors.counts().get(&fingerprint(&format!("id {n}"))).map_or(0, |tally| tally.count)
}

fn stores(journal: &MemoryJournal, errors: &MemoryErrors) -> Stores {
    Stores {
        journal: Box::new(journal.clone()),
        backlog: Box::new(journal.clone()),
        errors: Arc::new(errors.clone()),
    }
}

fn faulty(journal: &MemoryJournal, errors: &MemoryErrors, faults: &Faults) -> Stores {
    Stores {
        journal: Box::new(Faulty::new(Late::new(journal), faults.clone())),
        backlog: Box::new(Faulty::new(journal.clone(), faults.clone())),
        errors: Arc::new(Faulty::new(errors.clone(), faults.clone())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is lost between errsift and its stores, across restarts too, and however sends of
    /// an id meet: counted once if any was answered stored, and never twice.
    #[test]
    fn an_id_is_counted_once(
        seed in any::<u64>(),
        per_thousand in 0..400_u64,
        sends in proptest::collection::vec((0..12_usize, 0..4_u8), 1..160),
        workers in 1..3_usize,
    ) {
        let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
        let faults = Faults::new(seed, per_thousand);
        let mut best: BTreeMap<usize, Vec<Outcome>> = BTreeMap::new();
        for (nonce, sends) in (1..).zip(sends.chunks(60)) {
            // of each process but the last, some jobs are left in the journal
            let away = nonce == 2;
            let stores = || {
                let stores = faulty(&journal, &errors, &faults);
                if away { Stores { errors: Arc::new(Away), ..stores } } else { stores }
            };
            let mut run = Run::start_among_faults(&settings(workers), stores, nonce);
            for (id, pause) in sends {
                run.offer(&own(*id));
                if *pause == 0 {
                    std::thread::sleep(Duration::from_micros(300));
                }
            }
            let outcomes = run.outcomes();
            for ((id, _), outcome) in sends.iter().zip(outcomes.into_values()) {
                best.entry(*id).or_default().push(outcome);
            }
            if away {
                run.abandon();
            } else {
                let counters = run.end();
                prop_assert_eq!(counters.in_flight.get(), 0);
                prop_assert_eq!(counters.applied_difference.get(), 0);
            }
        }
        Run::start(&settings(1), stores(&journal, &errors), 9).end();
        for (id, outcomes) in &best {
            let count = count(&errors, *id);
            prop_assert!(count <= 1, "id {} counted {}: {:?}", id, count, outcomes);
            let stored = outcomes.contains(&Outcome::Stored);
            prop_assert!(count == 1 || !stored, "id {} not counted: {:?}", id, outcomes);
            let certainly_not = outcomes.iter().all(|outcome| *outcome == Outcome::NotStored);
            prop_assert!(count == 0 || !certainly_not, "id {} counted: {:?}", id, outcomes);
        }
        let counted: u64 = errors.counts().values().map(|tally| tally.count).sum();
        prop_assert_eq!(journal.clone().fence().unwrap().events, counted, "the ledger");
    }
}

#[test]
fn whoever_sends_an_id_again_hears_of_the_first() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let late = Stores { journal: Box::new(Late::new(&journal)), ..stores(&journal, &errors) };
    let mut run = Run::start(&settings(1), late, 1);
    for n in 0..3_000 {
        // the same id at once, in the next flight, and much later; each time with other words
        run.offer(&own(n / 10 % 200));
        run.offer(r#"{"message":"without an id"}"#);
    }
    assert!(run.outcomes().values().all(|outcome| *outcome == Outcome::Stored));
    let counters = run.end();
    assert!((0..200).all(|n| count(&errors, n) == 1));
    assert_eq!(errors.counts()[&fingerprint("without an id")].count, 3_000);
    assert_eq!((counters.duplicates.get(), counters.acked.get()), (2_800, 6_000));
    assert_eq!(counters.journaled.get(), 3_200);
    assert_eq!(counters.event_ids.get(), 200);
}

#[test]
fn services_have_ids_of_their_own_and_words_do_not() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let mut run = Run::start(&settings(1), stores(&journal, &errors), 1);
    let of = |service: &str| {
        format!(r#"{{"message":"m","service":"{service}","eventId":"{:032x}"}}"#, 7)
    };
    for body in [of("a"), of("b"), of("a"), body("other words", 8), body("words", 8)] {
        run.offer(&body);
    }
    assert!(run.outcomes().values().all(|outcome| *outcome == Outcome::Stored));
    assert_eq!(run.end().journaled.get(), 3);
    assert!(errors.counts().contains_key(&fingerprint("other words")));
    assert!(!errors.counts().contains_key(&fingerprint("words")));
}

#[test]
fn an_id_that_was_certainly_not_stored_may_come_again() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let broken = Arc::new(AtomicBool::new(true));
    let stores = Stores {
        journal: Box::new(Breaking { journal: journal.clone(), broken: Arc::clone(&broken) }),
        ..stores(&journal, &errors)
    };
    let mut run = Run::start_with_step(&settings(1), stores, 1, 10);
    run.offer(&own(1));
    assert_eq!(run.more(1)[&0], Outcome::NotStored);
    broken.store(false, Ordering::Relaxed);
    while run.pipeline.counters.journal_up.get() == 0 {
        std::thread::yield_now();
    }
    run.offer(&own(1));
    run.offer(&own(1));
    let heard = run.more(2);
    assert!(heard.values().all(|outcome| *outcome == Outcome::Stored), "{heard:?}");
    run.end();
    assert_eq!(count(&errors, 1), 1);
}

/// Runs one process that is sent the ids, `minutes` after the first; all must be stored.
fn later(journal: &MemoryJournal, errors: &MemoryErrors, minutes: i64, ids: &[usize]) -> u64 {
    let nonce = u64::try_from(minutes).unwrap() + 10;
    let mut run = Run::start_at(&settings(1), stores(journal, errors), nonce, minutes * 60_000);
    for id in ids {
        run.offer(&own(*id));
    }
    assert!(run.outcomes().values().all(|outcome| *outcome == Outcome::Stored));
    run.end().duplicates.get()
}

#[test]
fn ids_outlive_a_restart_by_their_time_and_no_longer() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    assert_eq!(later(&journal, &errors, 0, &[1, 2]), 0);
    assert_eq!(journal.clone().size().unwrap().jobs, 0, "their jobs are trimmed");
    assert_eq!(later(&journal, &errors, 2, &[1, 3]), 1);
    // it was stored at 0; that it came again at 2 gives it no more time
    assert_eq!(later(&journal, &errors, 4, &[1, 2, 3]), 3);
    assert_eq!(later(&journal, &errors, 8, &[1, 2]), 0);
    assert_eq!(later(&journal, &errors, 16, &[3]), 0);
    assert_eq!((count(&errors, 1), count(&errors, 2), count(&errors, 3)), (2, 2, 2));
    assert_eq!(journal.clone().kept_ids().unwrap().len(), 1, "the last one's");
}

#[test]
fn ids_of_jobs_that_are_not_applied_are_read_back() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let away = Stores { errors: Arc::new(Away), ..stores(&journal, &errors) };
    let mut first = Run::start(&settings(1), away, 1);
    for n in 0..300 {
        // many flights, so that they are read back in several pages
        first.offer(&own(n));
        first.more(1);
    }
    first.abandon();
    assert!(journal.clone().size().unwrap().jobs > 200);
    let mut second = Run::start(&settings(1), stores(&journal, &errors), 2);
    for n in 0..300 {
        second.offer(&own(n));
    }
    assert!(second.outcomes().values().all(|outcome| *outcome == Outcome::Stored));
    assert_eq!(second.end().duplicates.get(), 300);
    assert!((0..300).all(|n| count(&errors, n) == 1));
}

#[test]
fn an_id_may_come_again_after_its_time_in_one_process() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    // the clock moves only when it is told to
    let mut run = Run::start_with_step(&settings(1), stores(&journal, &errors), 1, 0);
    run.offer(&own(1));
    run.more(1);
    // its time begins when it is noted, a moment after the answer
    while run.pipeline.counters.event_ids.get() < 1 {
        std::thread::yield_now();
    }
    run.pass(299_000);
    run.offer(&own(1));
    run.more(1);
    assert_eq!(run.pipeline.counters.acked.get(), 2);
    run.pass(120_000);
    while run.pipeline.counters.event_ids.get() > 0 {
        std::thread::yield_now();
    }
    run.offer(&own(1));
    run.more(1);
    let counters = run.end();
    assert_eq!(counters.duplicates.get(), 1);
    assert_eq!(count(&errors, 1), 2);
}
