//! What is expected of a journal that has forgotten flights. None can be made to do so here, but
//! one that its writer has brought further in memory only looks the same from outside.

use std::sync::mpsc;

use bytes::Bytes;
use errsift_ops::id::{Epoch, Nonce, Seq, Term};

use super::{
    ANSWER_MAX,
    journal::{Store, acquire, commit, job},
};
use crate::ports::{
    heal::{Heal, Recent},
    journal::{Armed, CommitFault, Fence, Journal, Page},
};

/// Holds journals to all of it; `fresh` makes one that nobody has taken yet.
pub(super) fn every(fresh: &dyn Fn() -> Box<dyn Store>) {
    the_list_goes_on_after_what_it_has(&*fresh());
    a_list_is_replaced(&*fresh());
    an_empty_journal_is_taken_again(&*fresh());
    a_fence_that_moved_is_left_alone(&*fresh());
}

/// Heals and waits for the fence.
fn heal(journal: &mut dyn Journal, heal: Heal) -> Fence {
    let (done, ended) = mpsc::channel();
    journal.heal(heal, Box::new(move |read| drop(done.send(read))));
    ended.recv_timeout(ANSWER_MAX).expect("an answer").expect("the journal answers")
}

/// Flights that follow `fence`, one event each, with these jobs.
fn flights(mut fence: Fence, jobs: &[Bytes]) -> Vec<Recent> {
    let mut recent = Vec::new();
    for job in jobs {
        fence = Fence { seq: fence.seq.next(), events: fence.events + 1, ..fence };
        recent.push(Recent { after: fence, job: job.clone() });
    }
    recent
}

fn missing(found: Fence, base: Option<Seq>, jobs: Vec<Recent>) -> Heal {
    let after = jobs.last().map_or(found, |last| last.after);
    Heal { found, after, base, jobs }
}

fn page(store: &dyn Store) -> Page {
    store.backlog().page(Seq(1), 99).expect("the journal answers")
}

/// The jobs come back with their numbers, also more than one transaction takes; once more changes
/// nothing; the next flight follows.
pub fn the_list_goes_on_after_what_it_has(store: &dyn Store) {
    let mut journal = store.journal();
    let armed = acquire(&mut *journal, 1).armed;
    let found = *commit(&mut *journal, armed, 5, &job(1)).expect("a commit").fence();
    let large = Bytes::from(vec![7; 1 << 20]);
    let jobs = flights(found, &[large.clone(), large.clone(), Bytes::new(), job(5)]);
    let all = missing(found, None, jobs);
    for _ in 0..2 {
        assert_eq!(heal(&mut *journal, all.clone()), all.after);
    }
    let expected = [job(1), large.clone(), large, Bytes::new(), job(5)];
    assert!(page(store) == Page { base: Seq(1), jobs: expected.into() });
    let armed = Armed::verify(&all.after, all.after).expect("the same fence");
    let armed = commit(&mut *journal, armed, 5, &job(6)).expect("a commit");
    assert_eq!((armed.fence().seq, armed.fence().events), (Seq(6), 6));
    let taken = acquire(&mut *store.journal(), 2);
    assert_eq!(taken.before.seq, Seq(6));
}

/// What every part has goes, whatever it was, and the list begins where it is told to.
pub fn a_list_is_replaced(store: &dyn Store) {
    let mut journal = store.journal();
    let armed = acquire(&mut *journal, 1).armed;
    let found = *commit(&mut *journal, armed, 5, &job(1)).expect("a commit").fence();
    let applied = Fence { seq: Seq(40), epoch: Epoch(9), events: 99, ..found };
    let all = missing(found, Some(Seq(41)), flights(applied, &[job(41), job(42)]));
    for _ in 0..2 {
        assert_eq!(heal(&mut *journal, all.clone()), all.after);
        assert_eq!(page(store), Page { base: Seq(41), jobs: vec![job(41), job(42)] });
    }
    // nothing is missing but the fence
    let further = Fence { seq: Seq(50), ..all.after };
    let fence = Heal { found: all.after, after: further, base: Some(Seq(51)), jobs: Vec::new() };
    assert_eq!(heal(&mut *journal, fence), further);
    assert_eq!(page(store), Page { base: Seq(51), jobs: Vec::new() });
    let armed = Armed::verify(&further, further).expect("the same fence");
    commit(&mut *journal, armed, 10, &job(51)).expect("a commit");
    assert_eq!(page(store), Page { base: Seq(51), jobs: vec![job(51)] });
}

/// A journal from before the writer's term holds it again, with its nonce.
pub fn an_empty_journal_is_taken_again(store: &dyn Store) {
    let mut journal = store.journal();
    let taken = Fence { term: Term(7), nonce: Nonce(u64::MAX), ..Fence::default() };
    let all = missing(Fence::default(), None, flights(taken, &[job(1), job(2)]));
    assert_eq!(heal(&mut *journal, all.clone()), all.after);
    assert_eq!(page(store), Page { base: Seq(1), jobs: vec![job(1), job(2)] });
    let armed = Armed::verify(&all.after, all.after).expect("the same fence");
    commit(&mut *journal, armed, 5, &job(3)).expect("a commit");
    assert_eq!(acquire(&mut *store.journal(), 2).armed.fence().term, Term(8));
}

/// Nothing is written over what another has written.
pub fn a_fence_that_moved_is_left_alone(store: &dyn Store) {
    let (mut old, mut new) = (store.journal(), store.journal());
    let armed = acquire(&mut *old, 1).armed;
    let found = *commit(&mut *old, armed, 5, &job(1)).expect("a commit").fence();
    let taken = *acquire(&mut *new, 2).armed.fence();
    for base in [None, Some(Seq(2))] {
        let lost = missing(found, base, flights(found, &[job(2)]));
        assert_eq!(heal(&mut *old, lost), taken);
    }
    let stale = Armed::verify(&found, found).expect("the same fence");
    let refused = commit(&mut *old, stale, 5, &job(2));
    assert!(matches!(refused, Err(CommitFault::Moved { found }) if found == taken), "{refused:?}");
    assert_eq!(page(store), Page { base: Seq(1), jobs: vec![job(1)] });
}
