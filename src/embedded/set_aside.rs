//! Adds what a file takes, and sets aside what it refuses as data.
//!
//! Nothing travels to a server here, so what is refused is found one fingerprint at a time and not
//! by halves, after the whole was refused.

use errsift_ops::id::{Epoch, Shard};
use errsift_pipeline::ports::errors::{Added, CountRow, DeadLetters, DetailsRow, Range};
use rusqlite::{Connection, Error, params};

use super::{faults::is_of_data, position, stored, writer};
use crate::dead::{Key, Letter, reason};

const LETTER: &str = "INSERT INTO dead_letters \
    (shard, epoch, fingerprint, window_start, count, reason, payload) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
    ON CONFLICT (shard, epoch, fingerprint, window_start) DO UPDATE SET reason = excluded.reason";

/// Adds a range whose guards have moved already.
pub fn add(conn: &Connection, shard: Shard, range: &Range<'_>) -> rusqlite::Result<Added> {
    let mut dead = DeadLetters::default();
    if let Ok(new_errors) = attempt(conn, || writer::add(conn, range.rows))? {
        return Ok(Added { new_errors, dead });
    }
    let mut new_errors = 0;
    for rows in range.rows.chunk_by(|a, b| a.fingerprint == b.fingerprint) {
        // all rows of a fingerprint together: its count is the sum of its windows
        let error = match attempt(conn, || writer::add(conn, rows))? {
            Ok(new) => {
                new_errors += new;
                continue;
            }
            Err(error) => error,
        };
        for row in rows {
            let CountRow { fingerprint, window, tally } = *row;
            let key = Key { epoch: range.upto, fingerprint, window };
            insert(conn, shard, &key, tally.count, &error, &Letter::of(&tally))?;
            dead.add(DeadLetters { rows: 1, events: tally.count });
        }
        take_back(conn, shard, rows)?;
    }
    Ok(Added { new_errors, dead })
}

/// Stores words one by one: each of those that are refused becomes a dead letter.
pub fn store_words(
    conn: &Connection,
    shard: Shard,
    rows: &[DetailsRow],
) -> rusqlite::Result<DeadLetters> {
    let mut dead = DeadLetters::default();
    for row in rows {
        let Err(error) = attempt(conn, || writer::store(conn, row))? else { continue };
        let (fingerprint, details) = row;
        let key = Key::of_words(*fingerprint);
        insert(conn, shard, &key, 0, &error, &Letter::Words(details.clone()))?;
        dead.rows += 1;
    }
    Ok(dead)
}

/// Does `work` whole or not at all. The inner error is about data.
pub fn attempt<T>(
    conn: &Connection,
    work: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<Result<T, Error>> {
    conn.prepare_cached("SAVEPOINT attempt")?.execute([])?;
    let done = match work() {
        Ok(done) => Ok(done),
        // a trigger may have ended the whole transaction, and nothing may be written after that
        Err(error) if is_of_data(&error) && !conn.is_autocommit() => {
            conn.prepare_cached("ROLLBACK TO attempt")?.execute([])?;
            Err(error)
        }
        Err(error) => return Err(error),
    };
    conn.prepare_cached("RELEASE attempt")?.execute([])?;
    Ok(done)
}

fn insert(
    conn: &Connection,
    shard: Shard,
    key: &Key,
    count: u64,
    error: &Error,
    letter: &Letter,
) -> rusqlite::Result<()> {
    let Key { epoch: Epoch(epoch), fingerprint, window } = *key;
    conn.prepare_cached(LETTER)?.execute(params![
        shard.0,
        stored(epoch),
        fingerprint.0,
        window.start().millis(),
        stored(count),
        reason(error),
        letter.to_json().into_bytes(),
    ])?;
    Ok(())
}

/// The guard row came first, with all of the range's events: those set aside are not counted.
fn take_back(conn: &Connection, shard: Shard, rows: &[CountRow]) -> rusqlite::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let events: u64 = rows.iter().map(|row| row.tally.count).sum();
    let update = "UPDATE applied_epochs SET events = events - ?1 WHERE shard = ?2 AND part = ?3";
    let part = position(first.fingerprint.part());
    conn.prepare_cached(update)?.execute(params![stored(events), shard.0, part])?;
    Ok(())
}
