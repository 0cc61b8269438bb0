//! Reading a line from its start, piece by piece; what does not fit is `None` and moves nothing
//! that the caller keeps.

/// A place in a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.bytes.len());
    }

    /// Reads `byte`, or says no and stays.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Reads `text`, or says no and stays.
    pub(super) fn eat_all(&mut self, text: &[u8]) -> bool {
        let there = self.rest().starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }

    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    /// Reads spaces and tabs; how many.
    pub(super) fn blanks(&mut self) -> usize {
        let blanks = self.rest().iter().take_while(|byte| is_blank(**byte)).count();
        self.at += blanks;
        blanks
    }

    /// A number of exactly `count` digits.
    pub(super) fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + count)?;
        let number = decimal(digits)?;
        self.at += count;
        Some(number)
    }

    /// A number of two digits or one, with or without a space in front.
    pub(super) fn one_or_two_digits(&mut self) -> Option<u32> {
        self.eat(b' ');
        self.digits(2).or_else(|| self.digits(1))
    }

    /// How many digits stand here.
    pub(super) fn digits_ahead(&self) -> usize {
        self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// Bytes up to a blank, at least one and at most `bytes_max`.
    pub(super) fn token(&mut self, bytes_max: usize) -> Option<&'a [u8]> {
        let rest = self.rest();
        let window = &rest[..rest.len().min(bytes_max + 1)];
        let end = window.iter().position(|byte| is_blank(*byte)).unwrap_or(window.len());
        if end == 0 || end > bytes_max {
            return None;
        }
        self.at += end;
        Some(&rest[..end])
    }

    /// What stands between `open` here and the `close` that matches it, at most `bytes_max` on.
    pub(super) fn group(&mut self, open: u8, close: u8, bytes_max: usize) -> Option<&'a [u8]> {
        if self.peek() != Some(open) {
            return None;
        }
        let rest = self.rest();
        let mut depth = 0_usize;
        for (at, byte) in rest.iter().enumerate().take(bytes_max) {
            if *byte == open {
                depth += 1;
            } else if *byte == close {
                depth -= 1;
                if depth == 0 {
                    self.at += at + 1;
                    return Some(&rest[1..at]);
                }
            }
        }
        None
    }
}

pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The number that at most nine digits write; `None` if one is no digit.
pub(super) fn decimal(digits: &[u8]) -> Option<u32> {
    let mut number = 0;
    for digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        number = number * 10 + u32::from(value);
    }
    Some(number)
}
