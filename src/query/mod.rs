//! Questions about what is stored: lists of errors, one error over time, all errors over time.
//!
//! ```text
//!   query string ─► parameters ─► ListQuery ─► list ─┬─► Queries   the tables, by their indexes
//!                                                    └─► Backlog   what is not applied yet
//! ```
//!
//! Promised: a page costs a bounded number of rows however many errors there are; its order is that
//! of the tables and its counts are live, no event in them twice; walking a list by its cursors
//! shows no error twice and leaves none out, except those that move in the order meanwhile.
//!
//! What a page may not cost is looked for elsewhere: a filter that few errors pass is answered from
//! an index, any other by walking the order and leaving out what does not pass. A walk that has
//! examined [`EXAMINED_MAX`] errors, or whose time is up, hands over what it has found, perhaps nothing, and a
//! cursor.

mod cursor;
mod filter;
mod list;
mod parameters;
mod points;
mod span;
mod tables;

use errsift_ops::timestamp::Timestamp;

pub use self::{
    cursor::Position,
    filter::{Filter, Label, Search},
    list::{Found, page},
    parameters::{LIMIT_MAX, TEXT_CHARS_MAX, Wrong, error, list, windows},
    points::{Point, Points, fold},
    span::Span,
    tables::{Candidate, Narrowing, Queries, QueryFault, Walk},
};

/// Errors that one request for a list examines, unless an index leads to fewer.
pub const EXAMINED_MAX: usize = 5_000;
/// A filter that an index alone decides, and no more errors than this pass, is answered by fetching
/// them all.
pub const FEW_MAX: usize = 5_000;
/// The same, where the words of each error must be read too: they are long, and rarely in memory.
pub const FEW_DETAILED_MAX: usize = 300;
/// Among so many of the errors stored last those are looked for that are not counted yet.
pub const NEWEST_MAX: usize = 1_000;

/// What a list is ordered by; the largest comes first, and of equals the larger fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Events counted.
    Count,
    /// Time of the latest event.
    LastSeen,
    /// Time of the earliest event.
    FirstSeen,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Its order.
    pub sort: Sort,
    /// Which errors are in it.
    pub filter: Filter,
    /// Rows of a page, at most.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<Position>,
}

/// Counts over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowsQuery {
    /// One service's; all errors' if absent.
    pub service: Option<String>,
    /// From when to when, and how finely.
    pub span: Span,
}

/// What `text` says as a time: RFC 3339, seconds or milliseconds since 1970, or `-15m` before `now`.
pub fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(back) = text.strip_prefix('-') {
        return before(back, now);
    }
    // of the forms that f64 has, those that JSON has too
    let numeric = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numeric {
        return text.parse().ok().and_then(Timestamp::from_number);
    }
    Timestamp::parse_rfc3339(text)
}

fn before(back: &str, now: Timestamp) -> Option<Timestamp> {
    let digits = back.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit_ms: i64 = match &back[digits.len()..] {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let number: u32 = digits.parse().ok().filter(|_| !digits.starts_with('+'))?;
    Some(now.plus_millis(-i64::from(number) * unit_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_absolute_or_relative() {
        let now = Timestamp::from_millis(1_700_000_000_123);
        let read = |text| moment(text, now).map(Timestamp::millis);
        assert_eq!(read("2023-11-14T22:13:20Z"), Some(1_700_000_000_000));
        assert_eq!(read("1700000000"), Some(1_700_000_000_000));
        assert_eq!(read("1700000000.5"), Some(1_700_000_000_500));
        assert_eq!(read("1700000000123"), Some(1_700_000_000_123));
        assert_eq!(read("-15m"), Some(1_700_000_000_123 - 900_000));
        assert_eq!(read("-7d"), Some(1_700_000_000_123 - 604_800_000));
        assert_eq!(read("-4294967295d"), Some(0));
        for wrong in
            ["", "-", "-1", "-m", "-1w", "-1.5h", "--1h", "-+1h", "1e9", "inf", ".5", "now"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
