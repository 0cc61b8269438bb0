//! The numbers that name things: shards, terms, flights, epochs and parts.
//!
//! Each is a type of its own, so that a flight's number cannot be passed where an epoch is wanted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One journal with its one writer; a process holds one shard.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Shard(pub u16);

impl Shard {
    /// The first that is a recorded log instead of a journal.
    pub const FIRST_RECORDED: Self = Self(1 << 15);
}

/// Fencing generation of a shard's writer: grows by one each time the shard is taken.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Term(pub u64);

/// Random companion of a [`Term`], so that two writers that both believe in the same term
/// (a journal restored from a backup) still differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Nonce(pub u64);

/// Number of a flight: contiguous per shard, from 1. 0 means "none yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A contiguous run of flights that reaches the tables together. Its number is at least the unix
/// time in seconds at which it was opened, and grows strictly; 0 means "none yet".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch to open at `now`: `max(last + 1, unix seconds)`, so that numbers grow even when
    /// the clock does not.
    #[must_use]
    pub fn open(last: Self, now: crate::timestamp::Timestamp) -> Self {
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        Self(seconds.max(last.0 + 1))
    }
}

/// One of [`Part::COUNT`] fixed slices of the fingerprint space: the unit of ordered apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part(u8);

impl Part {
    /// Number of parts. Stored with the tables; a store made with another number is refused.
    pub const COUNT: usize = 64;

    /// The part with this index, or `None` from [`Part::COUNT`] on.
    pub fn new(index: usize) -> Option<Self> {
        u8::try_from(index).ok().filter(|_| index < Self::COUNT).map(Self)
    }

    /// All parts in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).filter_map(Self::new)
    }

    /// Position in `0..Part::COUNT`.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Which of so many workers owns it. Each owns neighbours, so that two do not write the same pages
    /// of a table that is sorted by fingerprint.
    ///
    /// ```
    /// use errsift_ops::id::Part;
    /// let owners = |workers| Part::all().map(move |part| part.owner(workers));
    /// assert!(owners(1).all(|owner| owner == 0));
    /// assert_eq!(owners(2).filter(|owner| *owner == 0).count(), 32);
    /// assert!(owners(3).is_sorted() && owners(3).last() == Some(2));
    /// assert!(Part::owned(1, 3).all(|part| part.owner(3) == 1));
    /// ```
    pub fn owner(self, workers: usize) -> usize {
        self.index() * workers / Self::COUNT
    }

    /// The parts that the worker with this index owns, of so many.
    pub fn owned(index: usize, workers: usize) -> impl Iterator<Item = Self> {
        Self::all().filter(move |part| part.owner(workers) == index)
    }

    /// The part that a fingerprint with this first byte lies in: its top six bits.
    pub(crate) fn of_first_byte(byte: u8) -> Self {
        Self(byte >> 2)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;

    #[test]
    fn an_epoch_follows_the_clock_and_never_goes_back() {
        let now = Timestamp::from_millis(1_700_000_000_999);
        assert_eq!(Epoch::open(Epoch(0), now), Epoch(1_700_000_000));
        assert_eq!(Epoch::open(Epoch(1_700_000_000), now), Epoch(1_700_000_001));
        assert_eq!(Epoch::open(Epoch(1_800_000_000), now), Epoch(1_800_000_001));
    }

    #[test]
    fn parts_cover_the_first_byte_evenly() {
        assert_eq!(Part::all().count(), 64);
        assert_eq!(Part::of_first_byte(0x00).index(), 0);
        assert_eq!(Part::of_first_byte(0x03).index(), 0);
        assert_eq!(Part::of_first_byte(0xff).index(), 63);
        assert!(Part::new(64).is_none());
    }
}
