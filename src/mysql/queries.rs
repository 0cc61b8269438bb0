//! Answers questions from the tables, each by an index.
//!
//! Every statement ends itself after [`QUERY_SECONDS`], and no further one begins then, so that a
//! question that is too large burdens the server no longer than that.

use std::{collections::BTreeMap, fmt::Write as _};

use errsift_ops::{fingerprint::Fingerprint, id::Shard, timestamp::Timestamp};
use errsift_pipeline::ports::errors::ErrorRow;
use mysql_async::Row;
use tokio::time::Instant;

use super::{
    faults::{Failure, TOO_LONG},
    reader::error_row,
    rows::{push_bytes, push_datetime, push_text},
    select::{COUNTED, DETAILED, QUERY_SECONDS, condition, limited, rows_sql, walk_sql},
    session::{Live, Session, column},
};
use crate::query::{Candidate, Label, Narrowing, Queries, QueryFault, Span, Walk};

/// Windows looked up by one statement: from 1,000 values on, `MariaDB` makes a list a table.
const WINDOWS_MAX: usize = 900;

/// A handle that asks.
pub struct MysqlQueries {
    session: Session,
}

impl MysqlQueries {
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    fn ask(&mut self, select: &str) -> Result<Vec<Row>, QueryFault> {
        let sql = limited(select);
        let answer = self.session.run(async |live| query(live, &sql).await)?;
        answer.ok_or(QueryFault::TooLong)
    }

    /// The rows of `select`, each read by `read`.
    fn each<T>(
        &mut self,
        select: &str,
        read: impl Fn(&Row) -> Result<T, Failure>,
    ) -> Result<Vec<T>, QueryFault> {
        let read: Result<Vec<T>, Failure> = self.ask(select)?.iter().map(read).collect();
        read.map_err(|failure| QueryFault::Away(failure.to_string()))
    }
}

/// `None` if the server has stopped it for its time.
async fn query(live: &mut Live, sql: &str) -> Result<Option<Vec<Row>>, Failure> {
    match live.query(sql).await {
        Err(failure) if failure.code().is_some_and(|code| TOO_LONG.contains(&code)) => Ok(None),
        answer => answer.map(Some),
    }
}

impl Queries for MysqlQueries {
    fn walk(&mut self, walk: &Walk) -> Result<Vec<Candidate>, QueryFault> {
        self.each(&walk_sql(walk), |row| {
            let mut candidate = counted(row)?;
            if walk.details {
                detail(&mut candidate, row, 4)?;
            }
            Ok(candidate)
        })
    }

    fn few(
        &mut self,
        narrowing: Narrowing<'_>,
        max: usize,
        details: bool,
    ) -> Result<Option<Vec<Candidate>>, QueryFault> {
        let condition = condition(narrowing);
        let more = max + 1;
        let columns = if details { DETAILED } else { narrowing.indexed_columns() };
        let count = format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM error_details AS d WHERE {condition} \
             LIMIT {more}) AS found"
        );
        let found: Vec<usize> = self.each(&count, |row| column(row, 0))?;
        if found.first().is_none_or(|found| *found > max) {
            return Ok(None);
        }
        let select = format!(
            "SELECT {COUNTED}, {columns} FROM error_details AS d \
             STRAIGHT_JOIN error_counts AS c ON c.fingerprint = d.fingerprint WHERE {condition}"
        );
        let candidates = self.each(&select, |row| {
            let mut candidate = counted(row)?;
            detail(&mut candidate, row, 4)?;
            Ok(candidate)
        })?;
        Ok(Some(candidates))
    }

    fn uncounted(&mut self, newest: usize) -> Result<Vec<Candidate>, QueryFault> {
        let select = format!(
            "SELECT d.fingerprint, \
             TIMESTAMPDIFF(MICROSECOND, '1970-01-01', d.stored_at) DIV 1000, {DETAILED} \
             FROM (SELECT fingerprint FROM error_details FORCE INDEX (by_stored_at) \
                   ORDER BY stored_at DESC LIMIT {newest}) AS n \
             LEFT JOIN error_counts AS c ON c.fingerprint = n.fingerprint \
             STRAIGHT_JOIN error_details AS d ON d.fingerprint = n.fingerprint \
             WHERE c.fingerprint IS NULL AND d.stored_at IS NOT NULL \
             ORDER BY d.stored_at DESC"
        );
        self.each(&select, |row| {
            let mut candidate = Candidate::of(fingerprint(row, 0)?);
            candidate.stored_at = moment(row, 1)?;
            detail(&mut candidate, row, 2)?;
            Ok(candidate)
        })
    }

    fn rows(
        &mut self,
        shard: Shard,
        fingerprints: &[Fingerprint],
    ) -> Result<Vec<ErrorRow>, QueryFault> {
        let found = self.each(&rows_sql(shard, fingerprints), |row| {
            Ok((fingerprint(row, 13)?, error_row(row)?))
        })?;
        let mut found: BTreeMap<Fingerprint, ErrorRow> = found.into_iter().collect();
        let rows = fingerprints.iter().filter_map(|fingerprint| found.remove(fingerprint));
        let rows: Vec<ErrorRow> = rows.collect();
        if rows.len() == fingerprints.len() {
            return Ok(rows);
        }
        Err(QueryFault::Away("rows came back without their keys".to_owned()))
    }

    fn windows_of(
        &mut self,
        fingerprint: &Fingerprint,
        windows: &[Timestamp],
    ) -> Result<Vec<(Timestamp, u64)>, QueryFault> {
        let mut counts = Vec::new();
        // the server's limit is that of one statement; the runtime's clock, as for its time-outs
        let begun = Instant::now();
        for windows in windows.chunks(WINDOWS_MAX) {
            if begun.elapsed().as_secs() >= u64::from(QUERY_SECONDS) {
                return Err(QueryFault::TooLong);
            }
            let mut sql = String::from(
                "SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', window_start), `count` \
                 FROM error_windows WHERE fingerprint = ",
            );
            push_bytes(&mut sql, &fingerprint.0);
            sql.push_str(" AND window_start IN ");
            for (at, start) in windows.iter().enumerate() {
                sql.push(if at == 0 { '(' } else { ',' });
                push_datetime(&mut sql, *start);
            }
            sql.push(')');
            counts.extend(self.each(&sql, step)?);
        }
        Ok(counts)
    }

    fn windows(
        &mut self,
        service: Option<&str>,
        span: &Span,
    ) -> Result<Vec<(Timestamp, u64)>, QueryFault> {
        let step_s = span.step_s;
        let mut sql = format!(
            "SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', w.window_start) DIV {step_s} * {step_s} \
             AS step, CAST(SUM(w.`count`) AS UNSIGNED) FROM error_windows AS w"
        );
        if let Some(service) = service {
            sql.push_str(
                " JOIN error_details AS d ON d.fingerprint = w.fingerprint AND d.service = ",
            );
            push_text(&mut sql, service);
            // text is compared without its trailing spaces
            let _ = write!(sql, " AND OCTET_LENGTH(d.service) = {}", service.len());
        }
        sql.push_str(" WHERE w.window_start >= ");
        push_datetime(&mut sql, span.since);
        sql.push_str(" AND w.window_start < ");
        push_datetime(&mut sql, span.until);
        sql.push_str(" GROUP BY step");
        self.each(&sql, step)
    }
}

fn counted(row: &Row) -> Result<Candidate, Failure> {
    Ok(Candidate {
        count: column(row, 1)?,
        first_seen: moment(row, 2)?,
        last_seen: moment(row, 3)?,
        ..Candidate::of(fingerprint(row, 0)?)
    })
}

fn detail(candidate: &mut Candidate, row: &Row, at: usize) -> Result<(), Failure> {
    for (label, at) in [(Label::Service, at), (Label::Level, at + 1), (Label::Environment, at + 2)]
    {
        candidate.labels[label as usize] = column(row, at)?;
    }
    candidate.message = column::<Option<String>>(row, at + 3)?.unwrap_or_default();
    Ok(())
}

fn fingerprint(row: &Row, at: usize) -> Result<Fingerprint, Failure> {
    let bytes: Vec<u8> = column(row, at)?;
    let bytes = bytes.try_into();
    bytes.map(Fingerprint).map_err(|_| Failure::Value("a key is not a fingerprint".to_owned()))
}

fn moment(row: &Row, at: usize) -> Result<Option<Timestamp>, Failure> {
    Ok(column::<Option<i64>>(row, at)?.map(Timestamp::from_millis))
}

/// A time in seconds and a count.
fn step(row: &Row) -> Result<(Timestamp, u64), Failure> {
    Ok((Timestamp::from_millis(column::<i64>(row, 0)?.saturating_mul(1000)), column(row, 1)?))
}
