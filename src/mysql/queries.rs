//! Answers questions from the tables, each by an index.
//!
//! Every statement ends itself after [`QUERY_SECONDS`], so that a question that is too large burdens
//! the server no longer than that.

use std::{collections::BTreeMap, fmt::Write as _};

use errsift_ops::{fingerprint::Fingerprint, id::Shard, timestamp::Timestamp};
use errsift_pipeline::ports::errors::ErrorRow;
use mysql_async::Row;

use super::{
    faults::{Failure, TOO_LONG},
    reader::error_row,
    rows::{push_bytes, push_datetime, push_text},
    session::{Live, Session, column},
};
use crate::query::{Candidate, Label, Narrowing, Position, Queries, QueryFault, Sort, Span, Walk};

/// How long a statement may take, in seconds.
const QUERY_SECONDS: u32 = 5;
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

/// What either server takes for its own way to limit a statement's time is a comment to the other.
fn limited(select: &str) -> String {
    let rest = select.strip_prefix("SELECT").unwrap_or(select);
    format!(
        "/*M!100100 SET STATEMENT max_statement_time = {QUERY_SECONDS} FOR */ \
         SELECT /*+ MAX_EXECUTION_TIME({QUERY_SECONDS}000) */{rest}"
    )
}

const COUNTED: &str = "c.fingerprint, c.`count`, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.first_seen) DIV 1000, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.last_seen) DIV 1000";
const DETAILED: &str = "d.service, d.`level`, d.environment, d.message";

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
    ) -> Result<Option<Vec<Candidate>>, QueryFault> {
        let condition = condition(narrowing);
        let more = max + 1;
        let count = format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM error_details AS d WHERE {condition} \
             LIMIT {more}) AS found"
        );
        let found: Vec<usize> = self.each(&count, |row| column(row, 0))?;
        if found.first().is_none_or(|found| *found > max) {
            return Ok(None);
        }
        let select = format!(
            "SELECT {COUNTED}, {DETAILED} FROM error_details AS d \
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
        for windows in windows.chunks(WINDOWS_MAX) {
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

/// What an order is by, and its index.
fn order(sort: Sort) -> (&'static str, &'static str) {
    match sort {
        Sort::Count => ("`count`", "by_count"),
        Sort::LastSeen => ("last_seen", "by_last_seen"),
        Sort::FirstSeen => ("first_seen", "by_first_seen"),
    }
}

/// Two ranges instead of one condition with OR in it: of many errors with an equal key, those that
/// were on earlier pages are not read again.
fn walk_sql(walk: &Walk) -> String {
    let (key, index) = order(walk.sort);
    let max = walk.max;
    let stretch = |condition: &str| {
        format!(
            "(SELECT fingerprint, `count`, first_seen, last_seen FROM error_counts \
             FORCE INDEX ({index}){condition} ORDER BY {key} DESC, fingerprint DESC LIMIT {max})"
        )
    };
    let stretches = match walk.after {
        None => stretch(""),
        Some(Position { key: after, fingerprint }) => {
            let mut value = String::new();
            match walk.sort {
                Sort::Count => {
                    let _ = write!(value, "{after}");
                }
                _ => push_datetime(&mut value, Timestamp::from_millis(after.cast_signed())),
            }
            let mut equal = format!(" WHERE {key} = {value} AND fingerprint < ");
            push_bytes(&mut equal, &fingerprint.0);
            let less = stretch(&format!(" WHERE {key} < {value}"));
            format!("{} UNION ALL {less}", stretch(&equal))
        }
    };
    let (detailed, joined) = if walk.details {
        (format!(", {DETAILED}"), " LEFT JOIN error_details AS d ON d.fingerprint = c.fingerprint")
    } else {
        (String::new(), "")
    };
    format!(
        "SELECT {COUNTED}{detailed} FROM (SELECT * FROM ({stretches}) AS stretches \
         ORDER BY {key} DESC, fingerprint DESC LIMIT {max}) AS c{joined} \
         ORDER BY c.{key} DESC, c.fingerprint DESC"
    )
}

fn condition(narrowing: Narrowing<'_>) -> String {
    let mut sql = String::new();
    match narrowing {
        Narrowing::Label(label, value) => {
            sql.push_str(match label {
                Label::Service => "d.service = ",
                Label::Level => "d.`level` = ",
                Label::Environment => "d.environment = ",
            });
            push_text(&mut sql, value);
        }
        Narrowing::Prefix(prefix) => {
            let mut pattern = String::with_capacity(prefix.len() + 1);
            for c in prefix.chars() {
                if matches!(c, '%' | '_' | '|') {
                    pattern.push('|');
                }
                pattern.push(c);
            }
            pattern.push('%');
            sql.push_str("d.message LIKE ");
            push_text(&mut sql, &pattern);
            sql.push_str(" ESCAPE '|'");
        }
    }
    sql
}

/// One statement, because a statement is what READ COMMITTED gives one snapshot to.
fn rows_sql(shard: Shard, fingerprints: &[Fingerprint]) -> String {
    let mut keys = String::new();
    for fingerprint in fingerprints {
        keys.push_str(if keys.is_empty() { "SELECT " } else { " UNION ALL SELECT " });
        push_bytes(&mut keys, &fingerprint.0);
        let _ = write!(keys, " AS fingerprint, {} AS part", fingerprint.part());
    }
    format!(
        "SELECT COALESCE(g.epoch, 0), COALESCE(c.`count`, 0), \
         TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.first_seen) DIV 1000, \
         TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.last_seen) DIV 1000, \
         d.`rule`, d.message, NULL, d.`type`, d.`level`, d.service, d.environment, \
         d.`release`, d.tags, k.fingerprint FROM ({keys}) AS k \
         LEFT JOIN applied_epochs AS g ON g.shard = {shard} AND g.part = k.part \
         LEFT JOIN error_counts AS c ON c.fingerprint = k.fingerprint \
         LEFT JOIN error_details AS d ON d.fingerprint = k.fingerprint"
    )
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
