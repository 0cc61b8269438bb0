//! Records into tallies, before they travel anywhere.

use rustc_hash::FxHashMap;

use super::{form::Form, level::Level};
use crate::{
    body,
    event::Event,
    fingerprint::{Fingerprint, RULE},
    flight::{Details, Entry},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};

/// Bytes of one record; longer ones are rejected, as a server rejects such a body.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// What to make of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Records below this level are left out; those of unknown level are kept.
    pub level: Option<Level>,
    /// The time of records that have none.
    pub default_time: Option<Timestamp>,
    /// The service of records that name none.
    pub service: Option<String>,
    /// Their environment.
    pub environment: Option<String>,
    /// Their release.
    pub release: Option<String>,
}

/// A record that is not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where it starts, in bytes from the start of the decompressed log.
    pub at: u64,
    /// Why.
    pub reason: String,
    /// The record.
    pub record: Vec<u8>,
}

/// What became of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Counted.
    pub events: u64,
    /// Left out because of their level.
    pub below_level: u64,
    /// Counted although their level is not known, when levels matter.
    pub unknown_level: u64,
    /// Counted with a time that was brought back from the future.
    pub clamped: u64,
    /// Time of the earliest that was counted.
    pub first: Option<Timestamp>,
    /// Time of the latest that was counted.
    pub last: Option<Timestamp>,
}

impl Seen {
    /// Adds what another has seen.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.below_level += other.below_level;
        self.unknown_level += other.unknown_level;
        self.clamped += other.clamped;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
    }

    fn count(&mut self, at: Timestamp) {
        self.events += 1;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(Some(at));
    }
}

/// What a chunk has come to, besides the tallies that stay with [`Fold`].
#[derive(Debug, Default)]
pub struct Folded {
    /// Errors that this fold had not met: their first event, with its words.
    pub first: Vec<Entry>,
    /// What is not counted.
    pub rejects: Vec<Reject>,
    /// What became of the records.
    pub seen: Seen,
}

/// One error, with the tally of the window that it was last met in.
struct Slot {
    fingerprint: Fingerprint,
    window: Window,
    /// Nothing, if its count is 0.
    tally: Tally,
}

const NOTHING: Tally =
    Tally { count: 0, first: Timestamp::from_millis(0), last: Timestamp::from_millis(0) };

/// Folds chunks into one tally per error and window until they are [drained](Self::drain).
///
/// Errors that were met stay known, so that their words are passed on once; memory follows the
/// number of distinct errors, and between two drains that of distinct errors and windows.
pub struct Fold {
    rules: Rules,
    slots: Vec<Slot>,
    positions: FxHashMap<Fingerprint, usize>,
    /// Tallies of windows other than the one in the slot.
    others: FxHashMap<(usize, Window), Tally>,
}

impl Fold {
    /// Nothing is met yet.
    pub fn new(rules: Rules) -> Self {
        let (positions, others) = (FxHashMap::default(), FxHashMap::default());
        Self { rules, slots: Vec::new(), positions, others }
    }

    /// Folds a chunk, which starts `at` bytes into the log and is looked at now, at `received`.
    pub fn chunk(
        &mut self,
        form: &Form,
        bytes: &[u8],
        at: u64,
        received: Timestamp,
        folded: &mut Folded,
    ) {
        form.records(bytes, |offset, record| {
            if let Err(reason) = self.json(record, received, folded) {
                let at = at + offset as u64;
                let kept = &record[..record.len().min(RECORD_BYTES_MAX)];
                folded.rejects.push(Reject { at, reason, record: kept.to_vec() });
            }
        });
    }

    fn json(
        &mut self,
        record: &[u8],
        received: Timestamp,
        folded: &mut Folded,
    ) -> Result<(), String> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(format!("longer than {RECORD_BYTES_MAX} bytes"));
        }
        let event = body::read_recorded(record, received, self.rules.default_time);
        let mut event = event.map_err(|fault| fault.to_string())?;
        fill(&mut event.service, self.rules.service.as_ref());
        fill(&mut event.environment, self.rules.environment.as_ref());
        fill(&mut event.release, self.rules.release.as_ref());
        self.event(event, folded);
        Ok(())
    }

    fn event(&mut self, event: Event, folded: &mut Folded) {
        if let Some(least) = self.rules.level {
            match event.level.as_deref().and_then(Level::of) {
                Some(level) if level < least => {
                    folded.seen.below_level += 1;
                    return;
                }
                Some(_) => {}
                None => folded.seen.unknown_level += 1,
            }
        }
        folded.seen.count(event.timestamp);
        folded.seen.clamped += u64::from(event.clamped);
        let fingerprint = Fingerprint::of(&event);
        if let Some(position) = self.positions.get(&fingerprint) {
            self.add(*position, event.timestamp);
            return;
        }
        let (window, tally) = (Window::of(event.timestamp), Tally::one(event.timestamp));
        self.positions.insert(fingerprint, self.slots.len());
        self.slots.push(Slot { fingerprint, window, tally: NOTHING });
        let details = Some(Box::new(Details { rule: RULE, payload: event.into() }));
        folded.first.push(Entry { fingerprint, window, tally, details });
    }

    /// Counts one event of the error in a slot.
    fn add(&mut self, position: usize, at: Timestamp) {
        let slot = &mut self.slots[position];
        let (window, tally) = (Window::of(at), Tally::one(at));
        if slot.window != window && slot.tally.count > 0 {
            let other = self.others.entry((position, slot.window)).or_insert(NOTHING);
            other.fold(&slot.tally);
            slot.tally = NOTHING;
        }
        slot.window = window;
        slot.tally.fold(&tally);
    }

    /// All tallies since the last time, without words. A window of an error may come twice.
    pub fn drain(&mut self) -> impl Iterator<Item = Entry> {
        let entry =
            |fingerprint, window, tally| Entry { fingerprint, window, tally, details: None };
        let Self { slots, others, .. } = self;
        let mut entries = Vec::with_capacity(others.len());
        for ((position, window), tally) in others.drain() {
            entries.push(entry(slots[position].fingerprint, window, tally));
        }
        let open = slots.iter_mut().filter(|slot| slot.tally.count > 0);
        let open = open.map(move |slot| {
            entry(slot.fingerprint, slot.window, std::mem::replace(&mut slot.tally, NOTHING))
        });
        entries.into_iter().chain(open)
    }

    /// Errors met so far.
    pub fn distinct(&self) -> usize {
        self.slots.len()
    }
}

/// An empty text counts as none, as in the fingerprint.
fn fill(text: &mut Option<String>, missing: Option<&String>) {
    if missing.is_some() && text.as_ref().is_none_or(String::is_empty) {
        *text = missing.cloned();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// Count by message and window's start in seconds.
    fn counts(fold: &mut Fold, chunks: &[&str]) -> (BTreeMap<(String, i64), u64>, Folded) {
        let mut folded = Folded::default();
        for chunk in chunks {
            fold.chunk(&Form::Ndjson, chunk.as_bytes(), 100, NOW, &mut folded);
        }
        let words: BTreeMap<_, _> = folded
            .first
            .iter()
            .map(|entry| {
                let details = entry.details.as_ref().unwrap();
                (entry.fingerprint, details.payload.message.clone())
            })
            .collect();
        let mut counts = BTreeMap::new();
        let rest: Vec<_> = fold.drain().collect();
        for entry in folded.first.iter().chain(&rest) {
            let key = (words[&entry.fingerprint].clone(), entry.window.start().seconds());
            *counts.entry(key).or_default() += entry.tally.count;
        }
        (counts, folded)
    }

    #[test]
    fn events_are_counted_where_they_happened_in_whatever_order() {
        let lines = [0, 31, 1, 61, 29, 30]
            .map(|at| format!("{{\"message\":\"a\",\"timestamp\":{at}}}\n"))
            .concat();
        let (counts, folded) = counts(&mut Fold::new(Rules::default()), &[&lines, &lines]);
        let a = |window: i64| ("a".to_owned(), window);
        assert_eq!(counts, BTreeMap::from([(a(0), 6), (a(30), 4), (a(60), 2)]));
        assert_eq!(folded.seen.events, 12);
        assert_eq!(folded.seen.first, Some(Timestamp::from_millis(0)));
        assert_eq!(folded.seen.last, Some(Timestamp::from_millis(61_000)));
        assert_eq!((folded.first.len(), folded.rejects.len()), (1, 0));
    }

    #[test]
    fn what_is_drained_is_not_repeated() {
        let line = "{\"message\":\"a\",\"timestamp\":1}\n";
        let mut fold = Fold::new(Rules::default());
        assert_eq!(counts(&mut fold, &[line, line]).1.first.len(), 1);
        let mut folded = Folded::default();
        fold.chunk(&Form::Ndjson, line.as_bytes(), 0, NOW, &mut folded);
        assert!(folded.first.is_empty());
        assert_eq!(fold.drain().map(|entry| entry.tally.count).collect::<Vec<_>>(), [1]);
        assert_eq!(fold.drain().count(), 0);
    }

    #[test]
    fn levels_decide_and_the_unknown_are_kept() {
        let level =
            |level: &str| format!("{{\"message\":\"a\",\"timestamp\":1,\"level\":\"{level}\"}}\n");
        let lines = ["info", "WARN", "fatal", "loud"].map(level).concat();
        let rules = Rules { level: Some(Level::Warning), ..Rules::default() };
        let (_, folded) = counts(&mut Fold::new(rules), &[&lines]);
        let Seen { events, below_level, unknown_level, .. } = folded.seen;
        assert_eq!((events, below_level, unknown_level), (3, 1, 1));
    }

    #[test]
    fn what_is_missing_is_filled_in() {
        let rules = Rules {
            default_time: Some(Timestamp::from_millis(5)),
            service: Some("shop".into()),
            environment: Some("prod".into()),
            release: Some("7".into()),
            ..Rules::default()
        };
        let lines = "{\"message\":\"a\",\"service\":\"\"}\n{\"message\":\"a\",\"service\":\"web\"}";
        let (_, folded) = counts(&mut Fold::new(rules), &[lines]);
        let of = |at: usize| folded.first[at].details.clone().unwrap().payload;
        assert_eq!(of(0).service.as_deref(), Some("shop"));
        assert_eq!(of(1).service.as_deref(), Some("web"));
        assert_eq!(of(0).environment.as_deref(), Some("prod"));
        assert_eq!(of(0).release.as_deref(), Some("7"));
        assert_eq!(folded.seen.first, Some(Timestamp::from_millis(5)));
    }

    #[test]
    fn rejects_say_where_and_why() {
        let long = format!("{{\"message\":\"{}\"}}", "x".repeat(RECORD_BYTES_MAX));
        let lines = format!("{{\"message\":\"a\"}}\n{{\n{long}\n");
        let (_, folded) = counts(&mut Fold::new(Rules::default()), &[&lines]);
        let said = |at: usize| (folded.rejects[at].at, folded.rejects[at].reason.clone());
        assert_eq!(said(0), (100, "timestamp: required in a recorded log".to_owned()));
        assert_eq!(said(1).0, 116);
        assert!(said(1).1.starts_with("the JSON ends early"), "{:?}", said(1));
        assert_eq!(said(2), (118, "longer than 262144 bytes".to_owned()));
        assert_eq!(folded.rejects[2].record.len(), RECORD_BYTES_MAX);
        assert_eq!(folded.seen, Seen::default());
    }
}
