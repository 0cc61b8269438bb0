//! Jobs that cannot be read, on stores in memory.

use std::sync::Arc;

use bytes::Bytes;
use errsift_ops::{
    id::{Epoch, Nonce, Seq, Shard},
    job,
};
use errsift_pipeline::{
    counters::Counters,
    faulty::{Faults, Faulty},
    memory::{MemoryErrors, MemoryJournal},
    ports::{
        dead::{Aside, DeadJob, Recovery, SetAside},
        errors::Claim,
        journal::{Backlog, Journal, Progress},
    },
    start::Stores,
    stop::Stop,
};
use proptest::prelude::*;

use crate::{
    stores,
    support::{Away, Run, body, fingerprint, settings},
};

/// A journal with `jobs` jobs of one event each, `message 0` and so on, none applied.
fn journaled(jobs: usize) -> MemoryJournal {
    let journal = MemoryJournal::default();
    let away = Stores { errors: Arc::new(Away), ..stores(&journal, &MemoryErrors::default()) };
    let mut run = Run::start(&settings(1), away, 1);
    for number in 0..jobs {
        run.offer(&body(&format!("message {number}"), 0));
        while run.pipeline.counters.acked.get() <= number as u64 {
            std::thread::yield_now();
        }
    }
    run.abandon();
    let copy = journal.backup();
    assert_eq!(copy.clone().size().unwrap().jobs, jobs as u64);
    copy
}

/// Puts `damaged` where job `seq` lies, as a disk or a person may.
fn damage(journal: &mut MemoryJournal, seq: u64, damaged: &Bytes) {
    let acquired = journal.acquire(Nonce(9), Progress::default()).unwrap();
    let fence = acquired.armed.fence();
    let claim = Claim { shard: Shard(0), term: fence.term, nonce: fence.nonce };
    let found = journal.page(Seq(seq), 1).unwrap().jobs.remove(0);
    let (tombstone, dead) = (damaged.clone(), Bytes::from("kept"));
    let aside = Aside { seq: Seq(seq), job: found, tombstone, dead: dead.clone() };
    assert_eq!(journal.set_aside(&claim, &aside).unwrap(), SetAside::Done);
    // as if it had never been set aside
    assert!(journal.drop_dead(&dead, 0).unwrap());
    assert!(journal.count_dead(&claim, Seq(0), 0).unwrap());
}

/// CRC-32C, a bit at a time.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

fn at(journal: &MemoryJournal, seq: u64) -> Bytes {
    journal.clone().page(Seq(seq), 1).unwrap().jobs.remove(0)
}

fn dead(journal: &MemoryJournal) -> Vec<DeadJob> {
    let jobs = journal.clone().dead_jobs(0, 99).unwrap();
    jobs.iter().map(|job| DeadJob::decode(job).unwrap()).collect()
}

fn counted(errors: &MemoryErrors) -> u64 {
    errors.guards(Shard(0)).iter().map(|guard| guard.events).sum()
}

fn assert_ledger(counters: &Counters, errors: &MemoryErrors, events: u64, in_dead_jobs: u64) {
    assert_eq!(counted(errors), events);
    assert_eq!(counters.dead_job_events.get(), in_dead_jobs);
    assert_eq!(counters.applied_difference.get(), 0);
}

#[test]
fn whatever_cannot_be_read_is_set_aside_and_the_rest_counted() {
    let whole = journaled(12);
    let flipped = |seq| {
        let mut bytes = at(&whole, seq).to_vec();
        bytes[60] ^= 1;
        Bytes::from(bytes)
    };
    let cut = at(&whole, 5).slice(..50);
    for (place, damaged) in
        [(1, flipped(1)), (5, cut), (6, Bytes::new()), (12, Bytes::from("?")), (7, flipped(7))]
    {
        let (mut journal, errors) = (whole.backup(), MemoryErrors::default());
        damage(&mut journal, place, &damaged);
        let counters = Run::start(&settings(2), stores(&journal, &errors), 20).end();
        let counts = errors.counts();
        assert_eq!(counts.len(), 11);
        let lost = fingerprint(&format!("message {}", place - 1));
        assert!(!counts.contains_key(&lost));
        assert_ledger(&counters, &errors, 11, 1);
        assert_eq!(journal.clone().size().unwrap().jobs, 0, "everything else is trimmed");
        let [dead] = &dead(&journal)[..] else { panic!("{:?}", dead(&journal)) };
        assert_eq!((dead.seq, &dead.job), (Seq(place), &damaged));
        assert_eq!(dead.lacking(dead.epoch), u64::MAX);
        // and nothing of it comes again
        let counters = Run::start(&settings(1), stores(&journal, &errors), 21).end();
        assert_ledger(&counters, &errors, 11, 1);
        assert_eq!(errors.counts(), counts);
    }
}

#[test]
fn a_job_of_a_newer_errsift_stops_and_is_left_alone() {
    let (mut journal, errors) = (journaled(3), MemoryErrors::default());
    let mut newer = at(&journal, 2).to_vec();
    newer[4] = 2;
    let content = newer.len() - 4;
    let crc = crc32c(&newer[..content]);
    newer[content..].copy_from_slice(&crc.to_le_bytes());
    damage(&mut journal, 2, &Bytes::from(newer.clone()));
    let run = Run::start(&settings(1), stores(&journal, &errors), 20);
    let stop = run.pipeline.stops.recv().unwrap();
    assert!(matches!(stop, Stop::Newer { seq: Seq(2), .. }) && stop.exit_code() == 65, "{stop}");
    run.abandon();
    assert_eq!((at(&journal, 2), dead(&journal)), (Bytes::from(newer), vec![]));
}

/// The tables' guard rows say what a job still lacks, so it waits for them; acks do not.
#[test]
fn nothing_is_set_aside_without_the_tables() {
    let mut journal = journaled(3);
    damage(&mut journal, 2, &Bytes::from("?"));
    let away = Stores { errors: Arc::new(Away), ..stores(&journal, &MemoryErrors::default()) };
    let mut run = Run::start(&settings(1), away, 20);
    run.offer(&body("while they are away", 0));
    run.outcomes();
    run.abandon();
    assert_eq!((at(&journal, 2), dead(&journal)), (Bytes::from("?"), vec![]));
}

/// A job that was noted at three deaths in a row is set aside although it can be read.
#[test]
fn a_deadly_job_is_set_aside_at_the_fourth_start() {
    for (deaths, expected) in [(1, 0), (2, 1)] {
        let (mut journal, errors) = (journaled(5), MemoryErrors::default());
        let acquired = journal.acquire(Nonce(9), Progress::default()).unwrap();
        let fence = acquired.armed.fence();
        let claim = Claim { shard: Shard(0), term: fence.term, nonce: fence.nonce };
        let noted = Recovery { starts: 4, suspect: Seq(3), accused: Seq(3), deaths };
        assert!(journal.note_recovery(&claim, &noted).unwrap());
        let whole = at(&journal, 3);
        let counters = Run::start(&settings(1), stores(&journal, &errors), 20).end();
        assert_ledger(&counters, &errors, 5 - expected, expected);
        assert_eq!(counters.unfinished_starts.get(), 0);
        assert_eq!(journal.recovery().unwrap(), Recovery::default());
        let dead = dead(&journal);
        assert_eq!(dead.len() as u64, expected);
        if let [dead] = &dead[..] {
            assert_eq!((dead.seq, &dead.job), (Seq(3), &whole));
            let epoch = job::decode(&whole).unwrap().flight.epoch;
            assert!(dead.epoch == epoch && epoch > Epoch(0));
        }
    }
}

/// What may have killed three processes is not looked into again, not even for its ids: an event that
/// comes again is counted beside the dead job.
#[test]
fn the_ids_of_a_deadly_job_go_with_it() {
    let again = format!(r#"{{"message":"again","eventId":"{:032x}"}}"#, 7);
    for (deaths, in_dead_jobs) in [(1, 0), (2, 1)] {
        let (journal, errors) = (MemoryJournal::default(), MemoryErrors::default());
        let away = Stores { errors: Arc::new(Away), ..stores(&journal, &errors) };
        let mut run = Run::start(&settings(1), away, 1);
        run.offer(&again);
        assert_eq!(run.outcomes().len(), 1);
        run.abandon();
        let mut journal = journal.backup();
        let acquired = journal.acquire(Nonce(9), Progress::default()).unwrap();
        let fence = acquired.armed.fence();
        let claim = Claim { shard: Shard(0), term: fence.term, nonce: fence.nonce };
        let noted = Recovery { starts: 4, suspect: Seq(1), accused: Seq(1), deaths };
        assert!(journal.note_recovery(&claim, &noted).unwrap());
        let mut run = Run::start(&settings(1), stores(&journal, &errors), 20);
        run.offer(&again);
        assert_eq!(run.outcomes().len(), 1);
        assert_ledger(&run.end(), &errors, 1, in_dead_jobs);
        assert_eq!(dead(&journal).len() as u64, in_dead_jobs);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn with_faults_the_readable_are_counted_once(
        seed in any::<u64>(),
        per_thousand in 0..300_u64,
        broken in proptest::collection::btree_set(1..=9_u64, 0..5),
        starts in 0..5_u64,
    ) {
        let (mut journal, errors) = (journaled(9), MemoryErrors::default());
        for seq in &broken {
            damage(&mut journal, *seq, &Bytes::from(format!("broken {seq}")));
        }
        let acquired = journal.acquire(Nonce(9), Progress::default()).unwrap();
        let fence = acquired.armed.fence();
        let claim = Claim { shard: Shard(0), term: fence.term, nonce: fence.nonce };
        let noted = Recovery { starts, ..Recovery::default() };
        prop_assert!(journal.note_recovery(&claim, &noted).unwrap());
        let faults = Faults::new(seed, per_thousand);
        let stores = || Stores {
            journal: Box::new(journal.clone()),
            backlog: Box::new(Faulty::new(journal.clone(), faults.clone())),
            errors: Arc::new(Faulty::new(errors.clone(), faults.clone())),
        };
        Run::start_among_faults(&settings(2), stores, 20).end();
        let counters = Run::start(&settings(1), crate::stores(&journal, &errors), 21).end();
        let events = broken.len() as u64;
        prop_assert_eq!(counted(&errors), 9 - events);
        prop_assert_eq!(counters.dead_job_events.get(), events);
        prop_assert_eq!(counters.applied_difference.get(), 0);
        let seqs: std::collections::BTreeSet<_> =
            dead(&journal).iter().map(|dead| dead.seq.0).collect();
        prop_assert_eq!(seqs, broken);
        prop_assert_eq!(dead(&journal).len() as u64, events);
        let counts = errors.counts();
        prop_assert!(counts.values().all(|tally| tally.count == 1));
    }
}
