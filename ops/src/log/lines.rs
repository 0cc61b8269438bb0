//! Lines of bytes.

use memchr::memchr;

use super::cursor::is_blank;

/// A line: where it starts, where its text ends (before `\r\n` or `\n`), where the next starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) next: usize,
}

impl Line {
    /// The line that starts at `start`; `None` at the end of `bytes`.
    pub(super) fn at(bytes: &[u8], start: usize) -> Option<Self> {
        let rest = bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let (length, next) = match memchr(b'\n', rest) {
            Some(feed) => (feed, start + feed + 1),
            None => (rest.len(), bytes.len()),
        };
        let carriage = usize::from(length > 0 && rest[length - 1] == b'\r');
        Some(Self { start, end: start + length - carriage, next })
    }

    pub(super) fn text<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start..self.end]
    }
}

/// The lines from `start` on.
pub(super) fn from(bytes: &[u8], start: usize) -> impl Iterator<Item = Line> {
    std::iter::successors(Line::at(bytes, start), |line| Line::at(bytes, line.next))
}

/// Where the first line at or after `from` starts.
pub(super) fn start_from(bytes: &[u8], from: usize) -> Option<usize> {
    if from == 0 || bytes.get(from - 1) == Some(&b'\n') {
        return (from < bytes.len()).then_some(from);
    }
    let feed = memchr(b'\n', bytes.get(from..)?)?;
    Some(from + feed + 1).filter(|start| *start < bytes.len())
}

/// What a line is before anything is known of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Blank,
    Indented,
    Flat,
}

pub(super) fn shape(text: &[u8]) -> Shape {
    match text.first() {
        Some(first) if !first.is_ascii_whitespace() => Shape::Flat,
        _ if text.iter().all(u8::is_ascii_whitespace) => Shape::Blank,
        _ => Shape::Indented,
    }
}

/// `text` without blanks in front.
pub(super) fn unindented(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    &text[blanks..]
}
