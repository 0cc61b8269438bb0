//! Words travel with an error until the tables have them.

use std::{sync::Arc, time::Duration};

use errsift_ops::{
    id::{Seq, Shard},
    job,
};
use errsift_pipeline::{
    live,
    memory::{MemoryErrors, MemoryJournal},
    ports::journal::Backlog,
    settings::Settings,
    start::Stores,
};

use crate::{
    stores,
    support::{Away, Run, body, fingerprint, settings},
};

#[test]
fn words_are_sent_until_they_are_known_and_counted_live_at_once() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let long = Settings { flush_interval: Duration::from_secs(3600), ..settings(1) };
    let mut run = Run::start(&long, stores(&journal, &errors), 1);
    let name = fingerprint("boom");
    let live = |run: &Run| {
        let epochs = run.pipeline.epochs.waiting();
        live::read(Shard(0), &name, &epochs, &mut journal.clone(), &mut errors.clone()).unwrap()
    };
    run.offer(&body("boom", 0));
    run.outcomes();
    while live(&run).count < 1 || live(&run).details.is_none() {
        std::thread::yield_now();
    }
    assert!(errors.counts().is_empty(), "the epoch is still open");
    let jobs_before = journal.clone().size().unwrap();
    for _ in 0..3 {
        // one after the other, so that each is a flight of its own
        run.offer(&body("boom", 0));
        while live(&run).count < run.pipeline.counters.acked.get()
            || run.pipeline.counters.acked.get() < 2
        {
            std::thread::yield_now();
        }
    }
    while live(&run).count < 4 {
        std::thread::yield_now();
    }
    let jobs_after = journal.clone().size().unwrap();
    let (jobs, bytes) = (jobs_after.jobs - jobs_before.jobs, jobs_after.bytes - jobs_before.bytes);
    assert!(bytes / jobs < jobs_before.bytes, "a known error's words are not sent again");
    run.end();
    assert_eq!(errors.counts()[&name].count, 4);
}

#[test]
fn words_are_known_only_once_the_tables_have_them() {
    let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
    let away = Stores { errors: Arc::new(Away), ..stores(&journal, &errors) };
    let long = Settings { flush_interval: Duration::from_secs(3600), ..settings(1) };
    let mut run = Run::start(&long, away, 1);
    for acks in 1..=3 {
        run.offer(&body("boom", 0));
        while run.pipeline.counters.acked.get() < acks {
            std::thread::yield_now();
        }
    }
    for job in journal.clone().page(Seq(1), 99).unwrap().jobs {
        let entries = job::decode(&job).unwrap().flight.entries;
        assert!(entries.iter().all(|entry| entry.details.is_some()), "{entries:?}");
    }
    run.abandon();
    assert_eq!(journal.clone().fence().unwrap().events, 3);
}
