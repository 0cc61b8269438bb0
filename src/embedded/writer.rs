//! Writes details, counts and windows.

use std::path::{Path, PathBuf};

use errsift_ops::{
    id::{Epoch, Nonce, Part, Seq, Shard, Term},
    tags,
};
use errsift_pipeline::{
    failpoints,
    ports::errors::{
        Applied, Claim, CountRow, DeadLetters, DetailsRow, ErrorsFault, ErrorsWriter, Guard,
        Guards, Range, Settled,
    },
};
use rusqlite::{Connection, Error, ErrorCode, Row, params};

use super::{
    LOG_BYTES_MAX, Sync, Turn, connect, faults::refused, loaded, position, set_aside, stored,
};
use crate::totals::totals;

// not OR IGNORE, which would lose words that a constraint refuses, unseen
const DETAILS: &str = "INSERT INTO error_details (fingerprint, rule, message, \
    stack_trace, type, level, service, environment, \"release\", tags, stored_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
    CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)) ON CONFLICT (fingerprint) DO NOTHING";
const GUARD: &str = "UPDATE applied_epochs SET epoch = ?1, seq = ?2, events = events + ?3 \
    WHERE shard = ?4 AND part = ?5 AND term = ?6 AND nonce = ?7 AND epoch = ?8";
const COUNT: &str = "INSERT INTO error_counts (fingerprint, count, first_seen, last_seen) \
    VALUES (?1, ?2, ?3, ?4) ON CONFLICT (fingerprint) DO UPDATE SET \
    count = count + excluded.count, first_seen = min(first_seen, excluded.first_seen), \
    last_seen = max(last_seen, excluded.last_seen) RETURNING count";
const WINDOW: &str = "INSERT INTO error_windows (window_start, fingerprint, count) \
    VALUES (?1, ?2, ?3) ON CONFLICT (window_start, fingerprint) DO UPDATE SET \
    count = count + excluded.count";

/// A writing handle.
pub struct Writer {
    path: PathBuf,
    turn: Turn,
    conn: Option<Connection>,
}

impl Writer {
    pub fn new(path: PathBuf, turn: Turn) -> Self {
        Self { path, turn, conn: None }
    }

    /// One transaction: committed if `work` says so, else rolled back.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<(T, bool), ErrorsFault>,
    ) -> Result<T, ErrorsFault> {
        let turn = self.turn.clone();
        let _turn = turn.take();
        let conn = connected(&mut self.conn, &self.path)?;
        let outcome = transact(conn, work);
        if outcome.is_ok() {
            shorten_log(conn, &self.path);
        }
        // after a fault, whatever state the connection is in goes with it
        if outcome.is_err() {
            self.conn = None;
        }
        outcome
    }

    /// Reads what is committed, in one snapshot. It takes no turn and no lock: whoever holds the
    /// file, for as long as he likes, holds up nobody who only looks.
    fn read<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ErrorsFault> {
        let conn = connected(&mut self.conn, &self.path)?;
        let outcome = conn.execute_batch("BEGIN").and_then(|()| work(conn)).and_then(|done| {
            conn.execute_batch("COMMIT")?;
            Ok(done)
        });
        outcome.map_err(|error| {
            self.conn = None;
            refused(&error)
        })
    }
}

fn connected<'a>(
    conn: &'a mut Option<Connection>,
    path: &Path,
) -> Result<&'a mut Connection, ErrorsFault> {
    match conn {
        Some(conn) => Ok(conn),
        none => Ok(none.insert(connect(path, Sync::Full).map_err(|error| refused(&error))?)),
    }
}

/// Empties the file's log when it has grown long. By itself `SQLite` begins it anew only at a
/// moment without readers, and readers that overlap leave none; asked to, it waits for those that
/// are there, and the next read from the file itself. If they take too long, so does the log.
fn shorten_log(conn: &Connection, path: &Path) {
    let log = format!("{}-wal", path.display());
    let bytes = std::fs::metadata(log).map_or(0, |log| log.len());
    if bytes <= LOG_BYTES_MAX.unsigned_abs() {
        return;
    }
    let emptied = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    match emptied {
        Ok(0) => tracing::debug!(bytes, "log emptied"),
        Ok(_) => tracing::debug!(bytes, "log kept by readers"),
        Err(fault) => tracing::debug!(bytes, %fault, "log not emptied"),
    }
}

fn transact<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<(T, bool), ErrorsFault>,
) -> Result<T, ErrorsFault> {
    conn.execute_batch("BEGIN IMMEDIATE").map_err(|error| refused(&error))?;
    let (done, keep) = match work(conn) {
        Ok(outcome) => outcome,
        Err(fault) => {
            // closing the connection, as the caller does, has the same effect
            let _ = conn.execute_batch("ROLLBACK");
            return Err(fault);
        }
    };
    if !keep {
        conn.execute_batch("ROLLBACK").map_err(|error| refused(&error))?;
        return Ok(done);
    }
    conn.execute_batch("COMMIT").map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy) => refused(&error),
        _ => ErrorsFault::Unknown(error.to_string()),
    })?;
    Ok(done)
}

impl ErrorsWriter for Writer {
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault> {
        let Claim { shard, term, nonce } = *claim;
        self.transact(|conn| {
            let taken = || -> rusqlite::Result<Guards> {
                let mut insert = conn.prepare_cached(
                    "INSERT OR IGNORE INTO applied_epochs (shard, part) VALUES (?1, ?2)",
                )?;
                for part in Part::all() {
                    insert.execute(params![shard.0, position(part)])?;
                }
                conn.execute(
                    "UPDATE applied_epochs SET term = ?1, nonce = ?2 WHERE shard = ?3 AND term < ?1",
                    params![stored(term.0), stored(nonce.0), shard.0],
                )?;
                read_guards(conn, shard)
            };
            taken().map(|guards| (guards, true)).map_err(|error| refused(&error))
        })
    }

    fn insert_details(
        &mut self,
        shard: Shard,
        rows: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault> {
        self.transact(|conn| {
            let stored = set_aside::store_words(conn, shard, rows);
            stored.map(|dead| (dead, true)).map_err(|error| refused(&error))
        })
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        if range.parts.is_empty() {
            return Err(ErrorsFault::Denied("a range without parts has no guard".to_owned()));
        }
        // the words are another writer's, and of a file there is one at a time
        if !range.words.wait() {
            return Ok(Applied::WordsLate);
        }
        self.transact(|conn| {
            let advanced = advance(conn, claim, range).map_err(|error| refused(&error))?;
            if !advanced {
                return Ok((Applied::GuardMoved, false));
            }
            failpoints::pass("apply_guarded");
            let added = set_aside::add(conn, claim.shard, range);
            let added = added.map_err(|error| refused(&error))?;
            failpoints::pass("apply_commit");
            Ok((Applied::Done(added), true))
        })
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        self.read(|conn| read_guards(conn, shard))
    }

    fn settled(&mut self, shard: Shard) -> Result<Settled, ErrorsFault> {
        self.read(|conn| settled(conn, shard))
    }
}

/// Moves the guards; `false` if one was not where the range says.
fn advance(conn: &Connection, claim: &Claim, range: &Range<'_>) -> rusqlite::Result<bool> {
    let mut update = conn.prepare_cached(GUARD)?;
    for step in range.parts {
        let changed = update.execute(params![
            stored(range.upto.0),
            stored(range.seq.0),
            stored(step.events),
            claim.shard.0,
            position(step.part),
            stored(claim.term.0),
            stored(claim.nonce.0),
            stored(range.after.0),
        ])?;
        if changed != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Stores an error's words unless they are stored.
pub(super) fn store(conn: &Connection, row: &DetailsRow) -> rusqlite::Result<()> {
    let (fingerprint, details) = row;
    let payload = &details.payload;
    let tags = tags::to_json(&payload.tags)
        .map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))?;
    conn.prepare_cached(DETAILS)?.execute(params![
        fingerprint.0,
        details.rule.0,
        payload.message,
        payload.stack_trace,
        payload.kind,
        payload.level,
        payload.service,
        payload.environment,
        payload.release,
        tags
    ])?;
    Ok(())
}

/// Adds rows, sorted by fingerprint, to counts and windows. Returns of how many errors nothing was
/// counted before.
pub(super) fn add(conn: &Connection, rows: &[CountRow]) -> rusqlite::Result<u64> {
    let mut new_errors = 0;
    let mut upsert = conn.prepare_cached(COUNT)?;
    for (fingerprint, tally) in totals(rows) {
        let (first, last) = (tally.first.millis(), tally.last.millis());
        let values = params![fingerprint.0, stored(tally.count), first, last];
        let count: i64 = upsert.query_row(values, |row| row.get(0))?;
        new_errors += u64::from(count == stored(tally.count));
    }
    failpoints::pass("apply_counted");
    let mut upsert = conn.prepare_cached(WINDOW)?;
    let mut windows: Vec<_> = rows.iter().collect();
    windows.sort_unstable_by_key(|row| (row.window, row.fingerprint));
    for row in windows {
        let start = row.window.start().millis();
        upsert.execute(params![start, row.fingerprint.0, stored(row.tally.count)])?;
    }
    Ok(new_errors)
}

/// The guard rows and what was set aside, in one transaction's snapshot.
pub(super) fn settled(conn: &Connection, shard: Shard) -> rusqlite::Result<Settled> {
    let sum = "SELECT count(*), coalesce(sum(count), 0) FROM dead_letters WHERE shard = ?1";
    let dead = conn.prepare_cached(sum)?.query_row([shard.0], |row| {
        Ok(DeadLetters { rows: loaded(row.get(0)?), events: loaded(row.get(1)?) })
    })?;
    Ok(Settled { guards: read_guards(conn, shard)?, dead })
}

fn read_guards(conn: &Connection, shard: Shard) -> rusqlite::Result<Guards> {
    let mut select = conn.prepare_cached(
        "SELECT part, term, nonce, epoch, seq, events, dropped FROM applied_epochs \
         WHERE shard = ?1",
    )?;
    let mut guards = [Guard::default(); Part::COUNT];
    let mut rows = select.query([shard.0])?;
    while let Some(row) = rows.next()? {
        let part: i64 = row.get(0)?;
        let at = usize::try_from(part).ok().and_then(|part| guards.get_mut(part));
        *at.ok_or(Error::IntegralValueOutOfRange(0, part))? = guard(row)?;
    }
    Ok(guards)
}

fn guard(row: &Row<'_>) -> rusqlite::Result<Guard> {
    Ok(Guard {
        term: Term(loaded(row.get(1)?)),
        nonce: Nonce(loaded(row.get(2)?)),
        epoch: Epoch(loaded(row.get(3)?)),
        seq: Seq(loaded(row.get(4)?)),
        events: loaded(row.get(5)?),
        dropped: loaded(row.get(6)?),
    })
}
