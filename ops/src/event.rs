//! One reported error, and what is stored of it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::timestamp::Timestamp;

/// Limits on what is stored of an event. Longer text is cut with a mark, never refused, and it is
/// cut only after hashing.
pub mod limit {
    /// Message, in characters.
    pub const MESSAGE_CHARS: usize = 8_192;
    /// Stack trace, in bytes.
    pub const STACK_TRACE_BYTES: usize = 64 * 1024;
    /// Type, level, service, environment and release, in characters.
    pub const LABEL_CHARS: usize = 255;
    /// Tags of one event; further ones are dropped.
    pub const TAGS: usize = 32;
    /// A tag's key, in characters.
    pub const TAG_KEY_CHARS: usize = 64;
    /// A tag's value, in characters.
    pub const TAG_VALUE_CHARS: usize = 255;
}

/// What stands at the end of text that was cut.
pub const CUT_MARK: &str = "…[cut]";

/// An identifier that the client chose for an event, so that a re-sent event can be recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId(pub u128);

/// Bytes of an id.
pub const EVENT_ID_BYTES: usize = 16;

impl EventId {
    /// Reads a UUID (`8-4-4-4-12`) or 32 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let dashed = text.len() == 36
            && text.bytes().enumerate().all(|(i, b)| (b == b'-') == matches!(i, 8 | 13 | 18 | 23));
        if !dashed && (text.len() != 32 || text.contains('-')) {
            return None;
        }
        text.chars()
            .filter(|c| *c != '-')
            .try_fold(0, |id: u128, digit| {
                digit.to_digit(16).map(|digit| (id << 4) | u128::from(digit))
            })
            .map(Self)
    }

    /// The same id as it is told apart among all services: two services may use equal ids, as when
    /// both take them from one trace, and neither must hide the other's event. An empty name counts
    /// as none, as in the fingerprint.
    #[must_use]
    pub fn within(self, service: Option<&str>) -> Self {
        let Some(service) = service.filter(|service| !service.is_empty()) else { return self };
        let mut hash = Sha256::new();
        hash.update(service);
        hash.update([0]);
        hash.update(self.to_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; EVENT_ID_BYTES];
        bytes.copy_from_slice(&hash[..EVENT_ID_BYTES]);
        Self::from_bytes(bytes)
    }

    /// As it is stored.
    pub fn to_bytes(self) -> [u8; EVENT_ID_BYTES] {
        self.0.to_be_bytes()
    }

    /// What [`to_bytes`](Self::to_bytes) has stored.
    pub fn from_bytes(bytes: [u8; EVENT_ID_BYTES]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

/// One reported error as the client sent it, uncut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The error's message; may be empty (`throw new Error()`).
    pub message: String,
    /// Stack trace, one frame a line.
    pub stack_trace: Option<String>,
    /// Class of the error, such as `TypeError`.
    pub kind: Option<String>,
    /// Severity, in the client's words.
    pub level: Option<String>,
    /// Which service reported it; part of the error's identity.
    pub service: Option<String>,
    /// Where that service runs.
    pub environment: Option<String>,
    /// Which version of it runs.
    pub release: Option<String>,
    /// When it happened: the client's time, or when the server received it.
    pub timestamp: Timestamp,
    /// When the server received it.
    pub received: Timestamp,
    /// Whether the client's time lay in the future and was brought back.
    pub clamped: bool,
    /// The client's identifier of this very event; once decoded, that [within](EventId::within)
    /// its service.
    pub event_id: Option<EventId>,
    /// The client's own grouping; empty when it gave none.
    pub fingerprint: Vec<String>,
    /// Further attributes, in the order given.
    pub tags: Vec<(String, String)>,
}

/// What is stored of an error, cut to the [`limit`]s: the first event's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Payload {
    /// At most [`limit::MESSAGE_CHARS`].
    pub message: String,
    /// At most [`limit::STACK_TRACE_BYTES`].
    pub stack_trace: Option<String>,
    /// Class of the error.
    pub kind: Option<String>,
    /// Severity.
    pub level: Option<String>,
    /// Reporting service.
    pub service: Option<String>,
    /// Where it runs.
    pub environment: Option<String>,
    /// Which version runs.
    pub release: Option<String>,
    /// At most [`limit::TAGS`] pairs.
    pub tags: Vec<(String, String)>,
}

impl From<Event> for Payload {
    fn from(event: Event) -> Self {
        let label = |text: Option<String>| text.map(|text| cut_chars(text, limit::LABEL_CHARS));
        Self {
            message: cut_chars(event.message, limit::MESSAGE_CHARS),
            stack_trace: event.stack_trace.map(|text| cut_bytes(text, limit::STACK_TRACE_BYTES)),
            kind: label(event.kind),
            level: label(event.level),
            service: label(event.service),
            environment: label(event.environment),
            release: label(event.release),
            tags: distinct(event.tags.into_iter().take(limit::TAGS).map(|(key, value)| {
                (cut_chars(key, limit::TAG_KEY_CHARS), cut_chars(value, limit::TAG_VALUE_CHARS))
            })),
        }
    }
}

impl Payload {
    /// Bytes of text in it.
    pub fn text_bytes(&self) -> usize {
        let optional = [
            &self.stack_trace,
            &self.kind,
            &self.level,
            &self.service,
            &self.environment,
            &self.release,
        ];
        let tags = self.tags.iter().map(|(key, value)| key.len() + value.len());
        self.message.len()
            + optional.into_iter().flatten().map(String::len).sum::<usize>()
            + tags.sum::<usize>()
    }
}

/// Keeps the first of the tags whose keys have become the same by cutting.
fn distinct(tags: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::new();
    for (key, value) in tags {
        if kept.iter().all(|(known, _)| *known != key) {
            kept.push((key, value));
        }
    }
    kept
}

/// Cuts `text` to `chars_max` characters, the mark included.
fn cut_chars(mut text: String, chars_max: usize) -> String {
    // a text has no more characters than bytes, and most are short
    if text.len() <= chars_max || text.chars().nth(chars_max).is_none() {
        return text;
    }
    let keep = chars_max - CUT_MARK.chars().count();
    let end = text.char_indices().nth(keep).map_or(text.len(), |(at, _)| at);
    text.truncate(end);
    text + CUT_MARK
}

/// Cuts `text` to `bytes_max` bytes, the mark included, at a character's edge.
fn cut_bytes(mut text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    text.truncate(text.floor_char_boundary(bytes_max - CUT_MARK.len()));
    text + CUT_MARK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_with_a_mark() {
        let payload = Payload::from(Event {
            message: "é".repeat(8_193),
            stack_trace: Some("é".repeat(40_000)),
            level: Some("x".repeat(300)),
            tags: (0..40).map(|n| (format!("{n:02}{}", "k".repeat(70)), "v".repeat(256))).collect(),
            ..Event::default()
        });
        assert_eq!(payload.message.chars().count(), 8_192);
        assert!(payload.message.ends_with("é…[cut]"));
        let stack_trace = payload.stack_trace.unwrap();
        assert!(stack_trace.len() <= 65_536 && stack_trace.len() > 65_530);
        assert!(stack_trace.ends_with("é…[cut]"));
        assert_eq!(payload.level.unwrap().chars().count(), 255);
        assert_eq!(payload.tags.len(), 32);
        assert!(
            payload
                .tags
                .iter()
                .all(|(key, value)| { key.chars().count() == 64 && value.chars().count() == 255 })
        );
    }

    #[test]
    fn tags_that_become_the_same_are_kept_once() {
        let key = "k".repeat(70);
        let tags = vec![(format!("{key}1"), "a".into()), (format!("{key}2"), "b".into())];
        let payload = Payload::from(Event { tags, ..Event::default() });
        assert_eq!(payload.tags.len(), 1);
        assert_eq!(payload.tags[0].1, "a");
    }

    #[test]
    fn text_at_the_limit_is_kept_whole() {
        let message = "é".repeat(8_192);
        let event = Event { message: message.clone(), ..Event::default() };
        assert_eq!(Payload::from(event).message, message);
    }

    #[test]
    fn equal_ids_of_two_services_differ() {
        let id = EventId(7);
        let all = [None, Some("a"), Some("b")].map(|service| id.within(service));
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
        assert_eq!(id.within(Some("")), id);
        assert_eq!(EventId::from_bytes(all[1].to_bytes()), all[1]);
        // printf 'a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7' | sha256sum | cut -c1-32
        assert_eq!(all[1], EventId(0xd27b_cea6_3db4_3068_b7fc_ac76_9080_32a7));
    }

    #[test]
    fn event_ids_are_uuids_or_hex() {
        let id = Some(EventId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef));
        assert_eq!(EventId::parse("01234567-89ab-CDEF-0123-456789abcdef"), id);
        assert_eq!(EventId::parse("0123456789abcdef0123456789abcdef"), id);
        for wrong in
            ["", "1", "0123456789abcdef0123456789abcde-", "0123456789abcdef0123456789abcdeg"]
        {
            assert_eq!(EventId::parse(wrong), None, "{wrong}");
        }
    }
}
