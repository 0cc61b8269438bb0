//! Where a recorded log is divided, before anybody has looked into it.

/// A place where a chunk begins or ends: at `at` itself if it is exact, else at the first record that
/// starts there or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// Offset in bytes.
    pub at: u64,
    /// Whether a record is known to start, or the log to end, right here.
    pub is_exact: bool,
}

/// What lies between two boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub from: Boundary,
    /// Where the next one begins.
    pub to: Boundary,
    /// The boundary at which its range ends: the same for all pieces of a range, and growing.
    pub range: Boundary,
}

/// Divides a log into pieces for parsing, and into ranges of pieces for applying.
///
/// Boundaries lie at multiples of a number of bytes, so that they are the same in each run. A run
/// that was cut short may have left some parts further than others: a range ends at each place
/// where one stands, so that every part can ignore exactly what it has.
#[derive(Clone, Debug)]
pub struct Boundaries {
    start: u64,
    stands: Vec<u64>,
    end: Option<u64>,
    chunk_bytes: u64,
    range_bytes: u64,
}

impl Boundaries {
    /// Boundaries of a log that is applied up to `stands`, one for each part, and ends at `end` if
    /// that is known.
    pub fn new(
        stands: &[u64],
        end: Option<u64>,
        chunk_bytes: std::num::NonZeroU64,
        range_bytes: std::num::NonZeroU64,
    ) -> Self {
        let mut stands = stands.to_vec();
        stands.sort_unstable();
        stands.dedup();
        let start = stands.first().copied().unwrap_or_default();
        Self { start, stands, end, chunk_bytes: chunk_bytes.get(), range_bytes: range_bytes.get() }
    }

    /// What every part has up to, and where the first piece begins.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Where the log ends, if that is known.
    pub fn end(&self) -> Option<u64> {
        self.end
    }

    /// The piece that begins at `at`: [`start`](Self::start), or where one has ended.
    /// `None` at the end.
    pub fn piece(&self, at: u64) -> Option<Piece> {
        if self.end.is_some_and(|end| at >= end) {
            return None;
        }
        let to = self.after(at, self.chunk_bytes);
        let range = self.after(at, self.range_bytes);
        // a range may be given shorter than a chunk
        let to = if range.at < to.at { range } else { to };
        Some(Piece { from: self.boundary(at), to, range })
    }

    /// The first boundary after `at` if they lie `step` apart.
    fn after(&self, at: u64, step: u64) -> Boundary {
        let multiple = (at / step).saturating_add(1).saturating_mul(step);
        let stand = self.stands.iter().find(|stand| **stand > at);
        let exact = stand.copied().into_iter().chain(self.end).min();
        self.boundary(exact.map_or(multiple, |exact| exact.min(multiple)))
    }

    /// The boundary at `at`.
    pub fn boundary(&self, at: u64) -> Boundary {
        let is_exact = at == 0 || self.stands.contains(&at) || self.end == Some(at);
        Boundary { at, is_exact }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn pieces(stands: &[u64], end: Option<u64>, chunk: u64, range: u64) -> Vec<(u64, u64, u64)> {
        let bytes = |bytes| NonZeroU64::new(bytes).unwrap();
        let boundaries = Boundaries::new(stands, end, bytes(chunk), bytes(range));
        let mut pieces = Vec::new();
        let mut at = boundaries.start();
        while let Some(piece) = boundaries.piece(at).filter(|_| pieces.len() < 9) {
            assert_eq!(piece.from.at, at);
            at = piece.to.at;
            pieces.push((piece.from.at, piece.to.at, piece.range.at));
        }
        pieces
    }

    #[test]
    fn pieces_end_at_multiples_and_at_the_end() {
        let expected = [(0, 10, 20), (10, 20, 20), (20, 25, 25)];
        assert_eq!(pieces(&[0; 3], Some(25), 10, 20), expected);
        assert_eq!(pieces(&[25], Some(25), 10, 20), []);
        assert_eq!(pieces(&[], Some(0), 10, 20), []);
        // without an end there is always one more
        assert_eq!(pieces(&[0], None, 10, 20)[8], (80, 90, 100));
        assert_eq!(pieces(&[0], Some(9), 10, 5), [(0, 5, 5), (5, 9, 9)]);
    }

    #[test]
    fn ranges_end_wherever_a_part_stands() {
        let expected = [(13, 17, 17), (17, 20, 20), (20, 30, 31), (30, 31, 31), (31, 40, 40)];
        assert_eq!(pieces(&[31, 13, 17, 13], Some(40), 10, 20), expected);
        let bytes = |bytes| NonZeroU64::new(bytes).unwrap();
        let boundaries = Boundaries::new(&[13, 17], Some(40), bytes(10), bytes(20));
        let exact = |at| boundaries.piece(at).map(|p| (p.from.is_exact, p.to.is_exact));
        assert_eq!(exact(13), Some((true, true)));
        assert_eq!(exact(17), Some((true, false)));
        assert_eq!(exact(30), Some((false, true)));
    }
}
