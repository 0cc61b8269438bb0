//! The whole protocol, on faulty stores in memory, against a plain model: processes that crash at
//! any call, take the shard from each other and come back; a journal that loses flights; tables that
//! lose commits; commits that arrive when nobody expects them any more.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by where it panics")]

mod book;
mod door;
mod machine;
mod process;
mod world;

use door::Doom;
use machine::{Case, Machine, Step, What};
use proptest::prelude::*;

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
        2 => Just(Step::Copy),
        2 => any::<u8>().prop_map(Step::Restore),
        3 => any::<bool>().prop_map(Step::Tables),
        2 => any::<bool>().prop_map(Step::Journal),
        4 => Just(Step::Deliver),
        3 => prop_oneof![6 => 1..3_000_i64, 1 => 3_000..20_000_i64, 1 => 100_000..400_000_i64]
            .prop_map(Step::Pass),
        3 => (1..8_u8).prop_map(Step::Wait),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let numbers = (
        any::<u64>(),
        0..150_u64,
        prop_oneof![Just(0), 3..9_u64],
        1..3_usize,
        20..2_000_u64,
        any::<bool>(),
    );
    numbers.prop_map(|(seed, per_thousand, late_every, workers, flush_ms, trim_late)| Case {
        seed,
        per_thousand,
        late_every,
        workers,
        flush_ms,
        trim_late,
    })
}

/// As many cases as are asked for, and few if nothing is.
fn config() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig { cases: 12, ..ProptestConfig::default() },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_acked_is_counted_once_whatever_happens(
        case in case(), steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut machine = Machine::new(case);
        for (number, step) in steps.iter().enumerate() {
            machine.step(step).map_err(|wrong| {
                TestCaseError::fail(format!("step {number}, {step:?}: {wrong}"))
            })?;
        }
        machine.settle().map_err(TestCaseError::fail)?;
    }
}
