//! The holder's mark: a row that runs out.

use errsift_ops::id::{Nonce, Shard, Term};
use errsift_pipeline::ports::holder::{Beat, Holder, MARK_MAX, Place};
use rusqlite::{Connection, OptionalExtension, params};

use super::{fence, loaded, stored};

/// Now, in milliseconds, by the clock of whoever asks: all who use the file are on one machine.
const NOW_MS: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// Writes the mark if the fence is still the holder's.
pub fn beat(conn: &Connection, shard: Shard, mark: &Holder) -> rusqlite::Result<Beat> {
    let Holder { term, nonce, place } = mark;
    let fence = fence::read(conn, shard)?;
    if (fence.term, fence.nonce) != (*term, *nonce) {
        return Ok(Beat::Fenced(fence));
    }
    conn.prepare_cached(&format!(
        "INSERT OR REPLACE INTO holder \
         (shard, term, nonce, host, pid_space, pid, started, beaten_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, {NOW_MS})"
    ))?
    .execute(params![
        shard.0,
        stored(term.0),
        stored(nonce.0),
        place.host,
        place.pid_space,
        place.pid,
        stored(place.started)
    ])?;
    Ok(Beat::Held)
}

/// The mark; of a file that has no table for it yet, none. A clock that was set back does not make
/// a mark hold longer: one from the future counts by its distance.
pub fn read(conn: &Connection, shard: Shard) -> rusqlite::Result<Option<Holder>> {
    if !conn.table_exists(None, "holder")? {
        return Ok(None);
    }
    let mark_ms = i64::try_from(MARK_MAX.as_millis()).unwrap_or(i64::MAX);
    conn.prepare_cached(&format!(
        "SELECT term, nonce, host, pid_space, pid, started FROM holder \
         WHERE shard = ?1 AND abs({NOW_MS} - beaten_ms) < ?2"
    ))?
    .query_row(params![shard.0, mark_ms], |row| {
        let place = Place {
            host: row.get(2)?,
            pid_space: row.get(3)?,
            pid: row.get(4)?,
            started: loaded(row.get(5)?),
        };
        Ok(Holder { term: Term(loaded(row.get(0)?)), nonce: Nonce(loaded(row.get(1)?)), place })
    })
    .optional()
}

/// Takes the mark away if it is the holder's.
pub fn release(conn: &Connection, shard: Shard, mark: &Holder) -> rusqlite::Result<()> {
    conn.execute(
        "DELETE FROM holder WHERE shard = ?1 AND term = ?2 AND nonce = ?3",
        params![shard.0, stored(mark.term.0), stored(mark.nonce.0)],
    )?;
    Ok(())
}
