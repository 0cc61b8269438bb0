//! Giving a journal its last flights back, after it came back without them.

use bytes::Bytes;
use errsift_ops::id::Seq;

use super::journal::Fence;

/// Jobs given back by one transaction.
const PIECE_JOBS_MAX: usize = 1_000;
/// Bytes of them, but at least one job.
const PIECE_BYTES_MAX: usize = 1024 * 1024;

/// A flight that was executed not long ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The fence once it was executed, and once it is back.
    pub after: Fence,
    /// The encoded job, as it was executed.
    pub job: Bytes,
}

/// What a journal lacks, and the fence that tells.
#[derive(Clone, Debug)]
pub struct Heal {
    /// The fence as it was found; nothing is written unless it still stands so.
    pub found: Fence,
    /// The fence that is to stand afterwards: that of this writer's last executed flight.
    pub after: Fence,
    /// Where the list begins, if it is replaced: every part has all that came before, so whatever
    /// the list holds may go. If `None`, the list is kept and goes on after `found`.
    pub base: Option<Seq>,
    /// The missing jobs in order up to `after`'s, without a gap.
    pub jobs: Vec<Recent>,
}

impl Heal {
    /// The jobs in pieces small enough for one transaction each, with the fence after each piece,
    /// so that a crash between two leaves fence and list consistent. There is at least one.
    pub fn pieces(&self) -> Vec<(Fence, &[Recent])> {
        let mut pieces = Vec::new();
        let mut rest = &self.jobs[..];
        while let Some(first) = rest.first() {
            let mut bytes = first.job.len();
            let more = rest[1..].iter().take(PIECE_JOBS_MAX - 1).take_while(|recent| {
                bytes += recent.job.len();
                bytes <= PIECE_BYTES_MAX
            });
            let (piece, after) = rest.split_at(1 + more.count());
            pieces.extend(piece.last().map(|last| (last.after, piece)));
            rest = after;
        }
        if pieces.is_empty() {
            pieces.push((self.after, rest));
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heal(sizes: &[usize]) -> Heal {
        let jobs = sizes.iter().zip(1..).map(|(size, seq)| Recent {
            after: Fence { seq: Seq(seq), ..Fence::default() },
            job: Bytes::from(vec![0; *size]),
        });
        let after = Fence { seq: Seq(sizes.len() as u64), ..Fence::default() };
        Heal { found: Fence::default(), after, base: None, jobs: jobs.collect() }
    }

    fn sizes(heal: &Heal) -> Vec<(u64, usize)> {
        heal.pieces().into_iter().map(|(after, piece)| (after.seq.0, piece.len())).collect()
    }

    #[test]
    fn pieces_are_bounded_and_each_ends_at_its_fence() {
        assert_eq!(sizes(&heal(&[])), [(0, 0)]);
        assert_eq!(sizes(&heal(&[1, 2, 3])), [(3, 3)]);
        let half = PIECE_BYTES_MAX / 2;
        assert_eq!(sizes(&heal(&[half, half, 1, 3 * half, 1])), [(2, 2), (3, 1), (4, 1), (5, 1)]);
        assert_eq!(
            sizes(&heal(&[1; 2 * PIECE_JOBS_MAX + 1])),
            [(1_000, 1_000), (2_000, 1_000), (2_001, 1)]
        );
    }
}
