//! How the lines read last were laid out.
//!
//! A program writes its events with the same keys in the same order. What stands between the values
//! of a line that was read is right in the next one too, if it is the same byte for byte: then only the
//! values are looked at.

use std::ops::Range;

use super::{
    cursor::Cursor,
    quick::{MESSAGE, Quick, Varies, Varying, is_clean, take, walk},
    repeats::Begun,
};

/// Layouts that are remembered: programs that share a log take turns.
const LAYOUTS_MAX: usize = 4;

/// Layouts with more values, or longer keys, are not remembered.
const VALUES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 4096;

/// The layouts of lines read last.
#[derive(Default)]
pub(super) struct Layouts {
    known: Vec<Layout>,
    /// The one that the last line had, or that the next new one follows.
    last: usize,
    /// Whether that is the one of the line read last.
    is_of_last: bool,
    /// Heads that there were, each with its number.
    heads: u32,
    varying: Vec<Varying>,
}

#[derive(Default)]
struct Layout {
    /// The same for layouts that are the same up to the message.
    head: u32,
    /// Which of the values is the message.
    message: usize,
    /// What stands before each value.
    values: Vec<(Range<usize>, Varies)>,
    /// What stands behind the last.
    end: Range<usize>,
    text: Vec<u8>,
}

impl Layouts {
    /// Reads `line` up to the end of its message, if it begins as one that was read.
    pub(super) fn begin<'a>(&self, line: &'a [u8]) -> Option<Begun<'a>> {
        let (first, last) = self.known.split_at(self.last);
        last.iter().chain(first).find_map(|layout| layout.begin(line))
    }

    /// The values of `line`, which was just [read](Self::scan), and how it begins; `None` if that is
    /// not remembered.
    pub(super) fn values(&mut self, line: &[u8]) -> Option<(u32, &[Varying])> {
        let head = self.known.get(self.last).filter(|_| self.is_of_last)?.head;
        walk(line, &mut self.varying)?;
        Some((head, &self.varying))
    }

    /// Reads `line`, if it is certainly an event; whatever is unusual takes a closer look.
    pub(super) fn scan<'a>(&mut self, line: &'a [u8]) -> Option<Quick<'a>> {
        self.is_of_last = false;
        if !is_clean(line) {
            return None;
        }
        let count = self.known.len();
        for at in (self.last..count).chain(0..self.last) {
            if let Some(quick) = self.known[at].read(line) {
                self.last = at;
                self.is_of_last = true;
                return Some(quick);
            }
        }
        let quick = walk(line, &mut self.varying)?;
        if self.varying.len() <= VALUES_MAX {
            let mut layout = Layout::of(line, &self.varying);
            if layout.text.len() <= TEXT_BYTES_MAX {
                self.number(&mut layout);
                self.is_of_last = true;
                self.last = if count < LAYOUTS_MAX { count } else { (self.last + 1) % LAYOUTS_MAX };
                match self.known.get_mut(self.last) {
                    Some(known) => *known = layout,
                    None => self.known.push(layout),
                }
            }
        }
        Some(quick)
    }

    /// Gives a new layout the number of its head.
    fn number(&mut self, layout: &mut Layout) {
        let alike = self.known.iter().find(|known| known.begins().eq(layout.begins()));
        layout.head = alike.map_or(self.heads, |known| known.head);
        // more than these are never seen by a run that ends
        self.heads = self.heads.saturating_add(u32::from(alike.is_none()));
    }
}

impl Layout {
    fn of(line: &[u8], varying: &[Varying]) -> Self {
        let is_message = |(varies, _): &Varying| *varies == Varies::Text(MESSAGE);
        let message = varying.iter().position(is_message).unwrap_or_default();
        let mut layout = Self { message, ..Self::default() };
        let mut done = 0;
        for (varies, span) in varying {
            let before = layout.push(&line[done..span.start]);
            layout.values.push((before, *varies));
            done = span.end;
        }
        layout.end = layout.push(&line[done..]);
        layout
    }

    fn push(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        start..self.text.len()
    }

    /// What stands before each value, up to the message.
    fn begins(&self) -> impl Iterator<Item = (&[u8], Varies)> {
        let values = &self.values[..=self.message];
        values.iter().map(|(before, varies)| (&self.text[before.clone()], *varies))
    }

    /// The values up to the message of a line that begins as this layout does.
    fn begin<'a>(&self, line: &'a [u8]) -> Option<Begun<'a>> {
        let mut cursor = Cursor { bytes: line, at: 0 };
        let mut quick = Quick::default();
        for (before, varies) in &self.values[..=self.message] {
            cursor.exactly(&self.text[before.clone()])?;
            take(&mut cursor, *varies, &mut quick)?;
        }
        // the message will be compared with one that is clean
        let is_alone = self.message == 0;
        (is_alone || is_clean(&line[..cursor.at])).then_some(Begun {
            head: self.head,
            quick,
            at: cursor.at,
        })
    }

    /// The values of a clean line that has this layout.
    fn read<'a>(&self, line: &'a [u8]) -> Option<Quick<'a>> {
        let mut cursor = Cursor { bytes: line, at: 0 };
        let mut quick = Quick::default();
        for (before, varies) in &self.values {
            cursor.exactly(&self.text[before.clone()])?;
            take(&mut cursor, *varies, &mut quick)?;
        }
        (line[cursor.at..] == self.text[self.end.clone()]).then_some(quick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_take_turns_and_the_oldest_are_forgotten() {
        let mut layouts = Layouts::default();
        let line = |blanks: usize| format!("{{{}\"message\":\"m\"}}", " ".repeat(blanks));
        for turn in 0..3 {
            for blanks in 0..LAYOUTS_MAX + turn {
                assert_eq!(layouts.scan(line(blanks).as_bytes()).unwrap().message, b"m");
                assert!(layouts.known.len() <= LAYOUTS_MAX);
                // the line just read is read by its layout the next time
                assert!(layouts.known[layouts.last].read(line(blanks).as_bytes()).is_some());
            }
        }
    }

    #[test]
    fn what_is_too_long_to_remember_is_read_all_the_same() {
        let mut layouts = Layouts::default();
        let tag = |at: usize| format!("\"{}{at}\":\"\"", "k".repeat(200));
        let tags: Vec<_> = (0..30).map(tag).collect();
        let line = format!("{{\"message\":\"m\",\"tags\":{{{}}}}}", tags.join(","));
        assert!(layouts.scan(line.as_bytes()).is_some());
        assert!(layouts.known.is_empty());
    }
}
