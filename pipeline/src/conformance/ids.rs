//! What is expected of a journal: the event ids that a trim keeps.

use errsift_ops::{
    event::EventId,
    id::{Epoch, Seq},
    timestamp::Timestamp,
};

use super::journal::{Store, acquire, commit, job};
use crate::ports::journal::JobIds;

/// Holds journals to all of it; `fresh` makes one that nobody has taken yet.
pub fn every(fresh: &dyn Fn() -> Box<dyn Store>) {
    a_trim_keeps_ids_once(&*fresh());
    old_ids_are_forgotten(&*fresh());
}

fn ids(seq: u64, second: i64, ids: std::ops::Range<u128>) -> JobIds {
    let received = Timestamp::from_millis(second * 1_000);
    JobIds { seq: Seq(seq), received, ids: ids.map(EventId).collect() }
}

/// Ids come back as they were given, in order and once each, however often a trim is repeated;
/// a plain trim leaves them as they are.
pub fn a_trim_keeps_ids_once(store: &dyn Store) {
    let (mut journal, mut backlog) = (store.journal(), store.backlog());
    assert_eq!(backlog.kept_ids().expect("the journal answers"), []);
    let mut armed = acquire(&mut *journal, 1).armed;
    for n in 1..=6 {
        armed = commit(&mut *journal, armed, 5, &job(n)).expect("a commit");
    }
    let start = Timestamp::default();
    let first = ids(2, 1_700_000_000, 0..3);
    let largest = JobIds { ids: vec![EventId(u128::MAX)], ..ids(3, 1_700_000_001, 0..0) };
    let many = ids(5, 1_700_000_002, 1_000..41_000);
    let mut trim = |upto, ids: &[JobIds]| {
        backlog.trim_keeping(Seq(upto), &[Epoch(5)], ids, start).expect("the journal answers");
        backlog.page(Seq(1), 9).expect("the journal answers").base
    };
    for _ in 0..2 {
        assert_eq!(trim(3, &[first.clone(), largest.clone()]), Seq(4));
    }
    // as when the answer to the trim before was lost, and more has become ready for it since
    assert_eq!(trim(5, &[first.clone(), largest.clone(), many.clone()]), Seq(6));
    assert_eq!(trim(6, &[]), Seq(7));
    store.backlog().trim(Seq(6), &[]).expect("the journal answers");
    // a successor finds them
    acquire(&mut *store.journal(), 2);
    let kept = store.backlog().kept_ids().expect("the journal answers");
    assert!(kept == [first, largest, many], "{} pieces", kept.len());
}

/// What was received before the moment named is forgotten, also by a trim that drops no job.
pub fn old_ids_are_forgotten(store: &dyn Store) {
    let (mut journal, mut backlog) = (store.journal(), store.backlog());
    let mut armed = acquire(&mut *journal, 1).armed;
    for n in 1..=3 {
        armed = commit(&mut *journal, armed, 5, &job(n)).expect("a commit");
    }
    let at = Timestamp::from_millis;
    let pieces = [ids(1, 10, 0..2), ids(2, 20, 2..4), ids(3, 30, 4..6)];
    let mut trim = |upto, ids: &[JobIds], since| {
        backlog.trim_keeping(Seq(upto), &[], ids, since).expect("the journal answers");
        backlog.kept_ids().expect("the journal answers")
    };
    assert_eq!(trim(2, &pieces[..2], at(10_000)), pieces[..2]);
    assert_eq!(trim(3, &pieces[2..], at(10_001)), pieces[1..]);
    assert_eq!(trim(3, &[], at(20_001)), pieces[2..]);
    assert_eq!(trim(3, &[], at(30_001)), []);
}
