//! The forms that a recorded log can have, and where their records start.

use memchr::{memchr, memchr_iter, memrchr};

use super::array;

/// How a log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// An event a line, as JSON objects.
    Ndjson,
    /// Events in a JSON array.
    Array,
}

/// Bytes from the start of a log that [`Form::detect`] is shown.
pub const DETECT_BYTES: usize = 64 * 1024;

impl Form {
    /// The form of a log that begins with `head`; `None` if it is none of these.
    ///
    /// ```
    /// use errsift_ops::recorded::form::Form;
    /// assert_eq!(Form::detect(b"{\"message\":\"m\"}\n"), Some(Form::Ndjson));
    /// assert_eq!(Form::detect(b"[\n  {"), Some(Form::Array));
    /// assert_eq!(Form::detect(b"[Sun Dec 04 04:47:44 2005] [notice]"), None);
    /// ```
    pub fn detect(head: &[u8]) -> Option<Self> {
        let head = without_mark(head).trim_ascii_start();
        match head.split_first()? {
            (b'{', _) => Some(Self::Ndjson),
            (b'[', rest) => match rest.trim_ascii_start().first()? {
                b'{' | b']' => Some(Self::Array),
                _ => None,
            },
            _ => None,
        }
    }

    /// As users name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Array => "json",
        }
    }

    /// Whether [`first_start`](Self::first_start) understands bytes that begin anywhere, and not
    /// only where a record does.
    pub fn is_seekable(&self) -> bool {
        match self {
            Self::Ndjson => true,
            Self::Array => false,
        }
    }

    /// Where in `bytes` the first record starts that does so at `from` or later; `None` if that takes
    /// more bytes. Not for `from` 0. `bytes` begin where a record starts or, if the form is
    /// [seekable](Self::is_seekable), anywhere.
    pub fn first_start(&self, bytes: &[u8], from: usize) -> Option<usize> {
        match self {
            Self::Ndjson => {
                let before = from.saturating_sub(1);
                memchr(b'\n', bytes.get(before..)?).map(|at| before + at + 1)
            }
            Self::Array => array::first_start(bytes, from),
        }
    }

    /// Where the last record ends that is certainly whole; what follows may be half of one, or
    /// nothing. `bytes` are as for [`first_start`](Self::first_start).
    pub fn last_end(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Ndjson => memrchr(b'\n', bytes).map(|at| at + 1),
            Self::Array => array::last_end(bytes),
        }
    }

    /// Hands the records of `bytes`, which begin with one, to `take`, each with its offset. `bytes`
    /// end with a whole record, or with one that is taken as it is.
    pub fn records<'a>(&self, bytes: &'a [u8], mut take: impl FnMut(usize, &'a [u8])) {
        match self {
            Self::Ndjson => {
                let mut start = 0;
                for end in memchr_iter(b'\n', bytes).chain([bytes.len()]) {
                    let line = bytes[start..end].trim_ascii_end();
                    if !line.is_empty() {
                        take(start, line);
                    }
                    start = end + 1;
                }
            }
            Self::Array => {
                let mut rest = 0;
                for (at, element) in array::elements(bytes) {
                    take(at, element);
                    rest = at + element.len();
                }
                if let Some(at) = array::first_start(&bytes[rest..], 0) {
                    take(rest + at, bytes[rest + at..].trim_ascii_end());
                }
            }
        }
    }
}

/// `head` without the mark that some systems put before UTF-8.
fn without_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(form: &Form, bytes: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        form.records(bytes.as_bytes(), |at, record| {
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
        assert_eq!(Form::Ndjson.first_start(b"ab\ncd\n", 3), Some(3));
        assert_eq!(Form::Ndjson.first_start(b"ab\ncd\n", 4), Some(6));
        assert_eq!(Form::Ndjson.first_start(b"ab\ncd", 4), None);
        assert_eq!(Form::Ndjson.last_end(b"ab\ncd"), Some(3));
        assert_eq!(Form::Ndjson.last_end(b"ab"), None);
    }

    #[test]
    fn the_rest_of_an_array_is_a_record_too() {
        assert_eq!(records(&Form::Array, "[{},{\"a\"").len(), 2);
        assert_eq!(records(&Form::Array, "[{},{}]\n").len(), 2);
    }

    #[test]
    fn forms_are_told_by_their_beginning() {
        assert_eq!(Form::detect(b"\xef\xbb\xbf {}"), Some(Form::Ndjson));
        assert_eq!(Form::detect(b" [ ]"), Some(Form::Array));
        assert_eq!(Form::detect(b"2024-01-01 boom"), None);
        assert_eq!(Form::detect(b""), None);
    }
}
