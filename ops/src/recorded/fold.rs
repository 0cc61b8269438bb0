//! Records into tallies, before they travel anywhere.

use std::sync::Arc;

use super::{
    exported,
    form::{Form, mark_len},
    layout::Layouts,
    met::{Met, Writing},
    quick::Quick,
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
    rules: Rules,
    slots: Slots,
    met: Met,
    layouts: Layouts,
}

impl Fold {
    /// Nothing is met yet.
    pub fn new(rules: Rules) -> Self {
        let (slots, met, layouts) = <(Slots, Met, Layouts)>::default();
        Self { rules, slots, met, layouts }
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
        form.records(bytes, at == 0, |offset, record| {
            if let Err(reason) = self.json(record, received, folded) {
                folded.rejects.push(Reject::new(at + offset as u64, reason, record));
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
        if exported::is_one(record) {
            return self.exported(record, folded);
        }
        let quick = self.layouts.scan(record);
        if let Some(quick) = &quick
            && self.again(quick, received, folded)
        {
            return Ok(());
        }
        let event = body::read_recorded(record, received, self.rules.default_time);
        let position = self.event(event.map_err(|fault| fault.to_string())?, folded);
        if let (Some(Quick { service, message, .. }), Some(position)) = (quick, position) {
            self.met.note(Writing::Json, service.unwrap_or_default(), message, position);
        }
        Ok(())
    }

    /// Counts the events that a line of an export stands for. They have what the rules fill in, and
    /// their times were looked at when they were counted first.
    fn exported(&mut self, record: &[u8], folded: &mut Folded) -> Result<(), String> {
        let (entry, level) = exported::read(record)?;
        let Entry { fingerprint, window, tally, .. } = &entry;
        if !self.rules.admit(level.as_deref(), tally.count, &mut folded.seen) {
            return Ok(());
        }
        folded.seen.add_tally(tally);
        if let Some(position) = self.slots.find(fingerprint) {
            self.slots.add(position, *window, tally);
            return Ok(());
        }
        // words may come later, if this line has none
        if entry.details.is_some() {
            self.slots.push(*fingerprint, *window);
        }
        folded.first.push(entry);
        Ok(())
    }

    /// Counts an event of an error that was met before; `false` if it was not.
    fn again(&mut self, quick: &Quick<'_>, received: Timestamp, folded: &mut Folded) -> bool {
        let service = quick.service.unwrap_or_default();
        let Some(at) = quick.timestamp.or(self.rules.default_time) else { return false };
        let Some(position) = self.met.find(Writing::Json, service, quick.message) else {
            return false;
        };
        if self.rules.admit(quick.level, 1, &mut folded.seen) {
            let (at, clamped) = body::not_ahead(at, received);
            folded.seen.count(at, clamped);
            self.add(position, at);
        }
        true
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
    fn event(&mut self, mut event: Event, folded: &mut Folded) -> Option<usize> {
        if !self.rules.admit(event.level.as_deref(), 1, &mut folded.seen) {
            return None;
        }
        self.rules.fill(&mut event);
        folded.seen.count(event.timestamp, event.clamped);
        let fingerprint = Fingerprint::of(&event);
        if let Some(position) = self.slots.find(&fingerprint) {
            self.add(position, event.timestamp);
            return Some(position);
        }
        let (window, tally) = (Window::of(event.timestamp), Tally::one(event.timestamp));
        let position = self.slots.push(fingerprint, window);
        let details = Some(Arc::new(Details { rule: RULE, payload: event.into() }));
        folded.first.push(Entry { fingerprint, window, tally, details });
        Some(position)
    }

    /// Counts one event of an error that was met.
    fn add(&mut self, position: usize, at: Timestamp) {
        self.slots.add(position, Window::of(at), &Tally::one(at));
    }

    /// All tallies since the last time, without words. A window of an error may come twice.
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
