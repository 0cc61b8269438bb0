//! Reads one error at one instant.

use std::path::PathBuf;

use errsift_ops::{
    event::Payload,
    fingerprint::{Fingerprint, RuleVersion},
    id::{Epoch, Shard},
    tags,
    timestamp::Timestamp,
};
use errsift_pipeline::ports::errors::{ErrorRow, ErrorsFault, ErrorsReader};
use rusqlite::{Connection, Row, params, types::Type};

use super::{Sync, connect, faults::refused, loaded, position};

/// One statement is one snapshot.
const SELECT: &str = "SELECT coalesce(g.epoch, 0), coalesce(c.count, 0), c.first_seen, \
    c.last_seen, d.rule, d.message, d.stack_trace, d.type, d.level, d.service, d.environment, \
    d.\"release\", d.tags \
    FROM (SELECT 1) AS here \
    LEFT JOIN applied_epochs AS g ON g.shard = ?1 AND g.part = ?2 \
    LEFT JOIN error_counts AS c ON c.fingerprint = ?3 \
    LEFT JOIN error_details AS d ON d.fingerprint = ?3";
/// The same, sparing the longest of the columns.
pub const SELECT_WITHOUT_STACK_TRACE: &str = "SELECT coalesce(g.epoch, 0), coalesce(c.count, 0), \
    c.first_seen, c.last_seen, d.rule, d.message, NULL, d.type, d.level, d.service, \
    d.environment, d.\"release\", d.tags \
    FROM (SELECT 1) AS here \
    LEFT JOIN applied_epochs AS g ON g.shard = ?1 AND g.part = ?2 \
    LEFT JOIN error_counts AS c ON c.fingerprint = ?3 \
    LEFT JOIN error_details AS d ON d.fingerprint = ?3";

/// A reading handle.
pub struct Reader {
    path: PathBuf,
    conn: Option<Connection>,
}

impl Reader {
    pub fn new(path: PathBuf) -> Self {
        Self { path, conn: None }
    }

    fn select(&mut self, shard: Shard, fingerprint: &Fingerprint) -> rusqlite::Result<ErrorRow> {
        let conn = match &mut self.conn {
            Some(conn) => conn,
            none => none.insert(connect(&self.path, Sync::Full)?),
        };
        let mut select = conn.prepare_cached(SELECT)?;
        select.query_row(params![shard.0, position(fingerprint.part()), fingerprint.0], error_row)
    }
}

impl ErrorsReader for Reader {
    fn read(&mut self, shard: Shard, fingerprint: &Fingerprint) -> Result<ErrorRow, ErrorsFault> {
        self.select(shard, fingerprint).map_err(|error| {
            self.conn = None;
            refused(&error)
        })
    }
}

/// Columns as `SELECT` has them.
pub fn error_row(row: &Row<'_>) -> rusqlite::Result<ErrorRow> {
    Ok(ErrorRow {
        epoch: Epoch(loaded(row.get(0)?)),
        count: loaded(row.get(1)?),
        first_seen: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis),
        last_seen: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_millis),
        details: match row.get::<_, Option<u16>>(4)? {
            Some(rule) => Some((RuleVersion(rule), payload(row)?)),
            None => None,
        },
    })
}

fn payload(row: &Row<'_>) -> rusqlite::Result<Payload> {
    let tags = tags::from_json(&row.get::<_, String>(12)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(12, Type::Text, Box::new(error))
    })?;
    Ok(Payload {
        message: row.get(5)?,
        stack_trace: row.get(6)?,
        kind: row.get(7)?,
        level: row.get(8)?,
        service: row.get(9)?,
        environment: row.get(10)?,
        release: row.get(11)?,
        tags,
    })
}
