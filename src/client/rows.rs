//! What the query API answers, read. Unknown fields are left alone: the server may be newer.

use std::collections::BTreeMap;

use errsift_ops::timestamp::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

/// An answer's data and the server's time.
#[derive(Debug, Deserialize)]
pub struct Answered<T> {
    /// What was asked for.
    pub data: T,
    /// The server's clock, which relative times are told by.
    #[serde(rename = "timestamp", deserialize_with = "time")]
    pub at: Timestamp,
}

/// A value with the server's own JSON of it.
#[derive(Clone, Debug)]
pub struct Raw<T> {
    /// The value.
    pub value: T,
    /// As the server wrote it.
    pub json: String,
}

impl<'de, T: for<'a> Deserialize<'a>> Deserialize<'de> for Raw<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let value = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Ok(Self { value, json: Box::<str>::from(raw).into_string() })
    }
}

/// A page of errors.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// In the order asked for.
    pub errors: Vec<Raw<ErrorRow>>,
}

/// One error without its stack trace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ErrorRow {
    /// Sixty-four hex digits.
    pub fingerprint: String,
    /// Version of the rule that made it.
    #[serde(default)]
    pub rule: Option<u16>,
    /// Its words; `None` while only its count is known.
    #[serde(default)]
    pub message: Option<String>,
    /// Class of the error.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Severity.
    #[serde(default)]
    pub level: Option<String>,
    /// Reporting service.
    #[serde(default)]
    pub service: Option<String>,
    /// Where it runs.
    #[serde(default)]
    pub environment: Option<String>,
    /// Which version runs.
    #[serde(default)]
    pub release: Option<String>,
    /// Further attributes.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    /// Live count.
    pub count: u64,
    /// Earliest applied event.
    #[serde(default, deserialize_with = "maybe_time")]
    pub first_seen: Option<Timestamp>,
    /// Latest applied event.
    #[serde(default, deserialize_with = "maybe_time")]
    pub last_seen: Option<Timestamp>,
}

/// One error whole.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ErrorDetails {
    /// The rest of it.
    #[serde(flatten)]
    pub row: ErrorRow,
    /// Stack trace of the first event.
    #[serde(default)]
    pub stack_trace: Option<String>,
    /// Counts over time; `None` from servers that do not tell.
    #[serde(default)]
    pub windows: Option<Windows>,
}

/// Counts over a span of time, in even steps.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Windows {
    /// Where the span begins.
    #[serde(deserialize_with = "time")]
    pub since: Timestamp,
    /// Where it ends.
    #[serde(deserialize_with = "time")]
    pub until: Timestamp,
    /// Length of a step in seconds.
    pub step_s: u64,
    /// Steps with their counts, in order; those without events may be absent.
    pub points: Vec<Point>,
}

/// One step's count.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Point {
    /// Where the step begins.
    #[serde(deserialize_with = "time")]
    pub start: Timestamp,
    /// Events in it.
    pub count: u64,
}

/// Which errors to ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// What to sort by, as the API spells it.
    pub sort: &'static str,
    /// Rows at most.
    pub limit: u16,
    /// `service`, `level`, `environment`, `q`: those that are given.
    pub filters: Vec<(&'static str, String)>,
}

impl Query {
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("sort", self.sort.to_owned()), ("limit", self.limit.to_string())];
        pairs.extend(self.filters.iter().cloned());
        pairs
    }
}

fn read_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| "expected an RFC 3339 time".to_owned())
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    read_time(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn maybe_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| read_time(&text).map_err(D::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_kept_as_they_were_written() {
        let row = r#"{"fingerprint":"ab","rule":1,"message":"m","type":null,"tags":{"k":"v"},"count":3,"first_seen":null,"last_seen":"2023-11-14T22:13:20.123Z","newer":[1, 2]}"#;
        let answer = format!(
            r#"{{"success":true,"data":{{"errors":[{row}],"next_cursor":null}},"timestamp":"2023-11-14T22:13:21.000Z"}}"#
        );
        let answered: Answered<Page> = serde_json::from_str(&answer).unwrap();
        assert_eq!(answered.at.millis(), 1_700_000_001_000);
        let read = &answered.data.errors[0];
        assert_eq!(read.json, row);
        assert_eq!((read.value.count, read.value.message.as_deref()), (3, Some("m")));
        assert_eq!(read.value.last_seen, Some(Timestamp::from_millis(1_700_000_000_123)));
        assert!(serde_json::from_str::<Answered<Page>>(&answer.replace("21.000Z", "")).is_err());
    }

    #[test]
    fn windows_are_optional() {
        let row = r#"{"fingerprint":"ab","count":3,"stack_trace":"at f"}"#;
        let details: ErrorDetails = serde_json::from_str(row).unwrap();
        assert_eq!(details.stack_trace.as_deref(), Some("at f"));
        assert_eq!(details.windows, None);
        let windows = r#"{"since":"1970-01-01T00:00:00Z","until":"1970-01-01T00:01:00Z","step_s":30,"points":[{"start":"1970-01-01T00:00:30Z","count":2}]}"#;
        let row = row.replace('}', &format!(r#","windows":{windows}}}"#));
        let details: ErrorDetails = serde_json::from_str(&row).unwrap();
        let points = details.windows.unwrap().points;
        assert_eq!(points, [Point { start: Timestamp::from_millis(30_000), count: 2 }]);
    }
}
