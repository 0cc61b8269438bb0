//! The fence row.

use errsift_ops::id::{Epoch, Nonce, Seq, Shard, Term};
use errsift_pipeline::ports::journal::{Commit, Fence};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{loaded, stored};

/// The fence as it stands; all zero before the shard was first taken.
pub fn read(conn: &Connection, shard: Shard) -> rusqlite::Result<Fence> {
    let fence = conn
        .prepare_cached("SELECT term, nonce, seq, epoch, events FROM fence WHERE shard = ?1")?
        .query_row([shard.0], fence)
        .optional()?;
    Ok(fence.unwrap_or_default())
}

/// Puts `new` in place, whoever held it, and returns what then stands there.
pub fn replace(conn: &Connection, shard: Shard, new: &Fence) -> rusqlite::Result<Fence> {
    conn.query_row(
        "INSERT OR REPLACE INTO fence (shard, term, nonce, seq, epoch, events) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING term, nonce, seq, epoch, events",
        params![
            shard.0,
            stored(new.term.0),
            stored(new.nonce.0),
            stored(new.seq.0),
            stored(new.epoch.0),
            stored(new.events)
        ],
        fence,
    )
}

/// Moves the fence by one flight and returns what then stands there; `None` if it was not where
/// the commit is armed for.
pub fn advance(
    conn: &Connection,
    shard: Shard,
    commit: &Commit,
) -> rusqlite::Result<Option<Fence>> {
    let (from, to) = (commit.armed.fence(), &commit.fence);
    conn.prepare_cached(
        "UPDATE fence SET seq = ?1, epoch = ?2, events = ?3 \
         WHERE shard = ?4 AND term = ?5 AND nonce = ?6 AND seq = ?7 \
         RETURNING term, nonce, seq, epoch, events",
    )?
    .query_row(
        params![
            stored(to.seq.0),
            stored(to.epoch.0),
            stored(to.events),
            shard.0,
            stored(from.term.0),
            stored(from.nonce.0),
            stored(from.seq.0)
        ],
        fence,
    )
    .optional()
}

fn fence(row: &Row<'_>) -> rusqlite::Result<Fence> {
    Ok(Fence {
        term: Term(loaded(row.get(0)?)),
        nonce: Nonce(loaded(row.get(1)?)),
        seq: Seq(loaded(row.get(2)?)),
        epoch: Epoch(loaded(row.get(3)?)),
        events: loaded(row.get(4)?),
    })
}
