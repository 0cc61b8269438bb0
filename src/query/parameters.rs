//! Questions as they stand in a URL's query string. One place says what is taken and what is not.

use std::borrow::Cow;

use errsift_ops::timestamp::Timestamp;
use percent_encoding::percent_decode_str;

use super::{Filter, Label, ListQuery, Position, Search, Sort, Span, WindowsQuery, moment};

/// Rows of a page, at most.
pub const LIMIT_MAX: usize = 500;
const LIMIT_DEFAULT: usize = 50;
/// Characters of a label's value and of `q`, at most.
pub const TEXT_CHARS_MAX: usize = 255;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

const SORT: &str = "expected count, last_seen or first_seen";
const LIMIT: &str = "expected a number from 1 to 500";
const TEXT: &str = "expected 1 to 255 characters of UTF-8";
const Q: &str =
    "expected 1 to 255 characters of UTF-8 with a word in them, or a message's beginning and *";
const TIME: &str = "expected RFC 3339 with an offset, seconds or milliseconds since 1970, or a time \
    back from now as in -15m, -24h or -7d";
const CURSOR: &str = "expected the next_cursor of a page of the same sort";
const SPAN: &str = "expected a time before until, by at most 31 days";
const ORDER: &str = "expected a time before until";

/// A query string that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {reason}")]
pub struct Wrong {
    /// The parameter at fault, escaped and cut.
    pub parameter: String,
    /// What it should be.
    pub reason: &'static str,
}

fn wrong(parameter: &str, reason: &'static str) -> Wrong {
    let parameter = parameter.chars().take(64).flat_map(char::escape_debug).collect();
    Wrong { parameter, reason }
}

/// Parameters by name, each once.
struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    fn parse(query: Option<&'a str>, known: &[&str]) -> Result<Self, Wrong> {
        let mut pairs: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| wrong(name, "expected a name in UTF-8"))?;
            if !known.contains(&&*name) {
                return Err(wrong(&name, "unknown parameter"));
            }
            if pairs.iter().any(|(earlier, _)| *earlier == name) {
                return Err(wrong(&name, "given more than once"));
            }
            let value = decode(value).ok_or_else(|| wrong(&name, "expected UTF-8"))?;
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The value of `name` as `read` understands it; `reason` says what it should be.
    fn get<T>(
        &self,
        name: &str,
        reason: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Wrong> {
        let Some((_, value)) = self.0.iter().find(|(known, _)| known == name) else {
            return Ok(None);
        };
        read(value).map(Some).ok_or_else(|| wrong(name, reason))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Wrong> {
        self.get(name, TEXT, |value| sized(value).map(str::to_owned))
    }

    fn time(&self, name: &str, now: Timestamp) -> Result<Option<Timestamp>, Wrong> {
        self.get(name, TIME, |value| moment(value, now))
    }

    /// A span, by default the last `default_ms` milliseconds before `until` or now.
    fn span(&self, now: Timestamp, default_ms: i64) -> Result<Span, Wrong> {
        let until = self.time("until", now)?.unwrap_or(now);
        let since = self.time("since", now)?.unwrap_or(until.plus_millis(-default_ms));
        Span::of(since, until).ok_or_else(|| wrong("since", SPAN))
    }
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Some(Cow::Owned(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned()));
    }
    percent_decode_str(text).decode_utf8().ok()
}

fn sized(text: &str) -> Option<&str> {
    (1..=TEXT_CHARS_MAX).contains(&text.chars().count()).then_some(text)
}

/// `GET /errors`.
pub fn list(query: Option<&str>, now: Timestamp) -> Result<ListQuery, Wrong> {
    const KNOWN: &[&str] =
        &["sort", "service", "level", "environment", "since", "until", "q", "limit", "cursor"];
    let given = Parameters::parse(query, KNOWN)?;
    let sort = given.get("sort", SORT, |value| match value {
        "count" => Some(Sort::Count),
        "last_seen" => Some(Sort::LastSeen),
        "first_seen" => Some(Sort::FirstSeen),
        _ => None,
    })?;
    let sort = sort.unwrap_or(Sort::Count);
    let mut labels = Vec::new();
    for (label, name) in
        [(Label::Service, "service"), (Label::Environment, "environment"), (Label::Level, "level")]
    {
        labels.extend(given.text(name)?.map(|value| (label, value)));
    }
    let search = given.get("q", Q, |value| sized(value).and_then(Search::of))?;
    let (since, until) = (given.time("since", now)?, given.time("until", now)?);
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        return Err(wrong("since", ORDER));
    }
    let limit = given.get("limit", LIMIT, |value| {
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        value.parse().ok().filter(|limit| digits && (1..=LIMIT_MAX).contains(limit))
    })?;
    let after = given.get("cursor", CURSOR, |value| Position::parse(value, sort))?;
    let filter = Filter { labels, search, since, until };
    Ok(ListQuery { sort, filter, limit: limit.unwrap_or(LIMIT_DEFAULT), after })
}

/// `GET /errors/{fingerprint}`.
pub fn error(query: Option<&str>, now: Timestamp) -> Result<Span, Wrong> {
    Parameters::parse(query, &["since", "until"])?.span(now, DAY_MS)
}

/// `GET /windows`.
pub fn windows(query: Option<&str>, now: Timestamp) -> Result<WindowsQuery, Wrong> {
    let given = Parameters::parse(query, &["service", "since", "until"])?;
    Ok(WindowsQuery { service: given.text("service")?, span: given.span(now, HOUR_MS)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn a_list_has_its_defaults() {
        let plain = list(None, NOW).unwrap();
        assert_eq!((plain.sort, plain.limit, plain.after), (Sort::Count, 50, None));
        assert_eq!(plain.filter, Filter::default());
        assert_eq!(list(Some("&"), NOW).unwrap(), plain);
    }

    #[test]
    fn values_are_percent_decoded() {
        let query = "service=caf%C3%A9+%26+bar&q=a%2Bb&since=-1h&limit=500&sort=last_seen";
        let read = list(Some(query), NOW).unwrap();
        assert_eq!(read.filter.labels, [(Label::Service, "café & bar".to_owned())]);
        assert_eq!(read.filter.search, Some(Search::Words(vec!["a".into(), "b".into()])));
        assert_eq!(read.filter.since, Some(NOW.plus_millis(-HOUR_MS)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!("service={}", "x".repeat(256));
        for (query, parameter, reason) in [
            ("sort=loudest", "sort", SORT),
            ("limit=0", "limit", LIMIT),
            ("limit=501", "limit", LIMIT),
            ("limit=+5", "limit", LIMIT),
            ("limit=", "limit", LIMIT),
            ("service=", "service", TEXT),
            (&long, "service", TEXT),
            ("q=%20-", "q", Q),
            ("since=yesterday", "since", TIME),
            ("since=-1h&until=-2h", "since", ORDER),
            ("cursor=1l", "cursor", CURSOR),
            ("level=a&level=a", "level", "given more than once"),
            ("page=2", "page", "unknown parameter"),
            ("%0A%22=", "\\n\\\"", "unknown parameter"),
            ("level=%ff", "level", "expected UTF-8"),
        ] {
            let expected = Err(Wrong { parameter: parameter.to_owned(), reason });
            assert_eq!(list(Some(query), NOW), expected, "{query}");
        }
        assert!(error(Some("since=-32d"), NOW).is_err_and(|fault| fault.reason == SPAN));
        assert!(windows(Some("until=-1h&since=-1h"), NOW).is_err());
        assert!(error(Some("service=x"), NOW).is_err());
    }

    #[test]
    fn spans_end_now_unless_told() {
        let day = error(None, NOW).unwrap();
        assert_eq!((day.step_s, day.until >= NOW), (300, true));
        let hour = windows(Some("until=-7d"), NOW).unwrap();
        assert_eq!(hour.span.step_s, 30);
        assert!(hour.span.since <= NOW.plus_millis(-7 * DAY_MS - HOUR_MS));
    }
}
