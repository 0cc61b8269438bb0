//! Feeder and merger on one journal, in any order, with restarts: what apply gets is what was
//! committed.

use std::{collections::BTreeMap, sync::Arc};

use crossbeam_channel::{Receiver, Sender, bounded};
use errsift_ops::{
    event::Payload,
    fingerprint::{Fingerprint, RULE},
    flight::{Details, Entry, Flight},
    id::{Nonce, Shard},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};
use proptest::prelude::*;

use super::*;
use crate::{
    apply::{
        feeder::{Feeder, Feeding},
        keeper::Keep,
    },
    counters::Counters,
    epochs::OpenEpochs,
    feed::Executed,
    memory::MemoryJournal,
    ports::{
        errors::Claim,
        journal::{Armed, Commit, Fence, Journal, Page, Progress},
    },
    settings::PAGE_JOBS,
};

/// What happens next.
#[derive(Clone, Debug)]
enum Act {
    /// Flights of these errors are committed.
    Commit(Vec<u8>),
    Close,
    Feed(u8),
    Page,
    Merge(u8),
    /// All epochs that apply has been given whole are applied.
    Apply,
    Trim,
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => proptest::collection::vec(0..4_u8, 1..30).prop_map(Act::Commit),
        3 => Just(Act::Close),
        4 => (1..40_u8).prop_map(Act::Feed),
        3 => Just(Act::Page),
        6 => (1..8_u8).prop_map(Act::Merge),
        1 => Just(Act::Apply),
        1 => Just(Act::Trim),
        1 => Just(Act::Restart),
    ];
    proptest::collection::vec(act, 1..60)
}

type Counts = BTreeMap<(Epoch, Fingerprint, Window), u64>;

/// What lasts.
struct World {
    journal: MemoryJournal,
    fence: Fence,
    committed: Counts,
    tables: Counts,
    applied: Epoch,
    applied_seq: Seq,
}

/// A process.
struct Life {
    armed: Option<Armed>,
    feed: Arc<Feed>,
    feeder: Feeder,
    merger: Merger,
    asked: Receiver<Keep>,
    pages: Sender<Page>,
    epoch: Epoch,
    given: Counts,
    /// Epochs before this one are given whole.
    whole: Epoch,
    /// Of these, the feeder knows that they are applied.
    told: Epoch,
    merged: usize,
}

fn entry(error: u8, with_words: bool) -> Entry {
    let at = Timestamp::from_millis(i64::from(error) * 20_000);
    let payload = Payload { message: "m".repeat(200), ..Payload::default() };
    Entry {
        fingerprint: Fingerprint([error; 32]),
        window: Window::of(at),
        tally: Tally { count: 1 + u64::from(error), first: at, last: at },
        details: with_words.then(|| Arc::new(Details { rule: RULE, payload })),
    }
}

impl Life {
    fn start(world: &mut World, bytes_max: usize) -> Self {
        let taken = world.journal.acquire(Nonce(1), Progress::default()).unwrap();
        world.fence = *taken.armed.fence();
        let epochs = Arc::new(OpenEpochs::default());
        let counters = Arc::new(Counters::default());
        let wake = Arc::default();
        let (feed, live) = Feed::new(world.fence, bytes_max, Arc::clone(&epochs), wake, counters);
        let (keeper, asked) = bounded(64);
        let (pages, served) = bounded(1);
        let claim = Claim { shard: Shard(0), term: world.fence.term, nonce: world.fence.nonce };
        let feeder = Feeder::new(
            &claim,
            (Arc::clone(&feed), live),
            (keeper, served),
            (epochs, Arc::default()),
            (world.fence.epoch, false),
            bytes_max,
        );
        let merger = Merger::new(world.fence.term, Arc::clone(&feed), Duration::ZERO);
        Self {
            armed: Some(taken.armed),
            feed,
            feeder,
            merger,
            asked,
            pages,
            epoch: world.fence.epoch.max(Epoch(10)),
            given: Counts::new(),
            whole: Epoch::default(),
            told: Epoch::default(),
            merged: 0,
        }
    }

    /// Commits a flight with one entry for each of `errors`.
    fn commit(&mut self, world: &mut World, errors: &[u8]) {
        let armed = self.armed.take().unwrap();
        let seq = armed.fence().seq.next();
        let entries: Vec<_> =
            errors.iter().map(|error| entry(*error, seq.0.is_multiple_of(3))).collect();
        for entry in &entries {
            let key = (self.epoch, entry.fingerprint, entry.window);
            *world.committed.entry(key).or_default() += entry.tally.count;
        }
        let at = Timestamp::default();
        let epoch = self.epoch;
        let flight =
            Flight { seq, epoch, received_min: at, received_max: at, entries, ids: Vec::new() };
        let term = armed.fence().term;
        let job = Job { shard: Shard(0), term, first: seq, flight: flight.clone() };
        let bytes = job::encode(&job);
        let fence = Fence { seq, epoch: self.epoch, ..*armed.fence() };
        let (done, ended) = bounded(1);
        let job_bytes = bytes.len();
        let commit = Commit { armed, fence, job: bytes.into() };
        world.journal.commit(commit, Box::new(move |result| done.send(result).unwrap()));
        self.armed = Some(ended.recv().unwrap().unwrap());
        world.fence = fence;
        self.feed.hand_over(Executed { seq, flight: Some(flight), job_bytes });
    }

    fn close(&mut self, world: &World) {
        if world.fence.epoch == self.epoch {
            self.feed.close(self.epoch, world.fence.seq);
            self.epoch = Epoch(self.epoch.0 + 1);
        }
    }

    /// Feeds a little; returns whether there was anything.
    fn feed(&mut self) -> bool {
        match self.feeder.turn().unwrap() {
            Feeding::Entries(epoch, entries) => {
                self.whole = self.whole.max(epoch);
                for entry in entries {
                    let key = (epoch, entry.fingerprint, entry.window);
                    *self.given.entry(key).or_default() += entry.tally.count;
                }
                true
            }
            Feeding::Advance(epoch) => {
                self.whole = self.whole.max(epoch);
                true
            }
            Feeding::Wait | Feeding::End => false,
        }
    }

    /// Does what the keeper was asked for; returns whether it was.
    fn page(&mut self, world: &mut World) -> bool {
        let Ok(keep) = self.asked.try_recv() else { return false };
        if let Keep::Page(from) = keep {
            let page = world.journal.page(from, PAGE_JOBS).unwrap();
            self.merger.paged(Seq(from.max(page.base).0 + page.jobs.len() as u64 - 1));
            self.pages.send(page).unwrap();
        }
        true
    }

    fn merge(&mut self, world: &mut World) -> bool {
        self.merger.tick(Duration::ZERO);
        let busy = self.merger.is_busy();
        if busy {
            self.merged += self.merger.step(&mut world.journal).unwrap();
        }
        busy
    }

    /// Returns whether there was anything.
    fn apply(&mut self, world: &mut World) -> bool {
        for (key, count) in self.given.iter().filter(|((epoch, ..), _)| *epoch < self.whole) {
            if key.0 > world.applied {
                *world.tables.entry(*key).or_default() += count;
            }
        }
        world.applied = world.applied.max(Epoch(self.whole.0.saturating_sub(1)));
        self.given.retain(|(epoch, ..), _| *epoch >= self.whole);
        self.feeder.applied(Some(self.whole));
        let grown = self.whole > self.told;
        self.told = self.whole;
        grown
    }
}

fn fresh() -> World {
    World {
        journal: MemoryJournal::default(),
        fence: Fence::default(),
        committed: Counts::new(),
        tables: Counts::new(),
        applied: Epoch::default(),
        applied_seq: Seq::default(),
    }
}

/// Drops the jobs of all epochs that are applied.
fn trim(world: &mut World) {
    let jobs = world.journal.page(Seq(1), usize::MAX).unwrap().jobs;
    let applied = jobs.iter().filter_map(|job| job::decode(job).ok());
    let applied = applied.filter(|job| job.flight.epoch <= world.applied);
    world.applied_seq = applied.map(|job| job.flight.seq).max().unwrap_or(world.applied_seq);
    world.journal.trim(world.applied_seq, &[]).unwrap();
}

fn play(acts: Vec<Act>, bytes_max: usize) -> (World, usize) {
    let mut world = fresh();
    let mut life = Life::start(&mut world, bytes_max);
    let mut merged = 0;
    for act in acts {
        match act {
            Act::Commit(errors) => {
                for error in errors {
                    life.commit(&mut world, &[error]);
                }
            }
            Act::Close => life.close(&world),
            Act::Feed(times) => (0..times).for_each(|_| {
                life.feed();
            }),
            Act::Page => _ = life.page(&mut world),
            Act::Merge(times) => (0..times).for_each(|_| {
                life.merge(&mut world);
            }),
            Act::Apply => _ = life.apply(&mut world),
            Act::Trim => trim(&mut world),
            Act::Restart => {
                merged += life.merged;
                life = Life::start(&mut world, bytes_max);
                life.epoch = Epoch(world.fence.epoch.0.max(10) + 1);
            }
        }
    }
    life.close(&world);
    // once apply has what there is, it may go on with what it had no room for
    while life.feed() || life.page(&mut world) || life.apply(&mut world) {}
    merged += life.merged;
    (world, merged)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn merging_at_any_moment_changes_no_count(
        acts in acts(), bytes_max in prop_oneof![Just(0_usize), Just(3_000), Just(1 << 20)]
    ) {
        let (world, _) = play(acts, bytes_max);
        prop_assert_eq!(world.tables, world.committed);
    }
}

#[test]
fn an_epoch_becomes_one_job() {
    let mut world = fresh();
    let mut life = Life::start(&mut world, 1 << 20);
    for n in 0..5_000_u16 {
        life.commit(&mut world, &[u8::try_from(n % 4).unwrap()]);
    }
    let before = world.journal.size().unwrap();
    assert!(!life.merge(&mut world), "the epoch is open");
    life.close(&world);
    while life.merge(&mut world) {}
    let jobs = world.journal.page(Seq(1), usize::MAX).unwrap().jobs;
    let left: Vec<_> = jobs.iter().filter(|job| *job != job::BLANK).collect();
    assert_eq!((left.len(), jobs.len()), (1, 5_000));
    let merged = job::decode(left[0]).unwrap();
    assert_eq!((merged.first, merged.flight.seq), (Seq(1), Seq(5_000)));
    assert_eq!(merged.flight.events(), 12_500);
    let after = world.journal.size().unwrap();
    assert!(after.bytes < before.bytes / 50, "{before:?} {after:?}");
}

#[test]
fn distinct_errors_are_left_alone() {
    let mut world = fresh();
    let mut life = Life::start(&mut world, 1 << 20);
    for n in 0..12_u8 {
        life.commit(&mut world, &(n * 20..n * 20 + 20).collect::<Vec<_>>());
    }
    let before = world.journal.page(Seq(1), 99).unwrap();
    life.close(&world);
    while life.merge(&mut world) {}
    assert_eq!(world.journal.page(Seq(1), 99).unwrap(), before);
}

#[test]
fn a_writer_that_lost_the_shard_merges_nothing() {
    let mut world = fresh();
    let mut life = Life::start(&mut world, 1 << 20);
    (0..10).for_each(|_| life.commit(&mut world, &[1]));
    life.close(&world);
    let before = world.journal.page(Seq(1), 99).unwrap();
    Life::start(&mut world, 1 << 20);
    while life.merge(&mut world) {}
    assert_eq!(world.journal.page(Seq(1), 99).unwrap(), before);
}
