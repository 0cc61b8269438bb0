//! What is expected of a journal: jobs that are set aside.

use bytes::Bytes;
use errsift_ops::id::{Epoch, Nonce, Part, Seq, Shard, Term};
use errsift_ops::timestamp::Timestamp;

use super::journal::{Store, acquire, commit, job};
use crate::ports::{
    dead::{Aside, DeadJob, DeadJobs, Recovery, SetAside},
    errors::Claim,
    journal::{Acquired, Armed},
};

/// Holds journals to all of it; `fresh` makes one that nobody has taken yet.
pub fn every(fresh: &dyn Fn() -> Box<dyn Store>) {
    a_job_is_set_aside_once(&*fresh());
    what_has_changed_is_not_set_aside(&*fresh());
    the_dead_are_counted_and_dropped(&*fresh());
    how_starts_went_is_kept(&*fresh());
}

fn claim(acquired: &Acquired) -> Claim {
    let fence = acquired.armed.fence();
    Claim { shard: Shard(0), term: fence.term, nonce: fence.nonce }
}

/// The `n`th job set aside, with any bytes at all for a tombstone.
fn aside(n: u8) -> Aside {
    let dead = DeadJob {
        shard: Shard(0),
        seq: Seq(n.into()),
        epoch: Epoch(5),
        at: Timestamp::from_millis(1),
        guards: [Epoch(4); Part::COUNT],
        reason: "by a test".to_owned(),
        job: job(n),
    };
    let tombstone = Bytes::from(vec![b'T', n, 0, 0xff]);
    Aside { seq: Seq(n.into()), job: job(n), tombstone, dead: Bytes::from(dead.encode()) }
}

/// Commits the jobs 1 to `last`, of an event each.
fn fill(store: &dyn Store, last: u8) -> Claim {
    let mut journal = store.journal();
    let acquired = acquire(&mut *journal, 1);
    let claim = claim(&acquired);
    let commit = |armed: Armed, n| commit(&mut *journal, armed, 5, &job(n)).expect("a commit");
    (1..=last).fold(acquired.armed, commit);
    claim
}

/// Its place is kept, its bytes are among the dead, and asking again changes nothing.
pub fn a_job_is_set_aside_once(store: &dyn Store) {
    let claim = fill(store, 3);
    let mut backlog = store.backlog();
    assert_eq!(backlog.dead().expect("an answer"), DeadJobs::default());
    assert!(backlog.dead_jobs(0, 9).expect("an answer").is_empty());
    backlog.trim(Seq(1), &[]).expect("an answer");
    let before = backlog.fence().expect("an answer");
    for _ in 0..3 {
        assert_eq!(backlog.set_aside(&claim, &aside(2)).expect("an answer"), SetAside::Done);
    }
    let page = backlog.page(Seq(1), 9).expect("an answer");
    assert_eq!((page.base, page.jobs), (Seq(2), vec![aside(2).tombstone, job(3)]));
    assert_eq!(backlog.dead_jobs(0, 9).expect("an answer"), [aside(2).dead]);
    assert_eq!(backlog.fence().expect("an answer"), before, "the fence is not touched");
    let dead = backlog.dead().expect("an answer");
    assert_eq!((dead.jobs, dead.last, dead.is_counted()), (1, Seq(2), false));
    // what lies among the dead outlives the trim of the tombstone
    backlog.trim(Seq(3), &[]).expect("an answer");
    assert_eq!(backlog.dead_jobs(0, 9).expect("an answer"), [aside(2).dead]);
}

/// A fenced writer changes nothing, and neither does one that takes another job for it.
pub fn what_has_changed_is_not_set_aside(store: &dyn Store) {
    let old = fill(store, 3);
    let mut backlog = store.backlog();
    let other = Aside { job: job(9), ..aside(2) };
    assert_eq!(backlog.set_aside(&old, &other).expect("an answer"), SetAside::Changed);
    backlog.trim(Seq(1), &[]).expect("an answer");
    for gone in [aside(1), aside(4)] {
        assert_eq!(backlog.set_aside(&old, &gone).expect("an answer"), SetAside::Changed);
    }
    let new = claim(&acquire(&mut *store.journal(), 2));
    let forged = [old, Claim { nonce: Nonce(77), ..new }, Claim { term: Term(77), ..new }];
    for forged in forged {
        assert_eq!(backlog.set_aside(&forged, &aside(2)).expect("an answer"), SetAside::Fenced);
        assert!(!backlog.count_dead(&forged, Seq(2), 1).expect("an answer"));
    }
    assert_eq!(backlog.page(Seq(1), 9).expect("an answer").jobs, [job(2), job(3)]);
    assert_eq!(backlog.dead().expect("an answer"), DeadJobs::default());
    assert_eq!(backlog.set_aside(&new, &aside(2)).expect("an answer"), SetAside::Done);
}

/// Their events are a sum that outlives those that are dropped, less what was counted after all.
pub fn the_dead_are_counted_and_dropped(store: &dyn Store) {
    let claim = fill(store, 4);
    let mut backlog = store.backlog();
    for n in 1..=4 {
        assert_eq!(backlog.set_aside(&claim, &aside(n)).expect("an answer"), SetAside::Done);
    }
    let two: Vec<_> = [2, 3].map(|n| aside(n).dead).to_vec();
    assert_eq!(backlog.dead_jobs(1, 2).expect("an answer"), two);
    assert!(backlog.dead_jobs(4, 2).expect("an answer").is_empty());
    assert!(backlog.count_dead(&claim, Seq(3), 30).expect("an answer"));
    let dead = DeadJobs { jobs: 4, last: Seq(4), counted: Seq(3), events: 30 };
    assert_eq!(backlog.dead().expect("an answer"), dead);
    let mut drop_dead = |n, redriven| {
        let was_there = backlog.drop_dead(&aside(n).dead, redriven).expect("an answer");
        let DeadJobs { jobs, events, .. } = backlog.dead().expect("an answer");
        (was_there, jobs, events)
    };
    assert_eq!(drop_dead(1, 0), (true, 3, 30));
    assert_eq!(drop_dead(2, 9), (true, 2, 21));
    assert_eq!(drop_dead(2, 9), (false, 2, 21));
    // its events are not in the sum yet
    assert_eq!(drop_dead(4, 5), (true, 1, 21));
    assert!(backlog.count_dead(&claim, Seq(4), 22).expect("an answer"));
    let dead = DeadJobs { jobs: 1, last: Seq(4), counted: Seq(4), events: 22 };
    assert_eq!(backlog.dead().expect("an answer"), dead);
    assert_eq!(backlog.dead_jobs(0, 9).expect("an answer"), [aside(3).dead]);
}

/// What the holder notes is there for the next one, who alone may change it then.
pub fn how_starts_went_is_kept(store: &dyn Store) {
    let old = fill(store, 1);
    let mut backlog = store.backlog();
    assert_eq!(backlog.recovery().expect("an answer"), Recovery::default());
    let noted = Recovery { starts: 2, suspect: Seq(1), accused: Seq(4), deaths: 3 };
    assert!(backlog.note_recovery(&old, &noted).expect("an answer"));
    let new = claim(&acquire(&mut *store.journal(), 2));
    assert!(!backlog.note_recovery(&old, &Recovery::default()).expect("an answer"));
    assert_eq!(backlog.recovery().expect("an answer"), noted);
    assert!(backlog.note_recovery(&new, &Recovery::default()).expect("an answer"));
    assert_eq!(store.backlog().recovery().expect("an answer"), Recovery::default());
}
