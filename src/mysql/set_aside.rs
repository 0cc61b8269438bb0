//! Applies a range some rows of which the server refuses as data: these become dead letters in the
//! same transaction.

use std::{collections::BTreeMap, fmt::Write as _};

use errsift_ops::id::{Epoch, Part, Shard};
use errsift_pipeline::ports::errors::{
    Added, Applied, Claim, CountRow, DeadLetters, DetailsRow, Range,
};

use super::{
    faults::Failure,
    guards,
    rows::{Frame, push_bytes, push_datetime, push_number, push_text, statements},
    session::Live,
    writer::{add, store},
};
use crate::{
    dead::{Key, Letter, reason},
    halves::Halves,
};

const LETTERS: Frame = Frame {
    head: "INSERT INTO dead_letters \
           (shard, epoch, fingerprint, window_start, `count`, reason, payload) VALUES ",
    tail: " ON DUPLICATE KEY UPDATE reason = VALUES(reason)",
};

/// A dead letter to be written.
struct NewLetter {
    key: Key,
    count: u64,
    reason: String,
    letter: Letter,
}

/// Everything between START TRANSACTION and its end, in halves that are rolled back by themselves
/// where something of them is refused.
pub async fn write(live: &mut Live, claim: &Claim, range: &Range<'_>) -> Result<Applied, Failure> {
    if !guards::advance(live, claim, range).await? {
        return Ok(Applied::GuardMoved);
    }
    // all rows of a fingerprint together: its count is the sum of its windows
    let units: Vec<&[CountRow]> =
        range.rows.chunk_by(|a, b| a.fingerprint == b.fingerprint).collect();
    let mut ends = Vec::with_capacity(units.len() + 1);
    ends.push(0);
    for unit in &units {
        ends.push(ends[ends.len() - 1] + unit.len());
    }
    let (mut letters, mut new_errors) = (Vec::new(), 0);
    let mut halves = Halves::of(units.len());
    while let Some(span) = halves.next() {
        live.run("SAVEPOINT half").await?;
        match add(live, &range.rows[ends[span.start]..ends[span.end]]).await {
            Ok(new) => new_errors += new,
            Err(failure) if failure.is_of_data() => {
                live.run("ROLLBACK TO SAVEPOINT half").await?;
                if let Some(unit) = halves.refused(span) {
                    letters.extend(units[unit].iter().map(|row| count(row, range.upto, &failure)));
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    if !letters.is_empty() {
        insert(live, claim.shard, &letters).await?;
        take_back(live, claim, &letters).await?;
    }
    Ok(Applied::Done(Added { new_errors, dead: sum(&letters) }))
}

fn count(row: &CountRow, epoch: Epoch, failure: &Failure) -> NewLetter {
    let CountRow { fingerprint, window, tally } = *row;
    NewLetter {
        key: Key { epoch, fingerprint, window },
        count: tally.count,
        reason: reason(failure),
        letter: Letter::of(&tally),
    }
}

fn sum(letters: &[NewLetter]) -> DeadLetters {
    let events = letters.iter().map(|letter| letter.count).sum();
    DeadLetters { rows: letters.len() as u64, events }
}

async fn insert(live: &mut Live, shard: Shard, letters: &[NewLetter]) -> Result<(), Failure> {
    let push = |sql: &mut String, new: &NewLetter| {
        let NewLetter { key, count, reason, letter } = new;
        let _ = write!(sql, "{shard},{},", key.epoch);
        push_bytes(sql, &key.fingerprint.0);
        sql.push(',');
        push_datetime(sql, key.window.start());
        sql.push(',');
        push_number(sql, *count);
        sql.push(',');
        push_text(sql, reason);
        sql.push(',');
        push_bytes(sql, letter.to_json().as_bytes());
    };
    for sql in statements(LETTERS, live.statement_bytes_max(), letters.iter(), push) {
        live.run(&sql).await?;
    }
    Ok(())
}

/// The guard rows came first, with all of the range's events: those set aside are not counted.
async fn take_back(live: &mut Live, claim: &Claim, letters: &[NewLetter]) -> Result<(), Failure> {
    let mut parts: BTreeMap<Part, u64> = BTreeMap::new();
    for letter in letters {
        *parts.entry(letter.key.fingerprint.part()).or_default() += letter.count;
    }
    let parts: Vec<_> = parts.into_iter().collect();
    if guards::change_events(live, claim.shard, guards::Change::TakeBack, &parts).await? {
        return Ok(());
    }
    Err(Failure::Value("guard rows are gone in the middle of a transaction".to_owned()))
}

/// Stores words, some of which the server refuses as data: these become dead letters. Storing again
/// what is stored changes nothing, so this is no transaction.
pub async fn store_words(
    live: &mut Live,
    shard: Shard,
    rows: &[(&DetailsRow, String)],
) -> Result<DeadLetters, Failure> {
    let mut letters = Vec::new();
    let mut halves = Halves::of(rows.len());
    while let Some(span) = halves.next() {
        match store(live, &rows[span.clone()]).await {
            Ok(()) => {}
            Err(failure) if failure.is_of_data() => {
                if let Some(at) = halves.refused(span) {
                    let (fingerprint, details) = rows[at].0;
                    letters.push(NewLetter {
                        key: Key::of_words(*fingerprint),
                        count: 0,
                        reason: reason(&failure),
                        letter: Letter::Words(details.clone()),
                    });
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    insert(live, shard, &letters).await?;
    Ok(sum(&letters))
}
