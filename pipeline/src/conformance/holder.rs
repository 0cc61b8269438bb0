//! What is expected of a journal: the holder's mark, and numbers that nobody can have written.

use errsift_ops::id::{Nonce, Seq, Term};

use super::journal::{Store, acquire, commit, job};
use crate::ports::{
    holder::{Beat, Holder, Place},
    journal::{Fence, NUMBER_MAX, Progress},
};

/// Holds journals to all of it; `fresh` makes one that nobody has taken yet.
pub fn every(fresh: &dyn Fn() -> Box<dyn Store>) {
    only_the_fences_writer_marks(&*fresh());
    a_mark_is_given_back_by_its_writer(&*fresh());
    a_mark_does_not_touch_the_fence(&*fresh());
    numbers_nobody_has_written_are_refused(&*fresh());
}

fn mark(fence: &Fence, pid: u32) -> Holder {
    let place = Place {
        host: "a'host\"\\ö".to_owned(),
        pid_space: "boot pid:[1]".to_owned(),
        pid,
        started: (1 << 60) + 1,
    };
    Holder { term: fence.term, nonce: fence.nonce, place }
}

/// A mark is read back whole; the writer that was overtaken hears whose the shard is, and leaves
/// the mark alone.
pub fn only_the_fences_writer_marks(store: &dyn Store) {
    let mut backlog = store.backlog();
    assert_eq!(backlog.holder().expect("the journal answers"), None);
    let old = acquire(&mut *store.journal(), u64::MAX).armed;
    assert_eq!(backlog.holder().expect("the journal answers"), None);
    let first = mark(old.fence(), 7);
    assert_eq!(backlog.beat(&first).expect("the journal answers"), Beat::Held);
    assert_eq!(store.backlog().holder().expect("the journal answers"), Some(first.clone()));

    let new = acquire(&mut *store.journal(), 2).armed;
    assert_eq!(backlog.beat(&first).expect("the journal answers"), Beat::Fenced(*new.fence()));
    let second = mark(new.fence(), 8);
    assert_eq!(backlog.beat(&second).expect("the journal answers"), Beat::Held);
    // of the same term, but by another's nonce
    let other = Holder { nonce: Nonce(3), ..second.clone() };
    assert_eq!(backlog.beat(&other).expect("the journal answers"), Beat::Fenced(*new.fence()));
    assert_eq!(backlog.beat(&first).expect("the journal answers"), Beat::Fenced(*new.fence()));
    assert_eq!(store.backlog().holder().expect("the journal answers"), Some(second));
}

/// Giving a mark back takes it away once, and never another's.
pub fn a_mark_is_given_back_by_its_writer(store: &dyn Store) {
    let mut backlog = store.backlog();
    let old = acquire(&mut *store.journal(), 1).armed;
    let first = mark(old.fence(), 7);
    backlog.release(&first).expect("the journal answers");
    assert_eq!(backlog.beat(&first).expect("the journal answers"), Beat::Held);
    let new = acquire(&mut *store.journal(), 2).armed;
    let second = mark(new.fence(), 8);
    assert_eq!(backlog.beat(&second).expect("the journal answers"), Beat::Held);
    backlog.release(&first).expect("the journal answers");
    assert_eq!(backlog.holder().expect("the journal answers"), Some(second.clone()));
    backlog.release(&second).expect("the journal answers");
    backlog.release(&second).expect("the journal answers");
    assert_eq!(backlog.holder().expect("the journal answers"), None);
}

/// Commits go on whatever becomes of the mark between two of them.
pub fn a_mark_does_not_touch_the_fence(store: &dyn Store) {
    let (mut journal, mut backlog) = (store.journal(), store.backlog());
    let mut armed = acquire(&mut *journal, 1).armed;
    let held = mark(armed.fence(), 7);
    for n in 1..=3 {
        assert_eq!(backlog.beat(&held).expect("the journal answers"), Beat::Held);
        armed = commit(&mut *journal, armed, 5, &job(n)).expect("a commit");
        backlog.release(&held).expect("the journal answers");
    }
    assert_eq!(backlog.fence().expect("the journal answers"), *armed.fence());
}

/// A term without a successor is refused, and the shard stays as it was.
pub fn numbers_nobody_has_written_are_refused(store: &dyn Store) {
    acquire(&mut *store.journal(), 1);
    let before = store.backlog().fence().expect("the journal answers");
    for absurd in [
        Progress { term: Term(u64::MAX), ..Progress::default() },
        Progress { term: Term(NUMBER_MAX), ..Progress::default() },
        Progress { seq: Seq(NUMBER_MAX), ..Progress::default() },
    ] {
        let refused = store.journal().acquire(Nonce(9), absurd).expect_err("a number like that");
        assert!(refused.reason.contains("errsift has not written"), "{refused}");
    }
    assert_eq!(store.backlog().fence().expect("the journal answers"), before);
    acquire(&mut *store.journal(), 2);
}
