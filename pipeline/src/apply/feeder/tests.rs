//! What the feeder makes of a journal that has forgotten flights for good.

use crossbeam_channel::bounded;
use errsift_ops::{id::Nonce, timestamp::Timestamp};

use super::*;
use crate::{counters::Counters, ports::journal::Fence};

const CLAIM: Claim = Claim { shard: Shard(0), term: Term(3), nonce: Nonce(7) };

fn flight(seq: u64) -> Flight {
    let at = Timestamp::default();
    let (seq, epoch) = (Seq(seq), Epoch(10));
    let (entries, ids) = (Vec::new(), Vec::new());
    Flight { seq, epoch, received_min: at, received_max: at, entries, ids }
}

struct Fed {
    feed: Arc<Feed>,
    feeder: Feeder,
    asked: Receiver<Keep>,
    pages: Sender<Page>,
}

impl Fed {
    /// Flights up to `last` were executed; memory has those that are `live`.
    fn new(last: u64, live: &[u64]) -> Self {
        let (epochs, counters) = (Arc::<OpenEpochs>::default(), Arc::<Counters>::default());
        let (feed, flights) =
            Feed::new(Fence::default(), 1_000, Arc::clone(&epochs), Arc::default(), counters);
        let (keeper, asked) = bounded(4);
        let (pages, served) = bounded(1);
        let feeder = Feeder::new(
            &CLAIM,
            (Arc::clone(&feed), flights),
            (keeper, served),
            (epochs, Arc::default()),
            (Epoch::default(), false),
            1_000,
        );
        for seq in 1..=last {
            let flight = live.contains(&seq).then(|| flight(seq));
            feed.hand_over(Executed { seq: Seq(seq), flight, job_bytes: 1 });
        }
        Self { feed, feeder, asked, pages }
    }

    /// The flights it gives when the journal ends after `last`, by the first number not given yet.
    fn given(&mut self, last: u64) -> Result<Vec<u64>, Stop> {
        self.serve(last, CLAIM.term)
    }

    fn serve(&mut self, last: u64, term: Term) -> Result<Vec<u64>, Stop> {
        let mut given = Vec::new();
        // longer than it may take
        for _ in 0..20 {
            match self.feeder.turn()? {
                Feeding::Entries(..) => given.push(self.feeder.next.0 - 1),
                Feeding::Advance(_) => {}
                Feeding::End => return Ok(given),
                Feeding::Wait => {
                    if let Ok(Keep::Page(from)) = self.asked.try_recv() {
                        let job = |seq| {
                            let flight = flight(seq);
                            let first = flight.seq;
                            job::encode(&Job { shard: CLAIM.shard, term, first, flight }).into()
                        };
                        let jobs = (from.0..=last).map(job).collect();
                        self.pages.send(Page { base: Seq(1), jobs }).unwrap();
                    }
                }
            }
        }
        panic!("the feeder never ends: {given:?}");
    }
}

#[test]
fn what_is_nowhere_is_passed_over() {
    for (live, last, expected) in [
        (&[][..], 0, &[][..]),
        (&[], 2, &[1, 2]),
        (&[4, 6], 1, &[1, 4, 6]),
        (&[1, 5], 3, &[1, 2, 3, 5]),
        (&[3, 4], 0, &[3, 4]),
    ] {
        let mut fed = Fed::new(6, live);
        fed.feed.note_forgotten();
        fed.feed.end();
        assert_eq!(fed.given(last).unwrap(), expected, "{live:?} {last}");
    }
}

#[test]
fn what_was_to_be_merged_is_taken_from_memory_when_the_journal_has_it_no_more() {
    let mut fed = Fed::new(4, &[1, 2, 3, 4]);
    assert!(fed.feed.reach.reserve(Seq(2), Seq(3)));
    fed.feed.note_forgotten();
    fed.feed.end();
    assert_eq!(fed.given(0).unwrap(), [1, 2, 3, 4]);
}

#[test]
fn a_journal_that_has_only_lost_them_is_a_gap() {
    let mut fed = Fed::new(3, &[]);
    fed.feed.end();
    assert!(matches!(fed.given(1), Err(Stop::Gap { expected: Seq(2), found: Seq(4) })));
}

#[test]
fn a_successors_flight_of_the_same_number_is_not_taken() {
    let mut fed = Fed::new(3, &[]);
    fed.feed.note_forgotten();
    fed.feed.end();
    assert!(matches!(fed.serve(3, Term(4)), Err(Stop::Fenced(_))));
}

#[test]
fn what_came_from_the_journal_does_not_stay_in_memory() {
    let mut fed = Fed::new(6, &[3, 4, 5, 6]);
    fed.feed.end();
    assert_eq!(fed.given(6).unwrap(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(fed.feed.waiting_bytes(), 0);
}
