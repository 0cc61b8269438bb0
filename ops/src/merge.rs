//! Several flights of one epoch, folded into one.
//!
//! What a merged job holds follows the distinct errors and windows of its flights, not how many
//! there were: counts add, spans grow, and an error's words are kept once.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    flight::{Entry, Flight},
    job::Job,
};

/// One job in the place of `jobs`, which follow each other and belong to one epoch: it has the last
/// one's number and term, and stands for all flights from the first one's first on. `None` if there
/// is none, or if they are not of one shard and epoch.
///
/// ```
/// use errsift_ops::{flight::Flight, id::{Epoch, Seq, Shard, Term}, job::Job, merge::merge};
/// # use errsift_ops::timestamp::Timestamp;
/// let job = |seq| Job {
///     shard: Shard(0),
///     term: Term(1),
///     first: Seq(seq),
///     flight: Flight {
///         seq: Seq(seq),
///         epoch: Epoch(9),
///         received_min: Timestamp::from_millis(1),
///         received_max: Timestamp::from_millis(2),
///         entries: Vec::new(),
///         ids: Vec::new(),
///     },
/// };
/// let merged = merge(vec![job(4), job(5), job(6)]).unwrap();
/// assert_eq!((merged.first, merged.flight.seq), (Seq(4), Seq(6)));
/// ```
pub fn merge(jobs: Vec<Job>) -> Option<Job> {
    let (shard, epoch) = jobs.first().map(|job| (job.shard, job.flight.epoch))?;
    if jobs.iter().any(|job| (job.shard, job.flight.epoch) != (shard, epoch)) {
        return None;
    }
    let first = jobs.first().map(|job| job.first)?;
    let (seq, term) = jobs.last().map(|job| (job.flight.seq, job.term))?;
    let received_min = jobs.iter().map(|job| job.flight.received_min).min()?;
    let received_max = jobs.iter().map(|job| job.flight.received_max).max()?;
    let ids = jobs.iter().flat_map(|job| &job.flight.ids).copied().collect();
    let entries = fold(jobs);
    let flight = Flight { seq, epoch, received_min, received_max, entries, ids };
    Some(Job { shard, term, first, flight })
}

/// One entry per fingerprint and window, in the order of their first coming; the words that came
/// first, as the tables would keep them.
fn fold(jobs: Vec<Job>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut places: FxHashMap<_, usize> = FxHashMap::default();
    let mut detailed = FxHashSet::default();
    for mut entry in jobs.into_iter().flat_map(|job| job.flight.entries) {
        if entry.details.is_some() && !detailed.insert(entry.fingerprint) {
            entry.details = None;
        }
        if let Some(place) = places.get(&(entry.fingerprint, entry.window)) {
            let kept = &mut entries[*place];
            kept.tally.fold(&entry.tally);
            if entry.details.is_some() {
                kept.details = entry.details;
            }
        } else {
            places.insert((entry.fingerprint, entry.window), entries.len());
            entries.push(entry);
        }
    }
    entries
}

/// Whether `job` can go together with the job before it, whose flight is `before`: nothing lies
/// between them but blanks that it stands for.
pub fn follows(job: &Job, before: &Flight) -> bool {
    job.first == before.seq.next() && job.flight.epoch == before.epoch
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        event::{EventId, Payload},
        fingerprint::{Fingerprint, RULE},
        flight::Details,
        id::{Epoch, Seq, Shard, Term},
        job,
        tally::Tally,
        timestamp::Timestamp,
        window::Window,
    };

    fn entry(name: u8, at: i64, count: u64, words: Option<&str>) -> Entry {
        let at = Timestamp::from_millis(at);
        let payload = |words: &str| Payload { message: words.to_owned(), ..Payload::default() };
        Entry {
            fingerprint: Fingerprint([name; 32]),
            window: Window::of(at),
            tally: Tally { count, first: at, last: at },
            details: words.map(|words| Arc::new(Details { rule: RULE, payload: payload(words) })),
        }
    }

    fn job(seq: u64, epoch: u64, entries: Vec<Entry>) -> Job {
        let at = Timestamp::from_millis(seq.cast_signed());
        let (seq, epoch) = (Seq(seq), Epoch(epoch));
        let ids = vec![EventId(seq.0.into())];
        let flight = Flight { seq, epoch, received_min: at, received_max: at, entries, ids };
        Job { shard: Shard(0), term: Term(1), first: seq, flight }
    }

    #[test]
    fn counts_add_and_words_are_kept_once() {
        let jobs = vec![
            job(7, 3, vec![entry(1, 10, 2, None), entry(2, 10, 1, Some("two"))]),
            job(8, 3, vec![entry(1, 40_000, 1, Some("one")), entry(2, 20, 4, Some("again"))]),
            job(9, 3, vec![entry(1, 15, 5, Some("one, late"))]),
        ];
        let merged = merge(jobs).unwrap();
        assert_eq!(
            (merged.first, merged.flight.seq, merged.flight.epoch),
            (Seq(7), Seq(9), Epoch(3))
        );
        assert_eq!(merged.flight.received_min, Timestamp::from_millis(7));
        assert_eq!(merged.flight.received_max, Timestamp::from_millis(9));
        let at = Timestamp::from_millis;
        let mut second = entry(2, 10, 5, Some("two"));
        second.tally.last = at(20);
        let mut first = entry(1, 10, 7, None);
        first.tally.last = at(15);
        assert_eq!(merged.flight.entries, [first, second, entry(1, 40_000, 1, Some("one"))]);
        assert_eq!(merged.flight.ids, [EventId(7), EventId(8), EventId(9)]);
        assert_eq!(job::decode(&job::encode(&merged)), Ok(merged));
    }

    #[test]
    fn epochs_stay_apart() {
        assert_eq!(merge(vec![job(7, 3, Vec::new()), job(8, 4, Vec::new())]), None);
        assert_eq!(merge(Vec::new()), None);
        let before = job(7, 3, Vec::new()).flight;
        assert!(follows(&job(8, 3, Vec::new()), &before));
        assert!(!follows(&job(9, 3, Vec::new()), &before));
        assert!(!follows(&job(8, 4, Vec::new()), &before));
    }

    #[test]
    fn merging_what_was_merged_gives_the_same_as_merging_all() {
        let jobs: Vec<_> = (1..=6)
            .map(|seq| {
                let name = u8::try_from(seq % 2).unwrap();
                job(seq, 3, vec![entry(name, 10 + seq.cast_signed(), seq, Some("words"))])
            })
            .collect();
        let all = merge(jobs.clone()).unwrap();
        let halves = [jobs[..2].to_vec(), jobs[2..].to_vec()];
        assert_eq!(merge(halves.into_iter().filter_map(merge).collect()), Some(all));
    }
}
