//! Walks dead letters, page by page.

use errsift_ops::fingerprint::Fingerprint;
use errsift_pipeline::ports::errors::{DeadLetters, ErrorsFault};
use serde_json::{Value, json};

use super::Fault;
use crate::dead::{DeadRow, DeadRows, Letter, WORDS};

/// Hands each letter to `each`, in order: those of one error, or all. What is set aside meanwhile
/// may be left out.
pub fn walk(
    rows: &mut dyn DeadRows,
    of: Option<&Fingerprint>,
    each: &mut dyn FnMut(&mut dyn DeadRows, &DeadRow) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut after = None;
    loop {
        let page: Vec<DeadRow> = rows.page(after.as_ref(), of).map_err(Fault::from)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.key);
        for row in &page {
            each(rows, row)?;
        }
    }
}

/// The same for some errors, one after the other, or for all.
pub fn walk_chosen(
    rows: &mut dyn DeadRows,
    chosen: Option<&[Fingerprint]>,
    each: &mut dyn FnMut(&mut dyn DeadRows, &DeadRow) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let Some(fingerprints) = chosen else { return walk(rows, None, each) };
    for fingerprint in fingerprints {
        walk(rows, Some(fingerprint), each)?;
    }
    Ok(())
}

/// What a letter is of: `row` for counts, `words` for an error's words.
pub fn kind(row: &DeadRow) -> &'static str {
    if row.key.epoch == WORDS { "words" } else { "row" }
}

/// A letter's share in a sum.
pub fn share(row: &DeadRow) -> DeadLetters {
    DeadLetters { rows: 1, events: row.count }
}

/// All of a letter but an error's words.
pub fn to_json(row: &DeadRow) -> Value {
    let seen = row.letter.as_ref().ok().and_then(Letter::seen);
    let is_of_counts = row.key.epoch != WORDS;
    json!({
        "kind": kind(row),
        "epoch": is_of_counts.then_some(row.key.epoch.0),
        "fingerprint": row.key.fingerprint.to_string(),
        "window": is_of_counts.then(|| row.key.window.start().to_string()),
        "count": row.count,
        "first_seen": seen.map(|(first, _)| first.to_string()),
        "last_seen": seen.map(|(_, last)| last.to_string()),
        "reason": row.reason,
    })
}

/// Asks again a few times where that may help.
pub fn patiently<T>(mut ask: impl FnMut() -> Result<T, ErrorsFault>) -> Result<T, ErrorsFault> {
    for pause_ms in [50, 200, 800, 3_200] {
        match ask() {
            Err(ErrorsFault::Transient(_) | ErrorsFault::Unknown(_)) => {
                std::thread::sleep(std::time::Duration::from_millis(pause_ms));
            }
            settled => return settled,
        }
    }
    ask()
}
