//! Rows written as SQL: literals, and statements of bounded size.

use std::{fmt::Write as _, iter::Peekable};

use errsift_ops::timestamp::Timestamp;
use jiff::{SignedDuration, civil::date};

use super::session::STATEMENT_ROWS_MAX;

/// Writes `bytes` as a hex literal.
pub fn push_bytes(sql: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    sql.reserve(2 * bytes.len() + 3);
    sql.push_str("X'");
    for byte in bytes {
        sql.push(char::from(DIGITS[usize::from(byte >> 4)]));
        sql.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    sql.push('\'');
}

/// Writes `text` as a hex literal of utf8mb4.
pub fn push_text(sql: &mut String, text: &str) {
    sql.push_str("_utf8mb4 ");
    push_bytes(sql, text.as_bytes());
}

/// Writes `text` like [`push_text`], or NULL.
pub fn push_text_or_null(sql: &mut String, text: Option<&str>) {
    match text {
        Some(text) => push_text(sql, text),
        None => sql.push_str("NULL"),
    }
}

/// Writes `number` in decimal.
pub fn push_number(sql: &mut String, number: u64) {
    // a String takes whatever is written to it
    let _ = write!(sql, "{number}");
}

/// Writes `at` as a date and time in UTC, to the millisecond.
pub fn push_datetime(sql: &mut String, at: Timestamp) {
    // in civil time, without an offset: not every server understands one, the session's time zone
    // is UTC, and jiff's timestamps end 26 hours before a `Timestamp` does
    let since = SignedDuration::from_millis(at.millis());
    let _ = write!(sql, "'{:.3}'", date(1970, 1, 1).at(0, 0, 0, 0).saturating_add(since));
}

/// A multi-row statement around its rows.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Up to and including `VALUES`.
    pub head: &'static str,
    /// From after the last row.
    pub tail: &'static str,
}

/// Statements that together carry all of `rows`, each of at most [`STATEMENT_ROWS_MAX`] rows and,
/// unless one row alone is longer, `bytes_max` bytes. `write` writes a row's values without
/// brackets. They are made one by one, so that only one is in memory.
pub fn statements<R>(
    frame: Frame,
    bytes_max: usize,
    rows: impl Iterator<Item = R>,
    write: impl Fn(&mut String, R),
) -> impl Iterator<Item = String> {
    let written = rows.map(move |row| {
        let mut values = String::new();
        write(&mut values, row);
        values
    });
    Statements { frame, bytes_max, written: written.peekable() }
}

struct Statements<I: Iterator<Item = String>> {
    frame: Frame,
    bytes_max: usize,
    written: Peekable<I>,
}

impl<I: Iterator<Item = String>> Iterator for Statements<I> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut sql = format!("{}({})", self.frame.head, self.written.next()?);
        for _ in 1..STATEMENT_ROWS_MAX {
            let room = self.bytes_max.saturating_sub(sql.len() + self.frame.tail.len() + 3);
            let Some(values) = self.written.next_if(|values| values.len() <= room) else {
                break;
            };
            sql.push_str(",(");
            sql.push_str(&values);
            sql.push(')');
        }
        sql.push_str(self.frame.tail);
        Some(sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_inert() {
        let mut sql = String::new();
        push_text(&mut sql, "'\\\0é");
        push_bytes(&mut sql, b"");
        push_datetime(&mut sql, Timestamp::from_millis(1_700_000_000_120));
        assert_eq!(sql, "_utf8mb4 X'275C00C3A9'X'''2023-11-14T22:13:20.120'");
        sql.clear();
        push_datetime(&mut sql, Timestamp::from_millis(0));
        push_datetime(&mut sql, Timestamp::MAX);
        assert_eq!(sql, "'1970-01-01T00:00:00.000''9999-12-30T22:00:00.000'");
    }

    #[test]
    fn statements_keep_both_limits() {
        let frame = Frame { head: "I ", tail: " T" };
        let lines = |rows: &[&str], bytes_max| -> Vec<String> {
            statements(frame, bytes_max, rows.iter(), |sql, row| sql.push_str(row)).collect()
        };
        assert_eq!(lines(&["1", "2", "3"], 12), ["I (1),(2) T", "I (3) T"]);
        assert_eq!(lines(&["1", "2"], 11), ["I (1),(2) T"]);
        assert_eq!(lines(&["1", "2"], 10), ["I (1) T", "I (2) T"]);
        // a row that is longer than the limit goes alone
        assert_eq!(lines(&["1", "22222222222", "3"], 10).len(), 3);
        assert!(lines(&[], 10).is_empty());
        let count = |rows| statements(frame, 1 << 20, 0..rows, |sql, _| sql.push('1')).count();
        assert_eq!((count(1000), count(1001)), (1, 2));
    }
}
