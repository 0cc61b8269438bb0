//! Answers questions from the file of tables, each by an index.
//!
//! Every statement is stopped after [`STEPS_MAX`] steps of `SQLite`'s machine. Readers and the
//! writer do not wait for each other: the file is in WAL mode.

use std::path::PathBuf;

use errsift_ops::{fingerprint::Fingerprint, id::Shard, timestamp::Timestamp};
use errsift_pipeline::ports::errors::ErrorRow;
use rusqlite::{Connection, ErrorCode, Params, Row, ToSql, params};

use super::{
    Sync, connect,
    faults::refused,
    loaded, position,
    reader::{SELECT_WITHOUT_STACK_TRACE, error_row},
    stored,
};
use crate::query::{Candidate, Label, Narrowing, Position, Queries, QueryFault, Sort, Span, Walk};

/// Steps between two looks at how many there were.
const STEPS_PACE: i32 = 1_000_000;
/// Steps that one question may take: some seconds.
const STEPS_MAX: i32 = 300_000_000;

/// Characters of a message that are in its index.
const INDEXED_CHARS: usize = 64;

/// A handle that asks.
pub struct EmbeddedQueries {
    path: PathBuf,
    conn: Option<Connection>,
}

impl EmbeddedQueries {
    pub fn new(path: PathBuf) -> Self {
        Self { path, conn: None }
    }

    /// Asks in one snapshot, within the bound.
    fn ask<T>(
        &mut self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, QueryFault> {
        let (path, conn) = (&self.path, &mut self.conn);
        let answer = (|| {
            let conn = match conn {
                Some(conn) => conn,
                none => none.insert(connect(path, Sync::Full)?),
            };
            let mut looks = 0;
            let is_over = move || {
                looks += 1;
                looks > STEPS_MAX / STEPS_PACE
            };
            conn.progress_handler(STEPS_PACE, Some(is_over))?;
            conn.execute_batch("BEGIN")?;
            let answer = ask(conn)?;
            conn.execute_batch("COMMIT")?;
            Ok(answer)
        })();
        answer.map_err(|error: rusqlite::Error| {
            // an open transaction goes with its connection
            self.conn = None;
            match error.sqlite_error_code() {
                Some(ErrorCode::OperationInterrupted) => QueryFault::TooLong,
                _ => refused(&error).into(),
            }
        })
    }
}

const COUNTED: &str = "c.fingerprint, c.count, c.first_seen, c.last_seen";
const DETAILED: &str = "d.service, d.level, d.environment, d.message";

impl Queries for EmbeddedQueries {
    fn walk(&mut self, walk: &Walk) -> Result<Vec<Candidate>, QueryFault> {
        let key = match walk.sort {
            Sort::Count => "count",
            Sort::LastSeen => "last_seen",
            Sort::FirstSeen => "first_seen",
        };
        let behind = if walk.after.is_some() {
            format!("WHERE (c.{key}, c.fingerprint) < (?2, ?3)")
        } else {
            String::new()
        };
        let (detailed, joined) = if walk.details {
            (
                format!(", {DETAILED}"),
                "LEFT JOIN error_details AS d ON d.fingerprint = c.fingerprint",
            )
        } else {
            (String::new(), "")
        };
        let sql = format!(
            "SELECT {COUNTED}{detailed} FROM error_counts AS c INDEXED BY counts_by_{key} {joined} \
             {behind} ORDER BY c.{key} DESC, c.fingerprint DESC LIMIT ?1"
        );
        let max = stored(walk.max as u64);
        let read = |row: &Row<'_>| {
            let mut candidate = counted(row)?;
            if walk.details {
                detail(&mut candidate, row, 4)?;
            }
            Ok(candidate)
        };
        self.ask(|conn| match walk.after {
            None => each(conn, &sql, [max], read),
            Some(Position { key, fingerprint }) => {
                each(conn, &sql, params![max, stored(key), fingerprint.0], read)
            }
        })
    }

    fn few(
        &mut self,
        narrowing: Narrowing<'_>,
        max: usize,
        details: bool,
    ) -> Result<Option<Vec<Candidate>>, QueryFault> {
        let (condition, from, upto) = condition(narrowing);
        let bound: &[&dyn ToSql] = if upto.is_some() { &[&from, &upto] } else { &[&from] };
        let more = max + 1;
        let columns = if details { DETAILED } else { narrowing.indexed_columns() };
        let count = format!(
            "SELECT count(*) FROM (SELECT 1 FROM error_details AS d WHERE {condition} LIMIT {more})"
        );
        let select = format!(
            "SELECT {COUNTED}, {columns} FROM error_details AS d \
             CROSS JOIN error_counts AS c ON c.fingerprint = d.fingerprint WHERE {condition}"
        );
        self.ask(|conn| {
            let found: i64 = conn.prepare_cached(&count)?.query_row(bound, |row| row.get(0))?;
            if found > stored(max as u64) {
                return Ok(None);
            }
            let candidates = each(conn, &select, bound, |row| {
                let mut candidate = counted(row)?;
                detail(&mut candidate, row, 4)?;
                Ok(candidate)
            })?;
            Ok(Some(candidates))
        })
    }

    fn uncounted(&mut self, newest: usize) -> Result<Vec<Candidate>, QueryFault> {
        // rows are numbered as they are stored
        let sql = format!(
            "SELECT d.fingerprint, d.stored_at, {DETAILED} \
             FROM (SELECT rowid AS number, fingerprint FROM error_details \
                   ORDER BY rowid DESC LIMIT {newest}) AS n \
             CROSS JOIN error_details AS d ON d.rowid = n.number \
             LEFT JOIN error_counts AS c ON c.fingerprint = n.fingerprint \
             WHERE c.fingerprint IS NULL AND d.stored_at IS NOT NULL \
             ORDER BY n.number DESC"
        );
        self.ask(|conn| {
            each(conn, &sql, [], |row| {
                let mut candidate = Candidate::of(Fingerprint(row.get(0)?));
                candidate.stored_at = moment(row, 1)?;
                detail(&mut candidate, row, 2)?;
                Ok(candidate)
            })
        })
    }

    fn rows(
        &mut self,
        shard: Shard,
        fingerprints: &[Fingerprint],
    ) -> Result<Vec<ErrorRow>, QueryFault> {
        self.ask(|conn| {
            let mut select = conn.prepare_cached(SELECT_WITHOUT_STACK_TRACE)?;
            let row = |fingerprint: &Fingerprint| {
                let key = params![shard.0, position(fingerprint.part()), fingerprint.0];
                select.query_row(key, error_row)
            };
            fingerprints.iter().map(row).collect()
        })
    }

    fn windows_of(
        &mut self,
        fingerprint: &Fingerprint,
        windows: &[Timestamp],
    ) -> Result<Vec<(Timestamp, u64)>, QueryFault> {
        let sql = "SELECT window_start, count FROM error_windows \
                   WHERE window_start = ?1 AND fingerprint = ?2";
        self.ask(|conn| {
            let mut counts = Vec::new();
            for start in windows {
                counts.extend(each(conn, sql, params![start.millis(), fingerprint.0], step)?);
            }
            Ok(counts)
        })
    }

    fn windows(
        &mut self,
        service: Option<&str>,
        span: &Span,
    ) -> Result<Vec<(Timestamp, u64)>, QueryFault> {
        let joined = match service {
            Some(_) => {
                "CROSS JOIN error_details AS d ON d.fingerprint = w.fingerprint AND d.service = ?4"
            }
            None => "",
        };
        let sql = format!(
            "SELECT w.window_start / ?3 * ?3 AS step, sum(w.count) FROM error_windows AS w {joined} \
             WHERE w.window_start >= ?1 AND w.window_start < ?2 GROUP BY step"
        );
        let step_ms = i64::from(span.step_s) * 1000;
        let (since, until) = (span.since.millis(), span.until.millis());
        self.ask(|conn| match service {
            Some(service) => each(conn, &sql, params![since, until, step_ms, service], step),
            None => each(conn, &sql, params![since, until, step_ms], step),
        })
    }
}

fn each<T>(
    conn: &Connection,
    sql: &str,
    bound: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare_cached(sql)?.query_map(bound, read)?.collect()
}

/// The condition, with its first and perhaps its second parameter.
fn condition(narrowing: Narrowing<'_>) -> (&'static str, String, Option<String>) {
    match narrowing {
        Narrowing::Label(Label::Service, value) => ("d.service = ?1", value.to_owned(), None),
        Narrowing::Label(Label::Level, value) => ("d.level = ?1", value.to_owned(), None),
        Narrowing::Label(Label::Environment, value) => {
            ("d.environment = ?1", value.to_owned(), None)
        }
        Narrowing::Prefix(prefix) => {
            // substr ends at a NUL
            let from: String =
                prefix.chars().take(INDEXED_CHARS).take_while(|c| *c != '\0').collect();
            let upto = format!("{from}{}", "\u{10ffff}".repeat(INDEXED_CHARS));
            ("substr(d.message, 1, 64) BETWEEN ?1 AND ?2", from, Some(upto))
        }
    }
}

fn counted(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        count: loaded(row.get(1)?),
        first_seen: moment(row, 2)?,
        last_seen: moment(row, 3)?,
        ..Candidate::of(Fingerprint(row.get(0)?))
    })
}

fn detail(candidate: &mut Candidate, row: &Row<'_>, at: usize) -> rusqlite::Result<()> {
    for (label, at) in [(Label::Service, at), (Label::Level, at + 1), (Label::Environment, at + 2)]
    {
        candidate.labels[label as usize] = row.get(at)?;
    }
    candidate.message = row.get::<_, Option<String>>(at + 3)?.unwrap_or_default();
    Ok(())
}

fn moment(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(Timestamp::from_millis))
}

/// A time in milliseconds and a count.
fn step(row: &Row<'_>) -> rusqlite::Result<(Timestamp, u64)> {
    Ok((Timestamp::from_millis(row.get(0)?), loaded(row.get(1)?)))
}
