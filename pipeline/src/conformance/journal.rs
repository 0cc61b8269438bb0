//! What is expected of a journal: the fence, commits, and the list.

use std::sync::mpsc::{self, Receiver, Sender};

use bytes::Bytes;
use errsift_ops::id::{Epoch, Nonce, Seq, Term};

use super::{ANSWER_MAX, dead_jobs, heal, holder, ids, merge, pending};
use crate::ports::journal::{
    Acquired, Armed, Backlog, Commit, CommitFault, CommitResult, Fence, Foreign, Journal, Page,
    Progress,
};

/// One shard's journal, to take handles from: several of each kind, on the same journal.
pub trait Store {
    /// A writing end that has not taken the shard.
    fn journal(&self) -> Box<dyn Journal>;

    /// A reading end.
    fn backlog(&self) -> Box<dyn Backlog>;
}

/// Holds journals to all of it; `fresh` makes one that nobody has taken yet.
pub fn every(fresh: &dyn Fn() -> Box<dyn Store>) {
    taking_raises_the_term(&*fresh());
    flights_follow_each_other(&*fresh());
    a_refused_or_lost_flight_can_be_resolved(&*fresh());
    a_moved_fence_stops_a_commit(&*fresh());
    the_list_is_contiguous(&*fresh());
    a_journal_behind_the_tables_goes_on_from_them(&*fresh());
    a_trim_ends_at_the_last_flight(&*fresh());
    pending::every(fresh);
    heal::every(fresh);
    ids::every(fresh);
    merge::every(fresh);
    holder::every(fresh);
    dead_jobs::every(fresh);
}

/// Takes the shard of a journal that the tables know nothing of.
pub fn acquire(journal: &mut dyn Journal, nonce: u64) -> Acquired {
    journal.acquire(Nonce(nonce), Progress::default()).expect("the journal answers")
}

/// Commits one flight of one event, in epoch `epoch`, and waits for its end.
pub fn commit(journal: &mut dyn Journal, armed: Armed, epoch: u64, job: &Bytes) -> CommitResult {
    let fence = Fence {
        seq: armed.fence().seq.next(),
        epoch: Epoch(epoch),
        events: armed.fence().events + 1,
        ..*armed.fence()
    };
    let (done, ended) = channel();
    let commit = Commit { armed, fence, job: job.clone() };
    journal.commit(commit, Box::new(move |result| drop(done.send(result))));
    ended.recv_timeout(ANSWER_MAX).expect("a commit ends")
}

/// Asks for the fence and waits for it.
fn rearm(journal: &mut dyn Journal) -> Fence {
    let (done, ended) = channel();
    journal.rearm(Box::new(move |result| drop(done.send(result))));
    ended.recv_timeout(ANSWER_MAX).expect("the fence comes").expect("the journal answers")
}

fn channel<T>() -> (Sender<T>, Receiver<T>) {
    mpsc::channel()
}

/// The `n`th job's bytes: any bytes at all.
pub fn job(n: u8) -> Bytes {
    Bytes::from(vec![n, 0, 255, b'\'', n])
}

fn page(store: &dyn Store, from: u64, jobs_max: usize) -> Page {
    store.backlog().page(Seq(from), jobs_max).expect("the journal answers")
}

/// The first taker starts from nothing; each further one leaves everything but the writer as it is.
pub fn taking_raises_the_term(store: &dyn Store) {
    assert_eq!(store.backlog().fence().expect("the journal answers"), Fence::default());
    let mut journal = store.journal();
    let taken = acquire(&mut *journal, u64::MAX);
    assert_eq!(taken.before, Fence::default());
    let first = Fence { term: Term(1), nonce: Nonce(u64::MAX), ..Fence::default() };
    assert_eq!(taken.armed.fence(), &first);

    let armed = commit(&mut *journal, taken.armed, 9, &job(1)).expect("a commit");
    let taken = acquire(&mut *store.journal(), 22);
    assert_eq!(&taken.before, armed.fence());
    let second = Fence { term: Term(2), nonce: Nonce(22), ..taken.before };
    assert_eq!(taken.armed.fence(), &second);
    assert_eq!(store.backlog().fence().expect("the journal answers"), second);
    assert_eq!(page(store, 1, 10).jobs, [job(1)]);
}

/// A commit leaves the fence it was given, arms the next one, and its job at the list's end.
pub fn flights_follow_each_other(store: &dyn Store) {
    let mut journal = store.journal();
    let mut armed = acquire(&mut *journal, 1).armed;
    let large = Bytes::from(vec![7; 3 << 20]);
    for (n, job) in (1..).zip([&job(1), &large, &Bytes::new()]) {
        armed = commit(&mut *journal, armed, 100 + n, job).expect("a commit");
        let fence = *armed.fence();
        assert_eq!((fence.seq, fence.epoch, fence.events), (Seq(n), Epoch(100 + n), n));
        assert_eq!(store.backlog().fence().expect("the journal answers"), fence);
    }
    let expected = Page { base: Seq(1), jobs: vec![job(1), large, Bytes::new()] };
    assert!(page(store, 1, 10) == expected);
    let size = store.backlog().size().expect("the journal answers");
    assert_eq!(size.jobs, 3);
    assert!(size.bytes >= 3 << 20, "{size:?}");

    let (done, ended) = channel();
    journal.confirm(armed, Box::new(move |result| drop(done.send(result))));
    let armed = ended.recv_timeout(ANSWER_MAX).expect("an answer").expect("durable already");
    assert_eq!(armed.fence().seq, Seq(3));
}

/// Permission made from the fence as it is read back goes on from there; the same flight sent
/// again, as after a lost answer, is executed once.
pub fn a_refused_or_lost_flight_can_be_resolved(store: &dyn Store) {
    let mut journal = store.journal();
    let armed = acquire(&mut *journal, 1).armed;
    let before = *armed.fence();
    let after = *commit(&mut *journal, armed, 5, &job(1)).expect("a commit").fence();
    assert_eq!(rearm(&mut *journal), after);
    // the fence alone must stop the copy: the job it would collide with may be trimmed already
    store.backlog().trim(Seq(1), &[]).expect("the journal answers");
    // forged permission, as if the answer had been lost and nobody had looked
    let stale = Armed::verify(&before, before).expect("the same fence");
    match commit(&mut *journal, stale, 5, &job(1)) {
        Err(CommitFault::Moved { found }) => assert_eq!(found, after),
        other => panic!("a flight was executed twice: {other:?}"),
    }
    let read = rearm(&mut *journal);
    let armed = Armed::verify(&after, read).expect("the fence stands");
    commit(&mut *journal, armed, 5, &job(2)).expect("a commit");
    expect_page(store, 1, 2, &[2]);
}

/// Once another has taken the shard, nothing of the predecessor's is executed.
pub fn a_moved_fence_stops_a_commit(store: &dyn Store) {
    let (mut old, mut new) = (store.journal(), store.journal());
    let armed = acquire(&mut *old, 1).armed;
    let armed = commit(&mut *old, armed, 5, &job(1)).expect("a commit");
    let taken = acquire(&mut *new, 2).armed;
    match commit(&mut *old, armed, 5, &job(66)) {
        Err(CommitFault::Moved { found }) => assert_eq!(&found, taken.fence()),
        other => panic!("a fenced writer was heard: {other:?}"),
    }
    assert_eq!(rearm(&mut *old), *taken.fence());
    commit(&mut *new, taken, 6, &job(2)).expect("a commit");
    assert_eq!(page(store, 1, 10).jobs, [job(1), job(2)]);
}

/// What a page from `from` holds: the base, and the numbers of its jobs.
fn expect_page(store: &dyn Store, from: u64, base: u64, jobs: &[u8]) {
    let jobs = jobs.iter().map(|n| job(*n)).collect();
    assert_eq!(page(store, from, 9), Page { base: Seq(base), jobs });
}

/// Pages begin where asked, or at the base; trimming moves the base and leaves no hole.
pub fn the_list_is_contiguous(store: &dyn Store) {
    let (mut journal, mut backlog) = (store.journal(), store.backlog());
    let mut armed = acquire(&mut *journal, 1).armed;
    expect_page(store, 1, 1, &[]);
    for n in 1..=5 {
        armed = commit(&mut *journal, armed, 5, &job(n)).expect("a commit");
    }
    assert_eq!(page(store, 1, 2).jobs, [job(1), job(2)]);
    expect_page(store, 4, 1, &[4, 5]);
    expect_page(store, 6, 1, &[]);
    let mut trim = |upto| backlog.trim(Seq(upto), &[]).expect("the journal answers");
    trim(3);
    expect_page(store, 1, 4, &[4, 5]);
    trim(2);
    trim(3);
    trim(0);
    expect_page(store, 5, 4, &[5]);
    trim(5);
    expect_page(store, 1, 6, &[]);
    // trimming never touches the fence
    commit(&mut *journal, armed, 6, &job(6)).expect("a commit");
    expect_page(store, 1, 6, &[6]);
    let taken = acquire(&mut *store.journal(), 2);
    assert_eq!(taken.before.seq, Seq(6));
    expect_page(store, 1, 6, &[6]);
}

/// Restored from an older copy, a journal is emptied and goes on after the tables' numbers.
pub fn a_journal_behind_the_tables_goes_on_from_them(store: &dyn Store) {
    let mut journal = store.journal();
    let armed = acquire(&mut *journal, 1).armed;
    commit(&mut *journal, armed, 50, &job(1)).expect("a commit");
    // as far as the tables: nothing is lost
    let level = Progress {
        seq: Seq(1),
        epoch: Epoch(50),
        applied: Epoch(50),
        events: 1,
        ..Progress::default()
    };
    journal.acquire(Nonce(2), level).expect("the journal answers");
    assert_eq!(page(store, 1, 9), Page { base: Seq(1), jobs: vec![job(1)] });

    // ahead, but some part has not even epoch 50: its job stays, and so does the number
    let uneven = Progress {
        term: Term(9),
        seq: Seq(40),
        epoch: Epoch(70),
        applied: Epoch(49),
        events: 400,
        foreign: Foreign::default(),
    };
    let fence = *journal.acquire(Nonce(3), uneven).expect("the journal answers").armed.fence();
    assert_eq!((fence.seq, fence.epoch, fence.term), (Seq(1), Epoch(70), Term(10)));
    assert_eq!(page(store, 1, 9), Page { base: Seq(1), jobs: vec![job(1)] });

    let ahead = Progress { term: Term(77), applied: Epoch(70), ..uneven };
    let taken = journal.acquire(Nonce(4), ahead).expect("the journal answers");
    assert_eq!((taken.before.seq, taken.before.epoch), (Seq(1), Epoch(70)));
    let fence = *taken.armed.fence();
    assert_eq!((fence.seq, fence.epoch, fence.term), (Seq(40), Epoch(70), Term(78)));
    assert_eq!(fence.events, 400, "the ledger goes on from what is applied");
    assert_eq!(page(store, 1, 9), Page { base: Seq(41), jobs: vec![] });
    commit(&mut *journal, taken.armed, 71, &job(41)).expect("a commit");
    assert_eq!(page(store, 1, 9), Page { base: Seq(41), jobs: vec![job(41)] });
}

/// A trim beyond the last flight, as after the journal has gone back, goes no further than it.
pub fn a_trim_ends_at_the_last_flight(store: &dyn Store) {
    let mut journal = store.journal();
    let armed = acquire(&mut *journal, 1).armed;
    let armed = commit(&mut *journal, armed, 5, &job(1)).expect("a commit");
    store.backlog().trim(Seq(9), &[Epoch(5)]).expect("the journal answers");
    assert_eq!(page(store, 1, 9), Page { base: Seq(2), jobs: vec![] });
    commit(&mut *journal, armed, 6, &job(2)).expect("a commit");
    assert_eq!(page(store, 1, 9), Page { base: Seq(2), jobs: vec![job(2)] });
}
