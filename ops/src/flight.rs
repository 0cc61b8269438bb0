//! A flight: the tallies of all events that reach the journal together.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    event::{EventId, Payload},
    fingerprint::{Fingerprint, RuleVersion},
    id::{Epoch, Seq},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};

/// What a flight says of one fingerprint in one window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// Which error.
    pub fingerprint: Fingerprint,
    /// Which window.
    pub window: Window,
    /// How often, and when.
    pub tally: Tally,
    /// The error's words, until its row is known to be stored; at most one entry of a flight
    /// carries them for a fingerprint.
    pub details: Option<Arc<Details>>,
}

/// The words of an error and the rule that fingerprinted them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Details {
    /// The rule that made the fingerprint.
    pub rule: RuleVersion,
    /// The first event's words.
    pub payload: Payload,
}

/// One group commit, once it has its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    /// Its number, contiguous per shard.
    pub seq: Seq,
    /// The epoch it belongs to, chosen when it was sealed.
    pub epoch: Epoch,
    /// When the server received its first event.
    pub received_min: Timestamp,
    /// When the server received its last event.
    pub received_max: Timestamp,
    /// Its tallies; empty for a flight nobody waited for any more.
    pub entries: Vec<Entry>,
    /// Ids of those of its events that have one, each once.
    pub ids: Vec<EventId>,
}

impl Flight {
    /// Events in it.
    pub fn events(&self) -> u64 {
        self.entries.iter().map(|entry| entry.tally.count).sum()
    }
}
