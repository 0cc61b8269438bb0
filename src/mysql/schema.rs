//! The tables, as numbered migrations.
//!
//! DDL commits by itself, so a migration can be cut short anywhere: each statement can be run
//! again, and the version is written last.

use std::ops::RangeInclusive;

use super::{
    faults::{Failure, NO_TABLE, THERE_ALREADY},
    session::{Live, column},
};
use crate::{
    check::{Check, Verdict},
    schema::{PARTS, SchemaFault, SchemaVersion, Stand, parts, refuse_newer, refuse_other},
};

/// How long to wait for another server's migration, in seconds; shorter than a statement may take.
const LOCK_SECONDS: u32 = 20;
/// The lock is the server's, so its name says the database; a lock's name has at most 64 bytes. MySQL
/// 9.7 has no MD5.
const LOCK_NAME: &str = "CONCAT('errsift ', LEFT(SHA2(DATABASE(), 256), 32))";

/// A change of a table waits at its end for all transactions that have read it, like a back-up's. It
/// has then built its indexes, and giving up would throw them away.
const PATIENCE: &str = "SET SESSION lock_wait_timeout = 3600";

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version INT NOT NULL PRIMARY KEY,
    applied_at DATETIME(3) NOT NULL
) ENGINE=InnoDB";

/// What lists of errors are read by; built beside reading and writing.
pub const COUNTS_INDEXES: &str =
    "ALTER TABLE error_counts ADD INDEX by_count (`count`, fingerprint),
            ADD INDEX by_last_seen (last_seen, fingerprint),
            ADD INDEX by_first_seen (first_seen, fingerprint), ALGORITHM=INPLACE, LOCK=NONE";
/// The same, of words.
pub const DETAILS_INDEXES: &str = "ALTER TABLE error_details ADD INDEX by_stored_at (stored_at),
            ADD INDEX by_service (service), ADD INDEX by_level (`level`),
            ADD INDEX by_environment (environment), ADD INDEX by_message (message(64)),
            ALGORITHM=INPLACE, LOCK=NONE";

/// Migration `n` stands at `n - 1`. One that has been released is never edited.
const MIGRATIONS: &[&[&str]] = &[
    &[
        "CREATE TABLE IF NOT EXISTS errsift_settings (
        name VARCHAR(64) NOT NULL PRIMARY KEY,
        value VARCHAR(255) NOT NULL
    ) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "CREATE TABLE IF NOT EXISTS error_details (
        fingerprint BINARY(32) NOT NULL PRIMARY KEY,
        `rule` SMALLINT UNSIGNED NOT NULL,
        message TEXT NOT NULL,
        stack_trace MEDIUMTEXT NULL,
        `type` VARCHAR(255) NULL,
        `level` VARCHAR(255) NULL,
        service VARCHAR(255) NULL,
        environment VARCHAR(255) NULL,
        `release` VARCHAR(255) NULL,
        tags MEDIUMTEXT NOT NULL
    ) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "CREATE TABLE IF NOT EXISTS error_counts (
        fingerprint BINARY(32) NOT NULL PRIMARY KEY,
        `count` BIGINT UNSIGNED NOT NULL,
        first_seen DATETIME(3) NOT NULL,
        last_seen DATETIME(3) NOT NULL
    ) ENGINE=InnoDB",
        "CREATE TABLE IF NOT EXISTS error_windows (
        window_start DATETIME NOT NULL,
        fingerprint BINARY(32) NOT NULL,
        `count` BIGINT UNSIGNED NOT NULL,
        PRIMARY KEY (window_start, fingerprint)
    ) ENGINE=InnoDB",
        "CREATE TABLE IF NOT EXISTS applied_epochs (
        shard SMALLINT UNSIGNED NOT NULL,
        part TINYINT UNSIGNED NOT NULL,
        term BIGINT UNSIGNED NOT NULL DEFAULT 0,
        nonce BIGINT UNSIGNED NOT NULL DEFAULT 0,
        connection_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
        epoch BIGINT UNSIGNED NOT NULL DEFAULT 0,
        seq BIGINT UNSIGNED NOT NULL DEFAULT 0,
        events BIGINT UNSIGNED NOT NULL DEFAULT 0,
        PRIMARY KEY (shard, part)
    ) ENGINE=InnoDB",
        "CREATE TABLE IF NOT EXISTS dead_letters (
        shard SMALLINT UNSIGNED NOT NULL,
        epoch BIGINT UNSIGNED NOT NULL,
        fingerprint BINARY(32) NOT NULL,
        window_start DATETIME NOT NULL,
        `count` BIGINT UNSIGNED NOT NULL,
        reason TEXT NOT NULL,
        payload LONGBLOB NULL,
        PRIMARY KEY (shard, epoch, fingerprint, window_start)
    ) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "CREATE OR REPLACE SQL SECURITY INVOKER VIEW errors AS
        SELECT LOWER(HEX(d.fingerprint)) AS fingerprint, d.`rule`, d.message, d.stack_trace,
            d.`type`, d.`level`, d.service, d.environment, d.`release`, d.tags,
            COALESCE(c.`count`, 0) AS `count`, c.first_seen, c.last_seen
        FROM error_details AS d LEFT JOIN error_counts AS c ON c.fingerprint = d.fingerprint",
    ],
    &[
        COUNTS_INDEXES,
        // two steps: rows that are there keep NULL, and none is rewritten
        "ALTER TABLE error_details ADD COLUMN stored_at DATETIME(3) NULL",
        "ALTER TABLE error_details ALTER COLUMN stored_at SET DEFAULT (CURRENT_TIMESTAMP(3))",
        DETAILS_INDEXES,
    ],
    // dead letters that are given up stay in the ledger
    &["ALTER TABLE applied_epochs ADD COLUMN dropped BIGINT UNSIGNED NOT NULL DEFAULT 0"],
    // recorded logs, each a shard
    &["CREATE TABLE IF NOT EXISTS replay_sources (
        shard SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
        identity BINARY(32) NOT NULL,
        head_bytes INT UNSIGNED NULL,
        rules BINARY(32) NOT NULL,
        label TEXT NOT NULL,
        added_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
        UNIQUE KEY by_identity (identity),
        KEY by_head_bytes (head_bytes)
    ) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"],
];

#[expect(clippy::cast_possible_truncation, reason = "a handful")]
pub const NEWEST: SchemaVersion = SchemaVersion(MIGRATIONS.len() as u32);

const FOUND: &str = "SELECT CAST(MAX(version) AS UNSIGNED) FROM schema_migrations";

/// Applies what is missing, one server at a time.
pub async fn migrate(live: &mut Live) -> Result<Result<SchemaVersion, SchemaFault>, Failure> {
    alone(live, migrate_alone).await
}

/// Makes the tables of an empty database without the indexes, which take less time to build than to
/// keep while rows come in great numbers, and leaves the version at 1: whoever migrates next finds
/// all but them, and adds them. A database that is not empty is migrated.
pub async fn begin(live: &mut Live) -> Result<Result<Stand, SchemaFault>, Failure> {
    alone(live, begin_alone).await
}

/// Builds some of the indexes, unless they are there.
pub async fn build(live: &mut Live, indexes: &str) -> Result<(), Failure> {
    live.run(PATIENCE).await?;
    run(live, indexes).await
}

/// Says that tables that were [begun](begin) here, and whose indexes are built, lack nothing.
pub async fn complete(live: &mut Live) -> Result<Result<SchemaVersion, SchemaFault>, Failure> {
    alone(live, async |live| {
        settle(live, 2..=NEWEST.0).await?;
        Ok(refused(live, NEWEST).await?.map(|()| NEWEST))
    })
    .await
}

/// Has one server at a time change the schema.
async fn alone<T>(
    live: &mut Live,
    change: impl AsyncFnOnce(&mut Live) -> Result<Result<T, SchemaFault>, Failure>,
) -> Result<Result<T, SchemaFault>, Failure> {
    let lock = format!("SELECT COALESCE(GET_LOCK({LOCK_NAME}, {LOCK_SECONDS}), 0)");
    if number(live, &lock).await? != Some(1) {
        return Ok(Err(SchemaFault::Busy { waited_seconds: LOCK_SECONDS }));
    }
    // a failure drops the connection, and the lock with it
    live.run(PATIENCE).await?;
    let outcome = change(live).await?;
    live.query(&format!("SELECT RELEASE_LOCK({LOCK_NAME})")).await?;
    Ok(outcome)
}

async fn begin_alone(live: &mut Live) -> Result<Result<Stand, SchemaFault>, Failure> {
    if found(live).await?.is_some() {
        return Ok(migrate_alone(live).await?.map(|_| Stand::UpToDate));
    }
    let statements = MIGRATIONS.iter().copied().flatten();
    for statement in statements.filter(|sql| ![COUNTS_INDEXES, DETAILS_INDEXES].contains(sql)) {
        run(live, statement).await?;
    }
    settle(live, 1..=1).await?;
    Ok(refused(live, SchemaVersion(1)).await?.map(|()| Stand::Behind))
}

async fn migrate_alone(live: &mut Live) -> Result<Result<SchemaVersion, SchemaFault>, Failure> {
    let found = found(live).await?;
    for (statements, number) in MIGRATIONS.iter().zip(1..) {
        let version = SchemaVersion(number);
        if found.is_some_and(|found| found >= version) {
            continue;
        }
        for statement in *statements {
            run(live, statement).await?;
        }
        settle(live, number..=number).await?;
        tracing::info!(version = number, "schema migrated");
    }
    Ok(refused(live, found.unwrap_or_default()).await?.map(|()| NEWEST))
}

/// Runs a change of the schema, unless it was made before.
async fn run(live: &mut Live, statement: &str) -> Result<(), Failure> {
    match live.run_long(statement).await {
        Err(failure) if failure.code().is_some_and(|code| THERE_ALREADY.contains(&code)) => Ok(()),
        outcome => outcome,
    }
}

/// How the schema stands, unless it is one to refuse.
pub async fn look(live: &mut Live) -> Result<Result<Stand, SchemaFault>, Failure> {
    let found = match number(live, FOUND).await {
        Err(failure) if failure.code() == Some(NO_TABLE) => None,
        outcome => outcome?.map(SchemaVersion),
    };
    let Some(found) = found else { return Ok(Ok(Stand::Absent)) };
    let stand = if found < NEWEST { Stand::Behind } else { Stand::UpToDate };
    Ok(refused(live, found).await?.map(|()| stand))
}

async fn refused(
    live: &mut Live,
    found: SchemaVersion,
) -> Result<Result<(), SchemaFault>, Failure> {
    if let Err(fault) = refuse_newer(found, NEWEST) {
        return Ok(Err(fault));
    }
    let rows =
        live.query(&format!("SELECT value FROM errsift_settings WHERE name = '{PARTS}'")).await?;
    let stored: String = rows.first().map_or(Ok(String::new()), |row| column(row, 0))?;
    Ok(refuse_other(PARTS, &stored, &parts()))
}

/// Whether a migration is due. Without the privilege to look, none is.
pub async fn is_behind(live: &mut Live) -> Result<bool, Failure> {
    match number(live, FOUND).await {
        Ok(found) => Ok(found.is_none_or(|found| found < NEWEST.0)),
        Err(failure) if failure.code() == Some(NO_TABLE) => Ok(true),
        Err(Failure::Server(_)) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// The schema's version as it is found.
pub async fn check(live: &mut Live) -> Result<Check, Failure> {
    let known = NEWEST;
    let (value, verdict) = match number(live, FOUND).await {
        Ok(Some(found)) if found > known.0 => {
            (format!("{found}, newer than {known}"), Verdict::Wrong)
        }
        Ok(Some(found)) if found < known.0 => {
            (format!("{found}, made {known} after start"), Verdict::Ok)
        }
        Ok(Some(found)) => (found.to_string(), Verdict::Ok),
        Err(Failure::Server(error)) if error.code != NO_TABLE => (String::new(), Verdict::Unknown),
        Ok(None) | Err(Failure::Server(_)) => (format!("none, made {known} at start"), Verdict::Ok),
        Err(failure) => return Err(failure),
    };
    Ok(Check::new("schema", value, verdict, "run a newer errsift"))
}

/// Writes what migrations leave behind besides tables.
async fn settle(live: &mut Live, versions: RangeInclusive<u32>) -> Result<(), Failure> {
    if versions.contains(&1) {
        let parts = parts();
        live.run(&format!(
            "INSERT IGNORE INTO errsift_settings (name, value) VALUES ('{PARTS}', '{parts}')"
        ))
        .await?;
    }
    let rows: Vec<String> =
        versions.map(|version| format!("({version}, UTC_TIMESTAMP(3))")).collect();
    live.run(&format!(
        "INSERT IGNORE INTO schema_migrations (version, applied_at) VALUES {}",
        rows.join(",")
    ))
    .await?;
    Ok(())
}

/// The version found; `None` in an empty database. The table is made only when it is missing, so
/// that a user without the right to create can run on a schema that is up to date.
async fn found(live: &mut Live) -> Result<Option<SchemaVersion>, Failure> {
    let found = match number(live, FOUND).await {
        Err(failure) if failure.code() == Some(NO_TABLE) => {
            live.run(VERSIONS).await?;
            None
        }
        outcome => outcome?,
    };
    Ok(found.map(SchemaVersion))
}

async fn number(live: &mut Live, sql: &str) -> Result<Option<u32>, Failure> {
    match live.query(sql).await?.first() {
        Some(row) => column(row, 0),
        None => Ok(None),
    }
}
