//! Cases that have found something, spelt out, each tried several times: threads race.

use super::{
    machine::{Case, Machine, Step, What},
    try_one,
};

const CASE: Case = Case {
    seed: 1,
    per_thousand: 0,
    late_every: 0,
    workers: 1,
    flush_ms: 100,
    trim_late: false,
    paged: false,
};

fn own(events: usize) -> Step {
    Step::Offer { events: vec![What::Own; events], answered: true }
}

fn holds(case: Case, steps: &[Step]) {
    for _ in 0..8 {
        if let Err(wrong) = try_one(case, steps) {
            panic!("{wrong}");
        }
    }
}

/// A page that was read before the journal was healed, and a fence that was read after it, looked
/// like a gap.
#[test]
fn a_journal_that_is_healed_while_it_is_read_has_no_gap() {
    let mut steps = vec![own(2)];
    for flights in 1..6 {
        steps.extend([own(1), own(1), Step::Forget(flights), own(1)]);
    }
    holds(Case { paged: true, flush_ms: 1_700, ..CASE }, &steps);
}

/// What only the journal had was waited for, after it had forgotten that for good.
#[test]
fn a_journal_that_cannot_be_healed_ends_its_process() {
    let mut steps = vec![Step::Tables(true)];
    for _ in 0..8 {
        // longer than what was executed is kept for a journal that went back
        steps.extend([own(1), Step::Pass(20_000)]);
    }
    steps.extend([own(1), Step::Empty, own(1)]);
    holds(Case { paged: true, ..CASE }, &steps);
}

/// The tables had counted events that a journal, begun anew while they were away, knew nothing of.
/// Only the process that began it could tell, and it died before they answered: the ledger said for
/// ever that these events were there twice.
#[test]
fn what_was_counted_before_a_new_journal_is_in_the_ledger() {
    let began_alone = [own(3), own(2), Step::Drain, Step::Lose, Step::Tables(true), own(4)];
    let mut died = began_alone.to_vec();
    died.push(Step::Kill);
    holds(CASE, &died);
    let mut died_twice = died;
    died_twice.extend([own(1), Step::Kill, own(1)]);
    holds(CASE, &died_twice);
    let mut came_back = began_alone.to_vec();
    came_back.extend([Step::Tables(false), own(1), Step::Look, Step::Drain, own(1)]);
    holds(CASE, &came_back);
}

/// A case that failed while its process could not end was never heard of again.
#[test]
fn a_case_that_fails_does_not_wait_for_its_process() {
    let mut machine = Machine::new(CASE);
    let offered = Step::Offer { events: vec![What::Own; 3], answered: false };
    for step in [own(1), Step::Journal(true), offered] {
        machine.step(&step).unwrap();
    }
    drop(machine);
}
