//! `GET /errors/{fingerprint}`: one error as the view `errors` shows it, and its windows.

use errsift_ops::{event::Payload, fingerprint::Fingerprint, timestamp::Timestamp};
use serde::{Serialize, Serializer};

use super::{Front, answer::Answer, fault::Fault, health::ask, windows::Series};
use crate::query::{self, Points};

/// One error with its live count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorView {
    /// Which error.
    pub fingerprint: Fingerprint,
    /// Version of the rule that fingerprinted it; `None` while only its count is known.
    pub rule: Option<u16>,
    /// Its words; `None` while only its count is known.
    pub payload: Option<Payload>,
    /// Events applied and pending.
    pub count: u64,
    /// Earliest applied event.
    pub first_seen: Option<Timestamp>,
    /// Latest applied event.
    pub last_seen: Option<Timestamp>,
}

/// The view's columns, in its order, but for the stack trace, which may be long.
#[derive(Serialize)]
struct Row<'a> {
    fingerprint: String,
    rule: Option<u16>,
    message: Option<&'a str>,
    r#type: Option<&'a str>,
    level: Option<&'a str>,
    service: Option<&'a str>,
    environment: Option<&'a str>,
    release: Option<&'a str>,
    tags: Option<Tags<'a>>,
    count: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
}

struct Tags<'a>(&'a [(String, String)]);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl ErrorView {
    fn row(&self) -> Row<'_> {
        let payload = self.payload.as_ref();
        Row {
            fingerprint: self.fingerprint.to_string(),
            rule: self.rule,
            message: payload.map(|payload| payload.message.as_str()),
            r#type: payload.and_then(|payload| payload.kind.as_deref()),
            level: payload.and_then(|payload| payload.level.as_deref()),
            service: payload.and_then(|payload| payload.service.as_deref()),
            environment: payload.and_then(|payload| payload.environment.as_deref()),
            release: payload.and_then(|payload| payload.release.as_deref()),
            tags: payload.map(|payload| Tags(&payload.tags)),
            count: self.count,
            first_seen: self.first_seen.map(|at| at.to_string()),
            last_seen: self.last_seen.map(|at| at.to_string()),
        }
    }
}

/// As a row of a list.
impl Serialize for ErrorView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.row().serialize(serializer)
    }
}

/// One error with everything that is known of it.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    stack_trace: Option<&'a str>,
    windows: Series,
}

/// Shows the error whose fingerprint is `text`.
pub async fn error<I>(front: &Front<I>, text: &str, query: Option<&str>) -> Result<Answer, Fault> {
    let fingerprint: Fingerprint = text.parse()?;
    let span = query::error(query, front.operations.clock().wall())?;
    let found = ask(front, "errors", move |operations| operations.error(fingerprint, span)).await?;
    let (view, points): (ErrorView, Points) = found?.ok_or(Fault::NoSuchError)?;
    let stack_trace = view.payload.as_ref().and_then(|payload| payload.stack_trace.as_deref());
    let whole = Whole { row: view.row(), stack_trace, windows: Series(points) };
    Ok(Answer::success(whole, front.operations.clock().wall()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_the_views() {
        let mut view = ErrorView {
            fingerprint: Fingerprint([0xab; 32]),
            rule: None,
            payload: None,
            count: 3,
            first_seen: None,
            last_seen: Some(Timestamp::from_millis(1_700_000_000_123)),
        };
        let absent = format!(
            r#"{{"fingerprint":"{}","rule":null,"message":null,"type":null,"level":null,"service":null,"environment":null,"release":null,"tags":null,"count":3,"first_seen":null,"last_seen":"2023-11-14T22:13:20.123Z"}}"#,
            "ab".repeat(32)
        );
        assert_eq!(serde_json::to_string(&view).unwrap(), absent);
        view.payload = Some(Payload {
            message: "m".into(),
            kind: Some("TypeError".into()),
            tags: vec![("k".into(), "v".into())],
            ..Payload::default()
        });
        let present = absent
            .replace(r#""message":null"#, r#""message":"m""#)
            .replace(r#""type":null"#, r#""type":"TypeError""#)
            .replace(r#""tags":null"#, r#""tags":{"k":"v"}"#);
        assert_eq!(serde_json::to_string(&view).unwrap(), present);
    }
}
