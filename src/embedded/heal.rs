//! Giving the journal's file back the flights that it has lost.

use errsift_ops::id::Shard;
use errsift_pipeline::ports::{heal::Heal, journal::Fence};
use rusqlite::{Connection, params};

use super::{fence, loaded, stored};

/// Writes what is missing, within the caller's transaction, and returns the fence as it then
/// stands. If it is not where it was found nothing is written; `None` if the list does not fit it.
pub fn give_back(conn: &Connection, shard: Shard, heal: &Heal) -> rusqlite::Result<Option<Fence>> {
    let found = fence::read(conn, shard)?;
    if found != heal.found {
        return Ok(Some(found));
    }
    if let Some(base) = heal.base {
        conn.execute("DELETE FROM jobs", [])?;
        conn.execute("UPDATE trimmed SET base = ?1", [stored(base.0)])?;
    } else {
        let next = "SELECT coalesce((SELECT max(seq) + 1 FROM jobs), base) FROM trimmed";
        let next: i64 = conn.query_row(next, [], |row| row.get(0))?;
        if loaded(next) != found.seq.next().0 {
            return Ok(None);
        }
    }
    let mut insert = conn.prepare_cached("INSERT INTO jobs (seq, job) VALUES (?1, ?2)")?;
    for recent in &heal.jobs {
        insert.execute(params![stored(recent.after.seq.0), &recent.job[..]])?;
    }
    fence::replace(conn, shard, &heal.after).map(Some)
}
