//! Journals that go back under a running pipeline: what was acknowledged is counted exactly once,
//! also when the process is killed after that and another goes on with the journal.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use errsift_pipeline::{
    ack::Outcome,
    faulty::{Faults, Faulty},
    memory::{MemoryErrors, MemoryJournal},
    ports::journal::Backlog,
    settings::Settings,
    start::Stores,
    stop::Stop,
};
use proptest::prelude::*;

use crate::{
    stores,
    support::{Away, Run, body, fingerprint, settings},
    watchdog::Detained,
};

/// One epoch for all.
fn long() -> Settings {
    Settings { flush_interval: Duration::from_secs(36_000), ..settings(1) }
}

fn await_acks(run: &Run, acks: u64) {
    while run.pipeline.counters.acked.get() < acks {
        assert!(run.pipeline.stops.is_empty(), "{:?}", run.pipeline.stops.try_recv());
        std::thread::yield_now();
    }
}

/// Offers events with these messages one by one, each a flight.
fn store_each(run: &mut Run, messages: &[&str]) {
    for message in messages {
        let acks = run.pipeline.counters.acked.get() + 1;
        run.offer(&body(message, 0));
        await_acks(run, acks);
    }
}

/// How often each message is counted once another process has applied what the journal holds.
fn counts_after(journal: &MemoryJournal, errors: &MemoryErrors) -> BTreeMap<String, u64> {
    let successor = Run::start(&settings(2), stores(journal, errors), 99);
    let counters = successor.end();
    assert_eq!(counters.applied_difference.get(), 0, "{counters:?}");
    let (messages, counts) = (errors.messages(), errors.counts());
    counts.iter().map(|(name, tally)| (messages[name].clone(), tally.count)).collect()
}

fn once<'a>(messages: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, u64> {
    messages.into_iter().map(|message| (message.to_owned(), 1)).collect()
}

#[test]
fn forgotten_flights_are_given_back_before_the_next() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let away = Stores { errors: Arc::new(Away), ..stores(&journal, &errors) };
    let mut run = Run::start(&long(), away, 1);
    store_each(&mut run, &["a", "b", "c", "d"]);
    let jobs = journal.clone().page(errsift_ops::id::Seq(1), 99).unwrap().jobs;
    assert_eq!(journal.forget(3), 3);
    store_each(&mut run, &["e"]);
    let healed = journal.clone().page(errsift_ops::id::Seq(1), 99).unwrap().jobs;
    assert_eq!(healed[..4], jobs, "same numbers, same bytes");
    let counters = &run.pipeline.counters;
    assert_eq!((counters.regressions.get(), counters.healed_jobs.get()), (1, 3));
    assert_eq!(counters.acked_lost.get(), 0);
    run.abandon();
    assert_eq!(counts_after(&journal, &errors), once(["a", "b", "c", "d", "e"]));
}

#[test]
fn an_idle_writer_notices_by_itself() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let away = Stores { errors: Arc::new(Away), ..stores(&journal, &errors) };
    let mut run = Run::start(&long(), away, 1);
    store_each(&mut run, &["a", "b"]);
    let fence = journal.clone().fence().unwrap();
    journal.forget(2);
    while journal.clone().fence().unwrap().seq < fence.seq {
        std::thread::yield_now();
    }
    run.abandon();
    assert_eq!(counts_after(&journal, &errors), once(["a", "b"]));
}

#[test]
fn an_emptied_journal_is_taken_again_with_all_that_no_part_has() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let mut first = Run::start(&settings(1), stores(&journal, &errors), 1);
    store_each(&mut first, &["applied"]);
    first.end();
    let away = Stores { errors: Arc::new(Away), ..stores(&journal, &errors) };
    let mut second = Run::start(&long(), away, 2);
    store_each(&mut second, &["a", "b"]);
    let fence = journal.clone().fence().unwrap();
    journal.empty();
    store_each(&mut second, &["c"]);
    let after = journal.clone().fence().unwrap();
    assert!(after.same_writer(&fence) && after.seq > fence.seq, "{after:?}");
    assert_eq!(second.pipeline.counters.regressions.get(), 1);
    second.abandon();
    assert_eq!(counts_after(&journal, &errors), once(["a", "applied", "b", "c"]));
}

#[test]
fn a_journal_from_before_the_writers_term_is_no_successor() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let away = || Stores { errors: Arc::new(Away), ..stores(&journal, &errors) };
    let mut first = Run::start(&long(), away(), 1);
    store_each(&mut first, &["a", "b"]);
    first.abandon();
    let copy = journal.backup();
    let mut second = Run::start(&long(), away(), 2);
    store_each(&mut second, &["c"]);
    journal.restore(&copy);
    store_each(&mut second, &["d"]);
    second.abandon();
    assert_eq!(counts_after(&journal, &errors), once(["a", "b", "c", "d"]));
}

#[test]
fn what_cannot_be_given_back_is_applied_from_memory_and_counted_as_lost() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let endless = Settings { flush_interval: Duration::from_secs(u32::MAX.into()), ..settings(1) };
    // 20 s each time it is looked at: no two flights are young enough to be kept
    let mut run = Run::start_with_step(&endless, stores(&journal, &errors), 1, 20_000);
    store_each(&mut run, &["a", "b", "c"]);
    assert_eq!(journal.forget(3), 3);
    run.offer(&body("too late", 0));
    let stop = run.pipeline.stops.recv().unwrap();
    assert!(matches!(stop, Stop::JournalRegressed { .. }) && stop.wants_drain(), "{stop}");
    let counters = run.end();
    assert_eq!((counters.regressions.get(), counters.acked_lost.get()), (1, 3));
    let counted = |message| errors.counts().contains_key(&fingerprint(message));
    assert!(counted("a") && counted("b") && counted("c") && !counted("too late"));
}

#[test]
fn what_neither_memory_nor_journal_has_holds_nothing_up() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let before = Arc::new(move || {
        while !gate.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    });
    let detained = Arc::new(Detained { tables: errors.clone(), before });
    // each flight is an epoch and lies in the journal alone
    let narrow = Settings { backlog_bytes_max: 0, ..settings(1) };
    // 20 s each time it is looked at: no two flights are young enough to be kept
    let shut = Stores { errors: detained, ..stores(&journal, &errors) };
    let mut run = Run::start_with_step(&narrow, shut, 1, 20_000);
    let messages: Vec<_> = (0..100).map(|number| format!("message {number}")).collect();
    store_each(&mut run, &messages.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(journal.forget(98), 98);
    run.offer(&body("too late", 0));
    let stop = run.pipeline.stops.recv().unwrap();
    assert!(matches!(stop, Stop::JournalRegressed { .. }), "{stop}");
    open.store(true, Ordering::SeqCst);
    let counters = run.end();
    let counts = errors.counts();
    let counted = |message| counts.get(&fingerprint(message)).map(|tally| tally.count);
    assert_eq!((counted("message 0"), counted("message 99")), (Some(1), None));
    assert!(counts.values().all(|tally| tally.count == 1));
    assert!(counters.acked_lost.get() >= 100 - counts.len() as u64, "{counters:?}");
}

/// What happens between two events.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Nothing,
    /// The last few flights are gone.
    Forget(u8),
    /// The journal is as it was some events ago, with what was trimmed since.
    Back,
    /// The copy that [`Mishap::Back`] goes back to is made anew.
    Copy,
}

fn mishaps() -> impl Strategy<Value = Vec<Mishap>> {
    let mishap = prop_oneof![
        8 => Just(Mishap::Nothing),
        2 => (1..6_u8).prop_map(Mishap::Forget),
        1 => Just(Mishap::Back),
        2 => Just(Mishap::Copy),
    ];
    proptest::collection::vec(mishap, 20..120)
}

/// Offers an event after each mishap, kills the process and has another go on.
fn survives(mishaps: &[Mishap], seed: u64, per_thousand: u64, flush_ms: u64) {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let faults = Faults::new(seed, per_thousand);
    let failing = || Stores {
        journal: Box::new(Faulty::new(journal.clone(), faults.clone())),
        backlog: Box::new(Faulty::new(journal.clone(), faults.clone())),
        errors: Arc::new(errors.clone()),
    };
    let short = Settings { flush_interval: Duration::from_millis(flush_ms), ..settings(1) };
    let mut run = Run::start_among_faults(&short, failing, 1);
    let mut copy = journal.backup();
    for (number, mishap) in mishaps.iter().enumerate() {
        match mishap {
            Mishap::Nothing => {}
            Mishap::Forget(flights) => drop(journal.forget((*flights).into())),
            Mishap::Back => journal.restore(&copy),
            Mishap::Copy => copy = journal.backup(),
        }
        run.offer(&body(&format!("message {}", number % 9), 0));
        if number % 3 == 0 {
            std::thread::yield_now();
        }
    }
    let outcomes = run.outcomes();
    assert!(run.pipeline.stops.is_empty(), "{:?}", run.pipeline.stops.try_recv());
    assert_eq!(run.pipeline.counters.acked_lost.get(), 0);
    run.abandon();
    let counts = counts_after(&journal, &errors);
    let mut bounds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (number, outcome) in outcomes {
        let (least, most) = bounds.entry(format!("message {}", number % 9)).or_default();
        *least += u64::from(outcome == Outcome::Stored);
        *most += u64::from(matches!(outcome, Outcome::Stored | Outcome::MaybeStored));
    }
    for (message, (least, most)) in bounds {
        let count = counts.get(&message).copied().unwrap_or(0);
        assert!((least..=most).contains(&count), "{message}: {count}, not {least}..={most}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn mishaps_under_way_lose_and_double_nothing(
        mishaps in mishaps(), seed: u64, per_thousand in 0..150_u64, flush_ms in 20..2_000_u64,
    ) {
        survives(&mishaps, seed, per_thousand, flush_ms);
    }
}
