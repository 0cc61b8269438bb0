//! Lines of `errsift export events`: many events of one error in one window.

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    event::Event,
    fingerprint::{Fingerprint, RuleVersion},
    flight::{Details, Entry},
    tags,
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};

/// What such a line begins with, and no event does.
const BEGINNING: &[u8] = b"{\"errorFingerprint\":";

/// Whether `record` is such a line, right or wrong.
pub(super) fn is_one(record: &[u8]) -> bool {
    record.starts_with(BEGINNING)
}

/// Reads such a line: the entry, with the words that it has, and its level. An error says what is
/// wrong with which field.
pub(super) fn read(record: &[u8]) -> Result<(Entry, Option<String>), String> {
    let line: Line = serde_json::from_slice(record).map_err(|error| error.to_string())?;
    let fingerprint: Fingerprint = line
        .error_fingerprint
        .parse()
        .map_err(|_| "errorFingerprint: expected 64 hexadecimal digits".to_owned())?;
    let time = |name: &str, text: &str| {
        Timestamp::parse_rfc3339(text).ok_or_else(|| format!("{name}: expected a time"))
    };
    let start = time("window", &line.window)?;
    let window = Window::of(start);
    if window.start() != start {
        return Err("window: expected the start of half a minute".to_owned());
    }
    let first = time("firstSeen", &line.first_seen)?;
    let last = time("lastSeen", &line.last_seen)?;
    if first > last || Window::of(first) != window || Window::of(last) != window {
        return Err("firstSeen, lastSeen: expected times in the window, in order".to_owned());
    }
    if line.count == 0 {
        return Err("count: expected at least 1".to_owned());
    }
    let level = line.level.clone();
    let tally = Tally { count: line.count, first, last };
    Ok((Entry { fingerprint, window, tally, details: line.details() }, level))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    error_fingerprint: String,
    rule: Option<u16>,
    window: String,
    count: u64,
    first_seen: String,
    last_seen: String,
    message: Option<String>,
    stack_trace: Option<String>,
    r#type: Option<String>,
    level: Option<String>,
    service: Option<String>,
    environment: Option<String>,
    release: Option<String>,
    #[serde(default)]
    tags: tags::Read,
}

impl Line {
    /// The words, unless only the count is known.
    fn details(self) -> Option<Arc<Details>> {
        let (message, rule) = (self.message?, self.rule?);
        let event = Event {
            message,
            stack_trace: self.stack_trace,
            kind: self.r#type,
            level: self.level,
            service: self.service,
            environment: self.environment,
            release: self.release,
            tags: self.tags.0,
            ..Event::default()
        };
        Some(Arc::new(Details { rule: RuleVersion(rule), payload: event.into() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"errorFingerprint":"@","rule":1,"window":"2024-01-01T00:00:30.000Z","count":42,"firstSeen":"2024-01-01T00:00:34.224Z","lastSeen":"2024-01-01T00:00:59.999Z","message":"boom","type":"T","level":"error","tags":{"z":"1","a":"2"}}"#;

    fn line() -> String {
        LINE.replace('@', &"5c".repeat(32))
    }

    #[test]
    fn a_line_stands_for_its_events() {
        let line = line();
        assert!(is_one(line.as_bytes()));
        let (entry, level) = read(line.as_bytes()).unwrap();
        assert_eq!(entry.fingerprint, Fingerprint([0x5c; 32]));
        assert_eq!((entry.tally.count, level.as_deref()), (42, Some("error")));
        assert_eq!(entry.tally.last.millis() - entry.window.start().millis(), 29_999);
        let details = entry.details.unwrap();
        assert_eq!((details.rule, details.payload.message.as_str()), (RuleVersion(1), "boom"));
        assert_eq!(details.payload.kind.as_deref(), Some("T"));
        let tags: Vec<&str> = details.payload.tags.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(tags, ["z", "a"]);
    }

    #[test]
    fn without_words_there_is_a_count() {
        let line = line().replace(r#""rule":1"#, r#""rule":null"#);
        let (entry, _) = read(line.as_bytes()).unwrap();
        assert_eq!((entry.tally.count, entry.details), (42, None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, said) in [
            ("5c", "5", "errorFingerprint"),
            ("T00:00:30.", "T00:00:31.", "window: expected the start"),
            (":59.999Z", ":61.999Z", "lastSeen: expected a time"),
            ("00:59.999Z", "01:00.000Z", "firstSeen, lastSeen"),
            (":34.224Z", ":29.224Z", "firstSeen, lastSeen"),
            ("42", "0", "count"),
            ("\"type\"", "\"kind\"", "unknown field"),
            ("42", "-1", "invalid"),
        ] {
            let fault = read(line().replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(fault.contains(said), "{to}: {fault}");
        }
        assert!(!is_one(b"{\"message\":\"errorFingerprint\"}"));
    }
}
