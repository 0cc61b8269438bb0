//! Rows of a range, folded over windows.

use errsift_ops::{fingerprint::Fingerprint, tally::Tally};
use errsift_pipeline::ports::errors::CountRow;

/// One tally per fingerprint, in order: counts summed, spans widened. `rows` are sorted by
/// fingerprint.
pub fn totals(rows: &[CountRow]) -> impl Iterator<Item = (Fingerprint, Tally)> {
    rows.chunk_by(|a, b| a.fingerprint == b.fingerprint).filter_map(|same| {
        let (first, rest) = same.split_first()?;
        let mut total = first.tally;
        for row in rest {
            total.fold(&row.tally);
        }
        Some((first.fingerprint, total))
    })
}
