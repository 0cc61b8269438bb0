//! A line of JSON, read from one value to the next.

/// Text between quotes.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub bytes: &'a [u8],
    pub text: &'a str,
    pub has_escapes: bool,
}

/// Where in a line.
pub(super) struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
}

impl<'a> Cursor<'a> {
    /// All of it.
    pub fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Passes over blanks.
    pub fn blanks(&mut self) {
        while self.bytes().get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    /// The next byte that is not blank.
    pub fn next(&mut self) -> Option<u8> {
        self.blanks();
        let byte = self.bytes().get(self.at)?;
        self.at += 1;
        Some(*byte)
    }

    /// Passes over `byte`, and blanks before it.
    pub fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Passes over `null`.
    pub fn null(&mut self) -> Option<()> {
        self.bytes()[self.at..].starts_with(b"null").then(|| self.at += 4)
    }

    /// A string whose escapes are right.
    pub fn string(&mut self) -> Option<Raw<'a>> {
        self.expect(b'"')?;
        let bytes = self.bytes();
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
        self.at = at + 1;
        Some(Raw { bytes: &bytes[start..at], text: &self.text[start..at], has_escapes })
    }
}

impl<'a> Raw<'a> {
    /// The text, if it stands for itself.
    pub fn plain(&self) -> Option<&'a str> {
        (!self.has_escapes).then_some(self.text)
    }
}

/// Where the next quote or backslash is, eight bytes at a time.
fn quote_or_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut at = from;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*eight);
        // the lowest mark is exact: borrows only go up
        let found = zero(word ^ QUOTES) | zero(word ^ BACKSLASHES);
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).map(|found| at + found)
}
