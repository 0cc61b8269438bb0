//! A body in pieces becomes items, each the text of one event: lines, or the elements of an array.

use memchr::{memchr, memchr2};

use super::fold::ITEM_BYTES_MAX;

/// How a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An array if the first byte that is no space is `[`, otherwise lines.
    Either,
    /// One event a line; blank lines are nothing.
    Lines,
}

/// One event's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// All of it.
    Text(&'a [u8]),
    /// More than [`ITEM_BYTES_MAX`] bytes.
    TooLong,
}

/// An array that is none, so that nobody can say what its elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Its end is missing.
    #[error("the array has no end")]
    NoEnd,
    /// Something else than `,` or `]` follows an element.
    #[error("expected , or ] after element {0} of the array")]
    Separator(usize),
    /// An element is missing.
    #[error("expected an event as element {0} of the array")]
    Element(usize),
    /// Something follows the array.
    #[error("something follows the array")]
    Tail,
}

/// Where in a body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte that is no space.
    Start,
    Line,
    /// Behind `[`.
    First,
    /// Behind a comma.
    Next,
    Element(Element),
    /// Behind an element.
    After,
    End,
}

/// Where in an element it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Element {
    /// Brackets and braces that are open.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Whether it is a number or a word, which end before what follows.
    bare: bool,
}

/// Splits a body as it comes.
#[derive(Debug)]
pub struct Split {
    state: State,
    /// What has come of an item that ends in a later piece.
    begun: Vec<u8>,
    /// Whether that is too long already, and is only looked through for its end.
    too_long: bool,
    elements: usize,
}

impl Split {
    /// For a body of which nothing has come.
    pub fn new(format: Format) -> Self {
        let state = if format == Format::Lines { State::Line } else { State::Start };
        Self { state, begun: Vec::new(), too_long: false, elements: 0 }
    }

    /// Bytes that it keeps.
    pub fn bytes(&self) -> usize {
        self.begun.capacity()
    }

    /// Takes the next piece and hands on the items that end in it, until `take` wants no more.
    pub fn feed<E: From<Malformed>>(
        &mut self,
        mut piece: &[u8],
        mut take: impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !piece.is_empty() {
            piece = match self.state {
                State::Line => self.line(piece, &mut take)?,
                State::Element(element) => self.element(element, piece, &mut take)?,
                _ => self.between(piece)?,
            };
        }
        Ok(())
    }

    /// Hands on what has no end of its own: the last line.
    pub fn finish<E: From<Malformed>>(
        mut self,
        take: impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.state {
            State::Start | State::End => Ok(()),
            State::Line => self.item(&[], take),
            _ => Err(Malformed::NoEnd.into()),
        }
    }

    /// Up to the end of a line, or all.
    fn line<'a, E>(
        &mut self,
        piece: &'a [u8],
        take: impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<&'a [u8], E> {
        let Some(end) = memchr(b'\n', piece) else {
            self.begin(piece);
            return Ok(&[]);
        };
        self.item(&piece[..end], take)?;
        Ok(&piece[end + 1..])
    }

    /// What is not part of an item.
    fn between<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let Some(at) = piece.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        else {
            return Ok(&[]);
        };
        let (rest, behind) = (&piece[at..], &piece[at + 1..]);
        match (self.state, rest[0]) {
            (State::Start, b'[') => self.state = State::First,
            (State::Start, _) => {
                self.state = State::Line;
                return Ok(rest);
            }
            (State::First | State::After, b']') => self.state = State::End,
            (State::After, b',') => self.state = State::Next,
            (State::After, _) => return Err(Malformed::Separator(self.elements - 1)),
            (State::End, _) => return Err(Malformed::Tail),
            (_, b',' | b']' | b'}' | b':') => return Err(Malformed::Element(self.elements)),
            (_, first) => {
                let bare = !matches!(first, b'{' | b'[' | b'"');
                let element = Element { depth: 0, in_string: false, escaped: false, bare };
                self.state = State::Element(element);
                return Ok(rest);
            }
        }
        Ok(behind)
    }

    /// Up to the end of an element, or all.
    fn element<'a, E>(
        &mut self,
        mut element: Element,
        piece: &'a [u8],
        take: impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<&'a [u8], E> {
        let Some(end) = element.end(piece) else {
            self.state = State::Element(element);
            self.begin(piece);
            return Ok(&[]);
        };
        self.state = State::After;
        self.elements += 1;
        self.item(&piece[..end], take)?;
        Ok(&piece[end..])
    }

    /// Keeps the start, or the middle, of an item.
    fn begin(&mut self, part: &[u8]) {
        if self.begun.len() + part.len() > ITEM_BYTES_MAX {
            self.begun = Vec::new();
            self.too_long = true;
        }
        if !self.too_long {
            self.begun.extend_from_slice(part);
        }
    }

    /// Hands on the item that ends with `part`, unless it is blank.
    fn item<E>(
        &mut self,
        part: &[u8],
        mut take: impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.begun.is_empty() && !self.too_long && part.len() <= ITEM_BYTES_MAX {
            return if part.trim_ascii().is_empty() { Ok(()) } else { take(Item::Text(part)) };
        }
        self.begin(part);
        let begun = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.too_long) {
            return take(Item::TooLong);
        }
        if begun.trim_ascii().is_empty() { Ok(()) } else { take(Item::Text(&begun)) }
    }
}

impl Element {
    /// Where in `piece`, which goes on with it, it ends.
    fn end(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(byte) = piece.get(at) {
            if self.in_string {
                if std::mem::take(&mut self.escaped) {
                    at += 1;
                    continue;
                }
                let special = at + memchr2(b'"', b'\\', &piece[at..])?;
                at = special + 1;
                self.escaped = piece[special] == b'\\';
                self.in_string = self.escaped;
                if !self.in_string && self.depth == 0 {
                    return Some(at);
                }
                continue;
            }
            match byte {
                b',' | b']' | b' ' | b'\t' | b'\n' | b'\r' if self.bare => return Some(at),
                b'"' if !self.bare => self.in_string = true,
                b'{' | b'[' if !self.bare => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 && !self.bare {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        None
    }
}
