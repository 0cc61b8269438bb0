//! Records into tallies, before they travel anywhere.

use std::sync::Arc;

use super::{
    form::{Form, mark_len},
    layout::Layouts,
    met::{Met, Writing},
    passed_on::{PassedOn, Place},
    repeats::Repeats,
    rules::Rules,
    seen::{Folded, Reject},
    slots::Slots,
};
use crate::{
    body,
    event::Event,
    fingerprint::{Fingerprint, RULE},
    flight::{Details, Entry},
    log::{Format, Level, Record},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};

/// Bytes of one record; longer ones are rejected, as a server rejects such a body.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// Folds chunks into one tally per error and window until they are [drained](Self::drain).
///
/// Errors that were met stay known, so that their words are passed on once; memory follows the
/// number of distinct errors, and between two drains that of distinct errors and windows.
pub struct Fold {
    pub(super) rules: Rules,
    pub(super) slots: Slots,
    pub(super) met: Met,
    pub(super) layouts: Layouts,
    pub(super) repeats: Repeats,
    pub(super) passed_on: Arc<PassedOn>,
    pub(super) place: Place,
}

impl Fold {
    /// Nothing is met yet.
    pub fn new(rules: Rules) -> Self {
        Self::beside(rules, Arc::default())
    }

    /// Nothing is met yet; words that others have passed on in time are not passed on again.
    pub fn beside(rules: Rules, passed_on: Arc<PassedOn>) -> Self {
        let (slots, met, layouts, repeats) = <(Slots, Met, Layouts, Repeats)>::default();
        Self { rules, slots, met, layouts, repeats, passed_on, place: Place::default() }
    }

    /// Says where what follows belongs; it never goes back.
    pub fn goes_on_at(&mut self, place: Place) {
        self.place = place;
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
        if let Form::Text(format) = form {
            let mark = mark_len(bytes, at == 0);
            self.text(format, &bytes[mark..], at + mark as u64, received, folded);
            return;
        }
        self.lines(form, bytes, at, received, folded);
    }

    fn text(
        &mut self,
        format: &Format,
        bytes: &[u8],
        at: u64,
        received: Timestamp,
        folded: &mut Folded,
    ) {
        for record in format.records(bytes) {
            let Some(time) = record.timestamp.or(self.rules.default_time) else {
                let whole = &bytes[record.offset..record.offset + record.len];
                let reason = "no time".to_owned();
                folded.rejects.push(Reject::new(at + record.offset as u64, reason, whole));
                continue;
            };
            let (time, clamped) = body::not_ahead(time, received);
            let level = record.level.map(Level::as_str);
            let service = record.service.as_deref().unwrap_or_default();
            let found = self.met.find(Writing::Text, service.as_bytes(), record.message.as_bytes());
            if let Some(position) = found {
                if self.rules.admit(level, 1, &mut folded.seen) {
                    folded.seen.count(time, clamped);
                    self.add(position, time);
                }
                continue;
            }
            let event = event_of(&record, time, received, clamped);
            if let Some(position) = self.event(event, folded) {
                let message = record.message.as_bytes();
                self.met.note(Writing::Text, service.as_bytes(), message, position);
            }
        }
    }

    /// Counts an event; returns where its error is, unless it is not wanted.
    pub(super) fn event(&mut self, event: Event, folded: &mut Folded) -> Option<usize> {
        let is_wanted = self.rules.admit(event.level.as_deref(), 1, &mut folded.seen);
        is_wanted.then(|| self.wanted(event, folded))
    }

    /// Counts an event that is wanted; returns where its error is.
    pub(super) fn wanted(&mut self, mut event: Event, folded: &mut Folded) -> usize {
        self.rules.fill(&mut event);
        folded.seen.count(event.timestamp, event.clamped);
        let fingerprint = Fingerprint::of(&event);
        if let Some(position) = self.slots.find(&fingerprint) {
            self.add(position, event.timestamp);
            return position;
        }
        let (window, tally) = (Window::of(event.timestamp), Tally::one(event.timestamp));
        let position = self.slots.push(fingerprint, window);
        if !self.passed_on.insert(fingerprint, self.place) {
            self.add(position, event.timestamp);
            return position;
        }
        let details = Some(Arc::new(Details { rule: RULE, payload: event.into() }));
        folded.first.push(Entry { fingerprint, window, tally, details });
        position
    }

    /// Counts one event of an error that was met.
    pub(super) fn add(&mut self, position: usize, at: Timestamp) {
        self.slots.add(position, Window::of(at), &Tally::one(at));
    }

    /// All tallies since the last time, without words, each window of an error once, from the last key
    /// to the first.
    pub fn drain(&mut self) -> impl Iterator<Item = Entry> {
        self.slots.drain()
    }

    /// Errors met so far.
    pub fn distinct(&self) -> usize {
        self.slots.len()
    }
}

/// The event that a record of a text log is.
fn event_of(
    record: &Record<'_>,
    timestamp: Timestamp,
    received: Timestamp,
    clamped: bool,
) -> Event {
    let own = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
    Event {
        message: record.message.clone().into_owned(),
        stack_trace: own(&record.stack_trace),
        kind: own(&record.kind),
        level: record.level.map(|level| level.as_str().to_owned()),
        service: own(&record.service),
        timestamp,
        received,
        clamped,
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::recorded::seen::Seen;

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
        let of = |at: usize| folded.first[at].details.as_ref().unwrap().payload.clone();
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
