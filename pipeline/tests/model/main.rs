//! The whole protocol, on faulty stores in memory, against a plain model: processes that crash at
//! any call, take the shard from each other and come back; a journal that loses flights; tables that
//! lose commits; commits that arrive when nobody expects them any more.
//!
//! `PROPTEST_CASES` asks for more cases. A case that fails is shrunk, printed, and its seed kept in
//! `regressions.txt`, which is tried first; `replays.rs` has those that have found something, spelt
//! out. Threads are real, so the same case need not meet the same races: each is tried several times.
//!
//! After each step: only who took the shard last commits; the jobs follow each other up to the
//! fence, and neither terms nor epochs go back in them; no guard row goes back, and none passes an
//! epoch by that holds something; no more is pending of an error in an epoch than was executed of it.
//! Whenever it is looked at: live counts come to be what is executed. At the end: what was
//! acknowledged is counted once, what was refused is not, what may be stored at most once, and
//! nothing else is; both of the ledger's differences are 0, no job is left and nothing is pending.
//!
//! What is not checked, and why:
//!
//! * When the journal has forgotten flights that its writer cannot give it again, acknowledged events
//!   may be missing, but no more than processes have said to be lost, and so may words. Fewer may be,
//!   because what a process still has in memory it applies, and what it says is what the journal had
//!   lost.
//! * When both stores lose at once what they had confirmed (the tables went back, and before a
//!   process has noticed the journal does), nothing holds that makes good what is missing, and
//!   nothing is said of how much is: only that nothing is counted twice.
//! * An id may be counted again once the journal has lost what it kept of it, also of jobs that it is
//!   given again, and the process that remembers it has ended.
//! * Copies of the tables are put back only while the journal holds what they lack, be it counts or
//!   words (that is what `trim_lag` is for), and under a process that is alive only if it trims late:
//!   one that is about to trim has read the guard rows already. Copies from before flights got the
//!   numbers of others are not put back at all.
//! * Live counts are not looked at while pending counts are known to be lost, nor is what is pending
//!   in epochs that were open when the journal forgot something: that may have been their reset. Both
//!   are right again with the next epoch.
//! * Pending counts may stay in epochs that every part has, where nobody looks for them: when a
//!   journal forgets that they were dropped, or a process dies that has counted them anew while
//!   another dropped their jobs. So may those of epochs that a journal has lost for good, if their
//!   writer added them after that, and died before it could notice.
//! * A process that is killed three times in a row just while it takes in the same job has that job set
//!   aside, and with it go its ids: what may have killed the process is not looked into again. Outside
//!   that is a chance that can be neglected, but here processes die at every other step, so each start
//!   is told of one such death at most. That no job is set aside then is checked.
//! * The journal is put back from a copy, or replaced by another, only when the tables have all: of
//!   what only it had, nobody could say that it is lost.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by where it panics")]

mod book;
mod door;
mod loss;
mod machine;
mod process;
mod replays;
mod verdict;
mod world;

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::channel,
    },
    time::Duration,
};

use door::Doom;
use machine::{Case, Machine, Step, What};
use proptest::{
    prelude::*,
    test_runner::{FileFailurePersistence, TestError, TestRunner},
};

/// Cases that run at once: they mostly wait, for pauses between attempts and for ticks.
const AT_ONCE: u32 = 16;
/// Cases if no other number is asked for.
const CASES: u32 = 48;
/// What a thread may take in all, shrinking included, before it is taken to hang: so much, and more
/// for each case.
const TIME_MAX: Duration = Duration::from_secs(180);
const CASE_TIME_MAX: Duration = Duration::from_secs(1);

fn what() -> impl Strategy<Value = What> {
    prop_oneof![3 => Just(What::Own), 2 => (0..4_u8).prop_map(What::Common), 3 => (0..6_u8).prop_map(What::Id)]
}

fn step() -> impl Strategy<Value = Step> {
    let doom = (0..40_u8, any::<bool>()).prop_map(|(calls, done)| Doom { calls, done });
    prop_oneof![
        12 => (proptest::collection::vec(what(), 1..8), any::<bool>())
            .prop_map(|(events, answered)| Step::Offer { events, answered }),
        3 => doom.prop_map(Step::Doom),
        2 => Just(Step::Kill),
        2 => Just(Step::TakeOver),
        1 => Just(Step::Drain),
        3 => (1..6_u8).prop_map(Step::Forget),
        1 => Just(Step::Empty),
        1 => Just(Step::Lose),
        2 => Just(Step::Copy),
        2 => any::<u8>().prop_map(Step::Restore),
        1 => any::<u8>().prop_map(Step::Older),
        3 => any::<bool>().prop_map(Step::Tables),
        2 => any::<bool>().prop_map(Step::Journal),
        4 => Just(Step::Deliver),
        3 => prop_oneof![6 => 1..3_000_i64, 1 => 3_000..20_000_i64, 1 => 100_000..400_000_i64]
            .prop_map(Step::Pass),
        3 => (1..8_u8).prop_map(Step::Wait),
        2 => Just(Step::Look),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let numbers = (
        any::<u64>(),
        prop_oneof![1 => Just(0), 3 => 0..150_u64],
        prop_oneof![Just(0), 3..9_u64],
        1..3_usize,
        20..2_000_u64,
        any::<bool>(),
        prop_oneof![3 => Just(false), 1 => Just(true)],
    );
    numbers.prop_map(|(seed, per_thousand, late_every, workers, flush_ms, trim_late, paged)| Case {
        seed,
        per_thousand,
        late_every,
        workers,
        flush_ms,
        trim_late,
        paged,
    })
}

/// Tries a case, and says what has happened in it if it fails.
fn try_one(case: Case, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut machine = Machine::new(case);
    let world = Arc::clone(&machine.world);
    let mut tried = Ok(());
    for (number, step) in steps.iter().enumerate() {
        world.tell(|| format!("step {number}, {step:?}"));
        tried = machine.step(step).map_err(|wrong| format!("step {number}, {step:?}: {wrong}"));
        if tried.is_err() {
            break;
        }
    }
    let tried = tried.and_then(|()| machine.settle());
    tried.map_err(|wrong| TestCaseError::fail(format!("{wrong}\n{}", world.story())))
}

/// Tries cases on one thread, until another has `found` something.
fn try_many(cases: u32, found: &AtomicBool) {
    let kept = FileFailurePersistence::Direct("tests/model/regressions.txt");
    let config = ProptestConfig {
        cases,
        failure_persistence: Some(Box::new(kept)),
        max_shrink_iters: 100,
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    };
    let steps = proptest::collection::vec(step(), 1..60);
    let mine = Cell::new(false);
    let tried = TestRunner::new(config).run(&(case(), steps), |(case, steps)| {
        if found.load(Ordering::SeqCst) && !mine.get() {
            return Ok(());
        }
        let tried = try_one(case, &steps);
        if tried.is_err() {
            mine.set(true);
            found.store(true, Ordering::SeqCst);
        }
        tried
    });
    match tried {
        Ok(()) => {}
        Err(TestError::Fail(wrong, (case, steps))) => panic!("{wrong}\n{case:?}\n{steps:?}"),
        Err(TestError::Abort(wrong)) => panic!("{wrong}"),
    }
}

/// The cases that were kept, and no others.
#[test]
fn what_was_found_once_is_not_found_again() {
    try_many(0, &AtomicBool::default());
}

#[test]
fn what_is_acked_is_counted_once_whatever_happens() {
    let asked = std::env::var_os("PROPTEST_CASES").map(|_| ProptestConfig::default().cases);
    let cases = asked.unwrap_or(CASES);
    let found = Arc::new(AtomicBool::new(false));
    let (send, ended) = channel();
    for _ in 0..AT_ONCE {
        let (send, found) = (send.clone(), Arc::clone(&found));
        std::thread::spawn(move || {
            let tried = catch_unwind(AssertUnwindSafe(|| {
                try_many(cases.div_ceil(AT_ONCE), &found);
            }));
            // nobody listens once the time is up
            let _ = send.send(tried.is_ok());
        });
    }
    let limit = TIME_MAX + CASE_TIME_MAX * cases;
    let fine = (0..AT_ONCE).map(|_| ended.recv_timeout(limit)).take_while(Result::is_ok);
    let fine = fine.filter(|fine| *fine == Ok(true)).count();
    assert_eq!(fine, AT_ONCE as usize, "threads that have found nothing wrong, and ended");
}
