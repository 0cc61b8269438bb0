//! The recorded logs that the file of tables knows.

use std::path::PathBuf;

use errsift_ops::id::Shard;
use errsift_pipeline::ports::errors::ErrorsFault;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Sync, Turn, connect, faults::refused};
use crate::replay::sources::{HEAD_BYTES, Identity, Source, Sources, Wanted};

const COLUMNS: &str = "SELECT shard, head_bytes, identity, rules FROM replay_sources";
const INSERT: &str = "INSERT OR IGNORE INTO replay_sources \
    (shard, identity, head_bytes, rules, label) \
    SELECT coalesce(max(shard) + 1, ?1), ?2, ?3, ?4, ?5 FROM replay_sources";

/// Asks and adds.
pub struct KnownSources {
    path: PathBuf,
    turn: Turn,
}

impl KnownSources {
    pub fn new(path: PathBuf, turn: Turn) -> Self {
        Self { path, turn }
    }

    fn transact<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ErrorsFault> {
        let _turn = self.turn.take();
        let conn = connect(&self.path, Sync::Full).map_err(|error| refused(&error))?;
        let done = conn.execute_batch("BEGIN IMMEDIATE").and_then(|()| work(&conn));
        // closing the connection rolls back
        let done = done.map_err(|error| refused(&error))?;
        conn.execute_batch("COMMIT").map_err(|error| refused(&error))?;
        Ok(done)
    }
}

impl Sources for KnownSources {
    fn find(&mut self, wanted: &Wanted) -> Result<Option<Source>, ErrorsFault> {
        self.transact(|conn| find(conn, wanted))
    }

    fn set_rules(&mut self, shard: Shard, rules: &[u8; 32]) -> Result<(), ErrorsFault> {
        self.transact(|conn| {
            let update = "UPDATE replay_sources SET rules = ?1 WHERE shard = ?2";
            conn.execute(update, params![rules, shard.0]).map(drop)
        })
    }
}

fn find(conn: &Connection, wanted: &Wanted) -> rusqlite::Result<Option<Source>> {
    let Identity { hash, head_bytes } = wanted.identity;
    if let Some(source) = exact(conn, &hash)? {
        return Ok(Some(source));
    }
    if let Some(head_bytes) = head_bytes {
        let shorter = format!("{COLUMNS} WHERE head_bytes < ?1 ORDER BY head_bytes DESC");
        let mut shorter = conn.prepare(&shorter)?;
        let bytes_max = head_bytes.min(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX));
        let known = shorter.query_map([bytes_max], source)?.collect::<Result<Vec<_>, _>>()?;
        if let Some(found) = wanted.grown_from(&known) {
            let update =
                "UPDATE replay_sources SET identity = ?1, head_bytes = ?2 WHERE shard = ?3";
            conn.execute(update, params![hash, head_bytes, found.shard.0])?;
            return Ok(Some(Source { identity: wanted.identity, ..found }));
        }
    }
    let first = Shard::FIRST_RECORDED.0;
    conn.execute(INSERT, params![first, hash, head_bytes, wanted.rules, wanted.label])?;
    exact(conn, &hash)
}

fn exact(conn: &Connection, hash: &[u8; 32]) -> rusqlite::Result<Option<Source>> {
    let sql = format!("{COLUMNS} WHERE identity = ?1");
    conn.query_row(&sql, [hash], source).optional()
}

fn source(row: &Row<'_>) -> rusqlite::Result<Source> {
    Ok(Source {
        shard: Shard(row.get(0)?),
        identity: Identity { hash: row.get(2)?, head_bytes: row.get(1)? },
        rules: row.get(3)?,
    })
}
