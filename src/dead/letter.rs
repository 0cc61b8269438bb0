//! What a dead letter remembers so that it can be redriven.

use std::sync::Arc;

use errsift_ops::{flight::Details, tally::Tally, timestamp::Timestamp};
use serde::{Deserialize, Serialize};

/// Characters of a store's words that are kept.
const REASON_CHARS_MAX: usize = 500;

/// The payload of a dead letter, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Letter {
    /// Of counts: when the events were.
    Seen {
        /// The earliest, in milliseconds since 1970.
        first_ms: i64,
        /// The latest.
        last_ms: i64,
    },
    /// Of an error's words: all of them.
    Words(Arc<Details>),
}

impl Letter {
    /// The letter of a count.
    pub fn of(tally: &Tally) -> Self {
        Self::Seen { first_ms: tally.first.millis(), last_ms: tally.last.millis() }
    }

    /// Times of the events of a count.
    pub fn seen(&self) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Seen { first_ms, last_ms } => {
                Some((Timestamp::from_millis(*first_ms), Timestamp::from_millis(*last_ms)))
            }
            Self::Words(_) => None,
        }
    }

    /// As it lies in the tables.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text, numbers and lists are JSON")
    }

    /// What [`to_json`](Self::to_json) has written.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }
}

/// A store's words, cut to a length that is worth keeping.
pub fn reason(fault: &impl std::fmt::Display) -> String {
    fault.to_string().chars().take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use errsift_ops::{event::Payload, fingerprint::RuleVersion};

    use super::*;

    #[test]
    fn a_letter_comes_back_byte_for_byte() {
        let at = Timestamp::from_millis;
        let seen = Letter::of(&Tally { count: 3, first: at(5), last: at(9) });
        assert_eq!(seen.to_json(), r#"{"seen":{"first_ms":5,"last_ms":9}}"#);
        assert_eq!(seen.seen(), Some((at(5), at(9))));
        let payload = Payload {
            message: "a\0\u{1b}'\u{10ffff}".to_owned(),
            tags: vec![("z".to_owned(), "1".to_owned()), ("a".to_owned(), "\"".to_owned())],
            ..Payload::default()
        };
        let words = Letter::Words(Arc::new(Details { rule: RuleVersion(1), payload }));
        for letter in [seen, words] {
            assert_eq!(Letter::from_json(letter.to_json().as_bytes()).unwrap(), letter);
        }
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(reason(&"é".repeat(600)), "é".repeat(500));
    }
}
