//! What is expected of a journal: the pending counts.

use errsift_ops::id::{Epoch, Seq, Term};

use super::{
    fingerprint,
    journal::{Store, acquire, commit, job},
};

/// Holds journals to all of it; `fresh` makes one that nobody has taken yet.
pub fn every(fresh: &dyn Fn() -> Box<dyn Store>) {
    pending_counts_add_up(&*fresh());
    many_are_read_at_once(&*fresh());
    trimming_drops_jobs_and_counts(&*fresh());
    a_fenced_writer_adds_nothing(&*fresh());
}

/// Counts add up per epoch and fingerprint until they are reset.
pub fn pending_counts_add_up(store: &dyn Store) {
    acquire(&mut *store.journal(), 1);
    let mut backlog = store.backlog();
    let (a, b) = (fingerprint(1, 1), fingerprint(2, 2));
    let mut add = |epoch, counts: &[_]| {
        backlog.add_pending(Term(1), Epoch(epoch), counts).expect("the journal answers");
    };
    add(5, &[(a, 1), (b, 2)]);
    add(5, &[(a, 10)]);
    add(6, &[(a, 100)]);
    add(6, &[]);
    let pending = |fingerprint, epochs: &[u64]| {
        let epochs: Vec<Epoch> = epochs.iter().copied().map(Epoch).collect();
        store.backlog().pending(&fingerprint, &epochs).expect("the journal answers")
    };
    assert_eq!(pending(a, &[5, 6, 7]), [11, 100, 0]);
    assert_eq!(pending(b, &[6, 5]), [0, 2]);
    assert_eq!(pending(fingerprint(3, 3), &[5]), [0]);
    assert!(pending(a, &[]).is_empty());
    let all = |fingerprints: &[_], epochs: &[_]| {
        store.backlog().pending_all(fingerprints, epochs).expect("the journal answers")
    };
    let three = [b, a, fingerprint(3, 3)];
    assert_eq!(all(&three, &[Epoch(5), Epoch(6)]), [[2, 0], [11, 100], [0, 0]]);
    assert_eq!(all(&three, &[]), [[0; 0]; 3]);
    assert!(all(&[], &[Epoch(5)]).is_empty());
    backlog.reset_pending(&[Epoch(5), Epoch(9)]).expect("the journal answers");
    assert_eq!(pending(a, &[5, 6]), [0, 100]);
}

/// More counts than a store may want to ask for in one piece.
pub fn many_are_read_at_once(store: &dyn Store) {
    acquire(&mut *store.journal(), 1);
    let mut backlog = store.backlog();
    let epochs: Vec<Epoch> = (1..=30).map(Epoch).collect();
    let fingerprints: Vec<_> = (0..1_100).map(|n| fingerprint(1, n)).collect();
    for (n, epoch) in (1_u64..).zip(&epochs) {
        let counts: Vec<_> =
            (0_u64..).zip(&fingerprints).map(|(m, of)| (*of, n + 100 * m)).collect();
        backlog.add_pending(Term(1), *epoch, &counts).expect("the journal answers");
    }
    let all = backlog.pending_all(&fingerprints, &epochs).expect("the journal answers");
    assert_eq!(all.len(), fingerprints.len());
    for (m, counts) in (0_u64..).zip(all) {
        assert!(counts.into_iter().eq((1..=30).map(|n| n + 100 * m)), "those of {m}");
    }
}

/// A trim drops its epochs' counts with the jobs, and no others.
pub fn trimming_drops_jobs_and_counts(store: &dyn Store) {
    let (mut journal, mut backlog) = (store.journal(), store.backlog());
    let armed = acquire(&mut *journal, 1).armed;
    let armed = commit(&mut *journal, armed, 5, &job(1)).expect("a commit");
    commit(&mut *journal, armed, 6, &job(2)).expect("a commit");
    let a = fingerprint(1, 1);
    for epoch in [Epoch(5), Epoch(6)] {
        backlog.add_pending(Term(1), epoch, &[(a, 1)]).expect("the journal answers");
    }
    backlog.trim(Seq(1), &[Epoch(5)]).expect("the journal answers");
    let pending = backlog.pending(&a, &[Epoch(5), Epoch(6)]).expect("the journal answers");
    assert_eq!(pending, [0, 1]);
    assert_eq!(backlog.page(Seq(1), 9).expect("the journal answers").jobs, [job(2)]);
}

/// Counts of a writer that no longer holds the shard are not added; whether it is told is open.
pub fn a_fenced_writer_adds_nothing(store: &dyn Store) {
    acquire(&mut *store.journal(), 1);
    acquire(&mut *store.journal(), 2);
    let (mut backlog, a) = (store.backlog(), fingerprint(1, 1));
    for term in [Term(0), Term(1), Term(3)] {
        let _ = backlog.add_pending(term, Epoch(5), &[(a, 1)]);
    }
    assert_eq!(backlog.pending(&a, &[Epoch(5)]).expect("the journal answers"), [0]);
    backlog.add_pending(Term(2), Epoch(5), &[(a, 1)]).expect("the journal answers");
    assert_eq!(backlog.pending(&a, &[Epoch(5)]).expect("the journal answers"), [1]);
}
