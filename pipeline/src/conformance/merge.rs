//! What is expected of a journal in which jobs are merged.

use bytes::Bytes;
use errsift_ops::id::{Seq, Term};

use super::journal::{Store, acquire, commit, job};
use crate::{
    ports::journal::{Merge, Page},
    settings::PAGE_BYTES_MAX,
};

/// Holds journals to all of it; `fresh` makes one that nobody has taken yet.
pub fn every(fresh: &dyn Fn() -> Box<dyn Store>) {
    a_merged_job_takes_the_place_of_several(&*fresh());
    a_page_is_bounded_in_bytes(&*fresh());
}

fn page(store: &dyn Store) -> Page {
    store.backlog().page(Seq(1), 99).expect("the journal answers")
}

/// All of it or nothing; nothing once the shard is another's, or a flight is trimmed or not there.
pub fn a_merged_job_takes_the_place_of_several(store: &dyn Store) {
    let mut journal = store.journal();
    let mut armed = acquire(&mut *journal, 1).armed;
    for n in 1..=6 {
        armed = commit(&mut *journal, armed, 5, &job(n)).expect("a commit");
    }
    let mut backlog = store.backlog();
    let mut merged = |merge: &Merge| backlog.merge(merge).expect("the journal answers");
    let merge = |term, blanked: &[u64], seq, n| Merge {
        term: Term(term),
        blanked: blanked.iter().copied().map(Seq).collect(),
        seq: Seq(seq),
        job: job(n),
    };
    let all: Vec<Bytes> = (1..=6).map(job).collect();
    assert!(!merged(&merge(1, &[5, 6], 7, 70)), "flight 7 is not there");
    assert!(!merged(&merge(2, &[2, 3], 5, 70)), "another's term");
    assert!(!merged(&merge(1, &[], 5, 70)), "nothing to merge");
    assert_eq!(page(store), Page { base: Seq(1), jobs: all });

    assert!(merged(&merge(1, &[2, 4], 5, 50)));
    let blank = Merge::blank;
    let jobs = vec![job(1), blank(), job(3), blank(), job(50), job(6)];
    assert_eq!(page(store), Page { base: Seq(1), jobs: jobs.clone() });
    assert!(merged(&merge(1, &[2, 4], 5, 50)), "doing it again changes nothing");
    assert_eq!(page(store).jobs, jobs);

    store.backlog().trim(Seq(2), &[]).expect("the journal answers");
    assert!(!merged(&merge(1, &[2, 3], 5, 70)), "flight 2 is trimmed");
    assert!(merged(&merge(1, &[3, 5], 6, 60)));
    assert_eq!(page(store), Page { base: Seq(3), jobs: vec![blank(), blank(), blank(), job(60)] });

    // neither fence nor list's end have moved
    commit(&mut *journal, armed, 6, &job(7)).expect("a commit");
    assert_eq!(page(store).jobs.last(), Some(&job(7)));
    acquire(&mut *store.journal(), 2);
    assert!(!merged(&merge(1, &[6], 7, 70)), "the shard is another's");
    assert_eq!(page(store).jobs.last(), Some(&job(7)));
}

/// A page ends with the job that fills it, and has one in any case.
pub fn a_page_is_bounded_in_bytes(store: &dyn Store) {
    let mut journal = store.journal();
    let mut armed = acquire(&mut *journal, 1).armed;
    let large = Bytes::from(vec![7; PAGE_BYTES_MAX / 2 + 1]);
    for job in [&job(1), &large, &large, &large, &job(5)] {
        armed = commit(&mut *journal, armed, 5, job).expect("a commit");
    }
    let lengths = |from| -> Vec<usize> {
        let page = store.backlog().page(Seq(from), 99).expect("the journal answers");
        page.jobs.iter().map(Bytes::len).collect()
    };
    assert_eq!(lengths(1), [5, large.len(), large.len()]);
    assert_eq!(lengths(4), [large.len(), 5]);
}
