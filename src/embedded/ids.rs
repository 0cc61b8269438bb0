//! The ids of events whose jobs are trimmed.

use errsift_ops::timestamp::Timestamp;
use errsift_pipeline::ports::journal::JobIds;
use rusqlite::{Connection, params};

use super::stored;

/// Keeps those of `ids` whose last job has not been trimmed, and forgets all from before `since`.
/// To be called in the transaction that trims, before the base moves.
pub fn keep(conn: &Connection, ids: &[JobIds], since: Timestamp) -> rusqlite::Result<()> {
    let mut insert = conn.prepare_cached(
        "INSERT INTO event_ids (received, ids) SELECT ?1, ?2 FROM trimmed WHERE base <= ?3",
    )?;
    for ids in ids {
        let received = ids.received.millis();
        insert.execute(params![received, ids.to_bytes(), stored(ids.seq.0)])?;
    }
    conn.execute("DELETE FROM event_ids WHERE received < ?1", [since.millis()])?;
    Ok(())
}

/// All that are kept, oldest first.
pub fn kept(conn: &Connection) -> rusqlite::Result<Vec<JobIds>> {
    let mut select = conn.prepare_cached("SELECT ids FROM event_ids ORDER BY position")?;
    let rows = select.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    // one that somebody else has put there is no reason not to start
    let kept = rows.filter_map(|bytes| bytes.map(|bytes| JobIds::from_bytes(&bytes)).transpose());
    kept.collect()
}
