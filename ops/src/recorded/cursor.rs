//! A line of JSON, read from one value to the next.

use memchr::memchr2;

/// Text between quotes.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub bytes: &'a [u8],
    pub has_escapes: bool,
}

/// Where in a line, which is UTF-8.
pub(super) struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    /// Passes over blanks.
    pub fn blanks(&mut self) {
        while self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    /// The next byte that is not blank.
    pub fn next(&mut self) -> Option<u8> {
        self.blanks();
        let byte = self.bytes.get(self.at)?;
        self.at += 1;
        Some(*byte)
    }

    /// Passes over `byte`, and blanks before it.
    pub fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Passes over `literal`, exactly as it is.
    pub fn exactly(&mut self, literal: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(literal).then(|| self.at += literal.len())
    }

    /// Passes over so many bytes.
    pub fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..bytes)?;
        self.at += bytes;
        Some(taken)
    }

    /// A string whose escapes are right.
    pub fn string(&mut self) -> Option<Raw<'a>> {
        self.expect(b'"')?;
        let raw = self.rest_of_string()?;
        self.at += 1;
        Some(raw)
    }

    /// A string whose escapes are right, from behind its first quote up to its last.
    pub fn rest_of_string(&mut self) -> Option<Raw<'a>> {
        let bytes = self.bytes;
        let start = self.at;
        let mut at = start;
        let mut has_escapes = false;
        loop {
            at = quote_or_backslash(bytes, at)?;
            if bytes[at] == b'"' {
                break;
            }
            has_escapes = true;
            // \u takes a closer look, for surrogates
            if !matches!(bytes.get(at + 1)?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
            {
                return None;
            }
            at += 2;
        }
        self.at = at;
        Some(Raw { bytes: &bytes[start..at], has_escapes })
    }
}

impl<'a> Raw<'a> {
    /// The text, if it stands for itself.
    pub fn plain(&self) -> Option<&'a str> {
        if self.has_escapes { None } else { str::from_utf8(self.bytes).ok() }
    }
}

/// Where the next quote or backslash is: in the first sixteen bytes eight at a time, because calling
/// what is faster costs as much as a short string.
fn quote_or_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut at = from;
    for _ in 0..2 {
        let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) else { break };
        let word = u64::from_le_bytes(*eight);
        // the lowest mark is exact: borrows only go up
        let found = zero(word ^ QUOTES) | zero(word ^ BACKSLASHES);
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', bytes.get(at..)?).map(|found| at + found)
}
