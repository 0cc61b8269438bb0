//! Stores that fail by a seed: what was asked did or did not happen, or happens later, and the
//! caller hears so or not.

mod backlog;
mod journal;
mod late;
mod tables;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use self::late::Late;
use crate::ports::journal::JournalFault;

/// Calls of the same handle after which what is late has happened.
const LATE_CALLS_MAX: u64 = 4;

/// Chooses faults: about `per_thousand` of the calls fail, in an order that the seed fixes.
#[derive(Clone, Debug)]
pub struct Faults {
    state: Arc<AtomicU64>,
    per_thousand: u64,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It did not happen, and the caller is told so.
    Refused,
    /// It did not happen, and the caller does not know.
    LostRequest,
    /// It happened, and the caller does not know.
    LostAnswer,
    /// The caller does not know, and it happens later, when he may have asked again.
    Late,
    /// It happened and the caller knows, but it is not durable yet. Only of commits.
    NotDurable,
}

impl Faults {
    /// Faults from this seed.
    pub fn new(seed: u64, per_thousand: u64) -> Self {
        Self { state: Arc::new(AtomicU64::new(seed)), per_thousand }
    }

    fn next(&self) -> Option<How> {
        const ANY: [How; 3] = [How::Refused, How::LostRequest, How::LostAnswer];
        self.choose(&ANY)
    }

    /// How a change fails.
    fn next_change(&self) -> Option<How> {
        const ANY: [How; 4] = [How::Refused, How::LostRequest, How::LostAnswer, How::Late];
        self.choose(&ANY)
    }

    /// How a commit, or the wait for its durability, fails.
    fn next_commit(&self) -> Option<How> {
        const ANY: [How; 5] =
            [How::Refused, How::LostRequest, How::LostAnswer, How::Late, How::NotDurable];
        self.choose(&ANY)
    }

    /// A number from 1 to `most`.
    fn within(&self, most: u64) -> u64 {
        1 + (self.mixed() >> 32) % most
    }

    fn choose(&self, any: &[How]) -> Option<How> {
        let mixed = self.mixed();
        if mixed % 1000 >= self.per_thousand {
            return None;
        }
        let index = usize::try_from(mixed >> 32).unwrap_or_default() % any.len();
        any.get(index).copied()
    }

    fn mixed(&self) -> u64 {
        // splitmix64 (Steele, Lea, Flood 2014) on a counter shared by all handles
        let state = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn journal(&self) -> Result<(), JournalFault> {
        match self.next() {
            Some(how) => Err(JournalFault::new(format!("fault on purpose: {how:?}"))),
            None => Ok(()),
        }
    }
}

/// A store behind faults.
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    store: S,
    faults: Faults,
    late: Late<S>,
}

impl<S> Faulty<S> {
    /// Puts `faults` in front of `store`.
    pub fn new(store: S, faults: Faults) -> Self {
        Self { store, faults, late: Late::default() }
    }

    /// Has what is late happen, if its time has come: before whatever is asked now.
    fn arrive(&mut self) {
        self.late.arrive(&mut self.store);
    }

    /// Has a change happen later.
    fn delay(&mut self, change: impl FnOnce(&mut S) + Send + 'static) {
        let calls = self.faults.within(LATE_CALLS_MAX);
        self.late.delay(calls, change);
    }
}
