//! Where in a list a page ended, as text that a client hands back.

use errsift_ops::fingerprint::Fingerprint;

use super::Sort;

/// A place in an order: of two, the greater comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The count, or the time in milliseconds since 1970.
    pub key: u64,
    /// What equal keys are ordered by.
    pub fingerprint: Fingerprint,
}

/// The cursor's first characters name its form and its order.
fn mark(sort: Sort) -> &'static str {
    match sort {
        Sort::Count => "1c",
        Sort::LastSeen => "1l",
        Sort::FirstSeen => "1f",
    }
}

impl Position {
    /// As a cursor of a list in this order.
    pub fn cursor(&self, sort: Sort) -> String {
        format!("{}{:016x}{}", mark(sort), self.key, self.fingerprint)
    }

    /// What [`cursor`](Self::cursor) has written for the same order.
    pub fn parse(cursor: &str, sort: Sort) -> Option<Self> {
        let (key, fingerprint) = cursor.strip_prefix(mark(sort))?.split_at_checked(16)?;
        if !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let key = u64::from_str_radix(key, 16).ok().filter(|key| i64::try_from(*key).is_ok())?;
        Some(Self { key, fingerprint: fingerprint.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_order() {
        let position = Position { key: 77, fingerprint: Fingerprint([0xab; 32]) };
        let cursor = position.cursor(Sort::Count);
        assert_eq!(Position::parse(&cursor, Sort::Count), Some(position));
        assert_eq!(Position::parse(&cursor, Sort::LastSeen), None);
        let sign = format!("1c+{}", &cursor[3..]);
        for wrong in ["", "1c", "é", &cursor[1..], &cursor[..60], &sign, &cursor.replace('0', "f")]
        {
            assert_eq!(Position::parse(wrong, Sort::Count), None, "{wrong}");
        }
    }
}
