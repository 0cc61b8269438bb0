//! Finds what is refused among many, by halves.

use std::ops::Range;

/// Spans to be tried, the first ones first: a span that is refused comes again in halves, until
/// single ones are left. So `r` refused ones among `n` cost O(r × log n) tries.
#[derive(Debug)]
pub struct Halves {
    spans: Vec<Range<usize>>,
}

impl Halves {
    /// All of `0..length`, as one span.
    pub fn of(length: usize) -> Self {
        let all = Some(0..length).filter(|all| !all.is_empty());
        Self { spans: all.into_iter().collect() }
    }

    /// The next span to be tried.
    pub fn next(&mut self) -> Option<Range<usize>> {
        self.spans.pop()
    }

    /// Notes that `span` was refused. Returns the one that must be to blame if there is only one.
    pub fn refused(&mut self, span: Range<usize>) -> Option<usize> {
        if span.len() <= 1 {
            return Some(span.start);
        }
        let middle = span.start + span.len() / 2;
        self.spans.push(middle..span.end);
        self.spans.push(span.start..middle);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries until the end. Returns the refused, those that were taken, in order, and the tries.
    fn tried(length: usize, is_refused: impl Fn(usize) -> bool) -> (Vec<usize>, Vec<usize>, usize) {
        let (mut refused, mut taken, mut tries) = (Vec::new(), Vec::new(), 0);
        let mut halves = Halves::of(length);
        while let Some(span) = halves.next() {
            tries += 1;
            if span.clone().any(&is_refused) {
                refused.extend(halves.refused(span));
            } else {
                taken.extend(span);
            }
        }
        (refused, taken, tries)
    }

    #[test]
    fn the_refused_are_found_and_nothing_else() {
        assert_eq!(tried(0, |_| true), (vec![], vec![], 0));
        assert_eq!(tried(1, |_| true), (vec![0], vec![], 1));
        let (refused, taken, tries) = tried(10_000, |at| matches!(at, 0 | 4_711 | 4_712 | 9_999));
        assert_eq!(refused, [0, 4_711, 4_712, 9_999]);
        assert_eq!(taken.len(), 9_996);
        assert!(taken.is_sorted());
        assert!(tries <= 2 * 4 * 14 + 1, "{tries}");
        let (refused, _, tries) = tried(1_000, |_| true);
        assert_eq!((refused.len(), tries), (1_000, 1_999));
    }
}
