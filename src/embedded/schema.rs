//! The tables of both files, as numbered migrations.

use errsift_ops::id::Shard;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::{BUSY_MAX, faults};
use crate::schema::{PARTS, SchemaFault, SchemaVersion, parts, refuse_newer, refuse_other};

const SHARD: &str = "shard";

/// Migration `n` stands at `n - 1`. One that has been released is never edited.
const ERRORS: &[&str] = &[
    "
    CREATE TABLE errsift_settings (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE error_details (
        fingerprint BLOB NOT NULL PRIMARY KEY,
        rule INTEGER NOT NULL,
        message TEXT NOT NULL,
        stack_trace TEXT,
        type TEXT,
        level TEXT,
        service TEXT,
        environment TEXT,
        \"release\" TEXT,
        tags TEXT NOT NULL
    ) STRICT;
    CREATE TABLE error_counts (
        fingerprint BLOB NOT NULL PRIMARY KEY,
        count INTEGER NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE error_windows (
        window_start INTEGER NOT NULL,
        fingerprint BLOB NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (window_start, fingerprint)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE applied_epochs (
        shard INTEGER NOT NULL,
        part INTEGER NOT NULL,
        term INTEGER NOT NULL DEFAULT 0,
        nonce INTEGER NOT NULL DEFAULT 0,
        epoch INTEGER NOT NULL DEFAULT 0,
        seq INTEGER NOT NULL DEFAULT 0,
        events INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (shard, part)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE dead_letters (
        shard INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        fingerprint BLOB NOT NULL,
        window_start INTEGER NOT NULL,
        count INTEGER NOT NULL,
        reason TEXT NOT NULL,
        payload BLOB,
        PRIMARY KEY (shard, epoch, fingerprint, window_start)
    ) STRICT;
    CREATE VIEW errors AS
        SELECT lower(hex(d.fingerprint)) AS fingerprint, d.rule, d.message, d.stack_trace, d.type,
            d.level, d.service, d.environment, d.\"release\", d.tags,
            coalesce(c.count, 0) AS count,
            strftime('%Y-%m-%dT%H:%M:%fZ', c.first_seen / 1000.0, 'unixepoch') AS first_seen,
            strftime('%Y-%m-%dT%H:%M:%fZ', c.last_seen / 1000.0, 'unixepoch') AS last_seen
        FROM error_details AS d LEFT JOIN error_counts AS c ON c.fingerprint = d.fingerprint;
",
    "
    CREATE INDEX counts_by_count ON error_counts (count, fingerprint);
    CREATE INDEX counts_by_last_seen ON error_counts (last_seen, fingerprint);
    CREATE INDEX counts_by_first_seen ON error_counts (first_seen, fingerprint);
    ALTER TABLE error_details ADD COLUMN stored_at INTEGER;
    CREATE INDEX details_by_service ON error_details (service);
    CREATE INDEX details_by_level ON error_details (level);
    CREATE INDEX details_by_environment ON error_details (environment);
    CREATE INDEX details_by_message ON error_details (substr(message, 1, 64));
",
    // dead letters that are given up stay in the ledger
    "ALTER TABLE applied_epochs ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;",
    // recorded logs, each a shard
    "
    CREATE TABLE replay_sources (
        shard INTEGER NOT NULL PRIMARY KEY CHECK (shard BETWEEN 32768 AND 65535),
        identity BLOB NOT NULL UNIQUE,
        head_bytes INTEGER,
        rules BLOB NOT NULL,
        label TEXT NOT NULL,
        added_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER))
    ) STRICT;
",
];

const JOURNAL: &[&str] = &[
    "
    CREATE TABLE errsift_settings (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE fence (
        shard INTEGER NOT NULL PRIMARY KEY,
        term INTEGER NOT NULL,
        nonce INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        events INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE jobs (seq INTEGER PRIMARY KEY, job BLOB NOT NULL) STRICT;
    CREATE TABLE trimmed (only INTEGER PRIMARY KEY CHECK (only = 0), base INTEGER NOT NULL) STRICT;
    INSERT INTO trimmed (only, base) VALUES (0, 1);
    CREATE TABLE pending (
        epoch INTEGER NOT NULL,
        fingerprint BLOB NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (epoch, fingerprint)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE event_ids (
        position INTEGER PRIMARY KEY,
        received INTEGER NOT NULL,
        ids BLOB NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE holder (
        shard INTEGER NOT NULL PRIMARY KEY,
        term INTEGER NOT NULL,
        nonce INTEGER NOT NULL,
        host TEXT NOT NULL,
        pid_space TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started INTEGER NOT NULL,
        beaten_ms INTEGER NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE dead_jobs (id INTEGER PRIMARY KEY, dead BLOB NOT NULL) STRICT;
    CREATE TABLE dead_together (
        only INTEGER PRIMARY KEY CHECK (only = 0),
        last INTEGER NOT NULL,
        counted INTEGER NOT NULL,
        events INTEGER NOT NULL
    ) STRICT;
    INSERT INTO dead_together (only, last, counted, events) VALUES (0, 0, 0, 0);
    CREATE TABLE recovery (
        only INTEGER PRIMARY KEY CHECK (only = 0),
        starts INTEGER NOT NULL,
        suspect INTEGER NOT NULL,
        accused INTEGER NOT NULL,
        deaths INTEGER NOT NULL
    ) STRICT;
    INSERT INTO recovery (only, starts, suspect, accused, deaths) VALUES (0, 0, 0, 0, 0);
",
];

/// Brings the file of tables up to date and checks its number of parts.
pub fn migrate_errors(conn: &mut Connection) -> Result<SchemaVersion, SchemaFault> {
    migrate(conn, ERRORS, PARTS, &parts())
}

/// Brings the journal's file up to date and checks that it is this shard's.
pub fn migrate_journal(conn: &mut Connection, shard: Shard) -> Result<SchemaVersion, SchemaFault> {
    migrate(conn, JOURNAL, SHARD, &shard.to_string())
}

/// Runs what is missing in one transaction. `name` is the setting that must never change.
fn migrate(
    conn: &mut Connection,
    migrations: &[&str],
    name: &'static str,
    needed: &str,
) -> Result<SchemaVersion, SchemaFault> {
    let transaction =
        conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(busy)?;
    let found = transaction
        .query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get(0))
        .map(SchemaVersion)
        .map_err(fault)?;
    let mut newest = SchemaVersion(0);
    for (statements, number) in migrations.iter().zip(1..) {
        newest = SchemaVersion(number);
        if found < newest {
            transaction.execute_batch(statements).map_err(fault)?;
            transaction.pragma_update(None, "user_version", number).map_err(fault)?;
        }
    }
    refuse_newer(found, newest)?;
    let stored = setting(&transaction, name, needed).map_err(fault)?;
    refuse_other(name, &stored, needed)?;
    transaction.commit().map_err(fault)?;
    Ok(newest)
}

/// The stored value of a setting, which is `needed` from now on if there is none.
fn setting(transaction: &Transaction<'_>, name: &str, needed: &str) -> rusqlite::Result<String> {
    let stored = transaction
        .query_row("SELECT value FROM errsift_settings WHERE name = ?1", [name], |row| row.get(0))
        .optional()?;
    if let Some(stored) = stored {
        return Ok(stored);
    }
    transaction
        .execute("INSERT INTO errsift_settings (name, value) VALUES (?1, ?2)", [name, needed])?;
    Ok(needed.to_owned())
}

fn busy(error: rusqlite::Error) -> SchemaFault {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy) => {
            let waited_seconds = u32::try_from(BUSY_MAX.as_secs()).unwrap_or(u32::MAX);
            SchemaFault::Busy { waited_seconds }
        }
        _ => fault(error),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn fault(error: rusqlite::Error) -> SchemaFault {
    SchemaFault::Store(faults::refused(&error))
}
