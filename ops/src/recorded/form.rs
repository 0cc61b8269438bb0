//! The forms that a recorded log can have, and where their records start.

use std::sync::Arc;

use memchr::{memchr, memchr_iter, memrchr};

use super::array::{self, Elements};
use crate::log::{Assumed, Format};

/// What some systems put before UTF-8.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

/// How a log is written.
#[derive(Clone, Debug)]
pub enum Form {
    /// An event a line, as JSON objects.
    Ndjson,
    /// Events in a JSON array.
    Array,
    /// Text, as programs log it.
    Text(Arc<Format>),
}

impl Form {
    /// The form of a log that begins with `head`: text, if it is no JSON, of which `assumed` says what
    /// it leaves out.
    ///
    /// ```
    /// use errsift_ops::{log::{Assumed, Year}, recorded::form::Form};
    /// let assumed = Assumed { year: Year::Is(2005), utc_offset_seconds: 0 };
    /// let form = |head: &[u8]| Form::detect(head, &assumed);
    /// assert!(matches!(form(b"{\"message\":\"m\"}\n"), Form::Ndjson));
    /// assert!(matches!(form(b"[\n  {"), Form::Array));
    /// assert_eq!(form(b"[Sun Dec 04 04:47:44 2005] [notice] up\n").name(), "apache-error");
    /// ```
    pub fn detect(head: &[u8], assumed: &Assumed) -> Self {
        let head = head.strip_prefix(MARK).unwrap_or(head);
        let start = head.trim_ascii_start();
        match start.split_first() {
            Some((b'{', _)) => Self::Ndjson,
            Some((b'[', rest)) if matches!(rest.trim_ascii_start().first(), Some(b'{' | b']')) => {
                Self::Array
            }
            _ => Self::Text(Arc::new(Format::detect(head, assumed))),
        }
    }

    /// As users name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Array => "json",
            Self::Text(format) => format.name(),
        }
    }

    /// Whether [`first_start`](Self::first_start) understands bytes that begin anywhere, and not
    /// only where a record does.
    pub fn is_seekable(&self) -> bool {
        match self {
            Self::Ndjson | Self::Text(_) => true,
            Self::Array => false,
        }
    }

    /// Whether a record that starts behind two places is the first one behind either.
    pub fn starts_are_local(&self) -> bool {
        // where no line has a time, a place to cut at takes ordinary lines in front of it
        matches!(self, Self::Ndjson)
    }

    /// Where in `bytes` the first record starts that does so at `from` or later; `None` if that takes
    /// more bytes. Not for `from` 0. `bytes` begin where the log does, if `is_beginning`, else where a
    /// record starts or, if the form is [seekable](Self::is_seekable), anywhere.
    pub fn first_start(&self, bytes: &[u8], is_beginning: bool, from: usize) -> Option<usize> {
        match self {
            Self::Ndjson => {
                let before = from.saturating_sub(1);
                memchr(b'\n', bytes.get(before..)?).map(|at| before + at + 1)
            }
            Self::Array => array::first_start(bytes, is_beginning, from),
            Self::Text(format) => {
                // half a line may look like another
                let whole = memrchr(b'\n', bytes)? + 1;
                format.record_start(&bytes[..whole], from)
            }
        }
    }

    /// Where the last record ends that is certainly whole; what follows may be half of one, or
    /// nothing. `bytes` are as for [`first_start`](Self::first_start).
    pub fn last_end(&self, bytes: &[u8], is_beginning: bool) -> Option<usize> {
        match self {
            Self::Ndjson => memrchr(b'\n', bytes).map(|at| at + 1),
            Self::Array => array::last_end(bytes, is_beginning),
            Self::Text(format) => last_text_end(format, bytes),
        }
    }

    /// Hands the records of `bytes`, which begin with one, to `take`, each with its offset. `bytes`
    /// begin where the log does, if `is_beginning`, and end with a whole record, or with one that is
    /// taken as it is.
    pub fn records<'a>(
        &self,
        bytes: &'a [u8],
        is_beginning: bool,
        mut take: impl FnMut(usize, &'a [u8]),
    ) {
        let mark = mark_len(bytes, is_beginning);
        match self {
            Self::Ndjson => {
                let mut start = mark;
                for end in memchr_iter(b'\n', bytes).chain([bytes.len()]) {
                    let line = bytes[start..end].trim_ascii_end();
                    if !line.is_empty() {
                        take(start, line);
                    }
                    start = end + 1;
                }
            }
            Self::Array => {
                let mut elements = Elements::new(bytes, is_beginning);
                for (at, element) in elements.by_ref() {
                    take(at, element);
                }
                if let Some(at) = elements.start() {
                    take(at, bytes[at..].trim_ascii_end());
                }
            }
            Self::Text(format) => {
                for record in format.records(&bytes[mark..]) {
                    let at = mark + record.offset;
                    take(at, &bytes[at..at + record.len]);
                }
            }
        }
    }
}

/// Bytes of the mark before a log's first record.
pub(super) fn mark_len(bytes: &[u8], is_beginning: bool) -> usize {
    if is_beginning && bytes.starts_with(MARK) { MARK.len() } else { 0 }
}

/// A record is whole if its last line is; of one that is not, nothing is taken.
fn last_text_end(format: &Format, bytes: &[u8]) -> Option<usize> {
    if bytes.ends_with(b"\n") {
        return Some(bytes.len());
    }
    let lines = memrchr(b'\n', bytes)? + 1;
    if format.is_timeless() {
        return Some(lines);
    }
    // the half line is a record of its own, or the end of the one before
    let mut last = None;
    let mut from = 1;
    while let Some(start) = format.record_start(bytes, from) {
        last = Some(start);
        from = start + 1;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Year;

    fn records(form: &Form, bytes: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        form.records(bytes.as_bytes(), true, |at, record| {
            found.push((at, String::from_utf8(record.to_vec()).unwrap()));
        });
        found
    }

    #[test]
    fn records_of_lines() {
        let own = |at: usize, text: &str| (at, text.to_owned());
        assert_eq!(
            records(&Form::Ndjson, "{}\n\r\n {1} \r\n\n{2}"),
            [own(0, "{}"), own(5, " {1}"), own(13, "{2}")]
        );
        assert_eq!(Form::Ndjson.first_start(b"ab\ncd\n", true, 3), Some(3));
        assert_eq!(Form::Ndjson.first_start(b"ab\ncd\n", true, 4), Some(6));
        assert_eq!(Form::Ndjson.first_start(b"ab\ncd", true, 4), None);
        assert_eq!(Form::Ndjson.last_end(b"ab\ncd", true), Some(3));
        assert_eq!(Form::Ndjson.last_end(b"ab", true), None);
    }

    #[test]
    fn a_mark_before_the_log_is_no_record() {
        for form in [Form::Ndjson, Form::Array] {
            assert_eq!(records(&form, "\u{feff}{}\n"), [(3, "{}".to_owned())]);
        }
        assert_eq!(records(&Form::Ndjson, "\u{feff}").len(), 0);
    }

    #[test]
    fn the_rest_of_an_array_is_a_record_too() {
        assert_eq!(records(&Form::Array, "[{},{\"a\"").len(), 2);
        assert_eq!(records(&Form::Array, "[{},{}]\n").len(), 2);
    }

    #[test]
    fn half_a_line_of_text_takes_its_record_with_it() {
        let assumed = Assumed { year: Year::Is(2024), utc_offset_seconds: 0 };
        let log = b"2024-01-02 03:04:05 ERROR a\n2024-01-02 03:04:06 ERROR b\n\tat f\n\tat ";
        let Form::Text(format) = Form::detect(log, &assumed) else { panic!("not text") };
        let form = Form::Text(format);
        assert_eq!(form.last_end(log, true), Some(28));
        assert_eq!(form.last_end(&log[..56], true), Some(56));
        assert_eq!(form.first_start(log, true, 1), Some(28));
        assert_eq!(form.first_start(&log[..30], true, 1), None);
        assert_eq!(records(&form, str::from_utf8(log).unwrap()).len(), 2);
    }

    #[test]
    fn forms_are_told_by_their_beginning() {
        let assumed = Assumed { year: Year::Is(2024), utc_offset_seconds: 0 };
        let name = |head: &[u8]| Form::detect(head, &assumed).name();
        assert_eq!(name(b"\xef\xbb\xbf {}"), "ndjson");
        assert_eq!(name(b" [ ]"), "json");
        assert_eq!(name(b"boom\n"), "plain");
    }
}
