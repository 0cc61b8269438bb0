//! The tables page by page, by their keys.

use errsift_ops::{fingerprint::Fingerprint, timestamp::Timestamp};
use errsift_pipeline::ports::errors::{ErrorRow, ErrorsFault};
use mysql_async::Row;

use super::{
    faults::Failure,
    reader::error_row,
    rows::{push_bytes, push_datetime},
    session::{Session, column},
};
use crate::export::{ExportRows, PAGE_ROWS, WindowRow};

/// An error's counts, in the order of [`error_row`]; nobody asks for the epoch.
const COUNTED: &str = "0, COALESCE(c.`count`, 0), \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.first_seen) DIV 1000, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.last_seen) DIV 1000";
const WORDS: &str = "d.`rule`, d.message, d.stack_trace, d.`type`, d.`level`, d.service, \
    d.environment, d.`release`, d.tags";
const NO_WORDS: &str = "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL";

/// A handle that reads all.
pub struct Export {
    pub session: Session,
}

impl Export {
    fn each<T>(
        &mut self,
        sql: &str,
        read: impl Fn(&Row) -> Result<T, Failure>,
    ) -> Result<Vec<T>, ErrorsFault> {
        self.session.run(async |live| live.query(sql).await?.iter().map(&read).collect())
    }

    fn windows_where(
        &mut self,
        condition: &str,
        max: usize,
        words: bool,
    ) -> Result<Vec<WindowRow>, ErrorsFault> {
        let words = if words { WORDS } else { NO_WORDS };
        let sql = format!(
            "SELECT {COUNTED}, {words}, w.fingerprint, \
             TIMESTAMPDIFF(SECOND, '1970-01-01', w.window_start), w.`count`, \
             d.service, d.`level`, d.environment \
             FROM (SELECT window_start, fingerprint, `count` FROM error_windows \
                   WHERE {condition} ORDER BY window_start, fingerprint LIMIT {max}) AS w \
             LEFT JOIN error_counts AS c ON c.fingerprint = w.fingerprint \
             LEFT JOIN error_details AS d ON d.fingerprint = w.fingerprint \
             ORDER BY w.window_start, w.fingerprint"
        );
        self.each(&sql, |row| {
            Ok(WindowRow {
                start: Timestamp::from_millis(column::<i64>(row, 14)?.saturating_mul(1000)),
                fingerprint: fingerprint(row)?,
                count: column(row, 15)?,
                error: error_row(row)?,
                labels: [column(row, 16)?, column(row, 17)?, column(row, 18)?],
            })
        })
    }
}

impl ExportRows for Export {
    fn errors(
        &mut self,
        after: Option<Fingerprint>,
    ) -> Result<Vec<(Fingerprint, ErrorRow)>, ErrorsFault> {
        let mut condition = String::new();
        if let Some(after) = after {
            condition.push_str("WHERE fingerprint > ");
            push_bytes(&mut condition, &after.0);
        }
        let sql = format!(
            "SELECT {COUNTED}, {WORDS}, c.fingerprint \
             FROM (SELECT * FROM error_counts {condition} ORDER BY fingerprint LIMIT {PAGE_ROWS}) AS c \
             LEFT JOIN error_details AS d ON d.fingerprint = c.fingerprint ORDER BY c.fingerprint"
        );
        self.each(&sql, |row| Ok((fingerprint(row)?, error_row(row)?)))
    }

    fn windows(
        &mut self,
        after: Option<(Timestamp, Fingerprint)>,
        (since, until): (Timestamp, Timestamp),
        words: bool,
    ) -> Result<Vec<WindowRow>, ErrorsFault> {
        let mut page = Vec::new();
        let mut later = String::from("window_start >= ");
        if let Some((start, fingerprint)) = after {
            // two ranges of the key instead of one condition with OR in it
            let mut same = String::from("window_start = ");
            push_datetime(&mut same, start);
            same.push_str(" AND fingerprint > ");
            push_bytes(&mut same, &fingerprint.0);
            page = self.windows_where(&same, PAGE_ROWS, words)?;
            later = String::from("window_start > ");
            push_datetime(&mut later, start);
        } else {
            push_datetime(&mut later, since);
        }
        if page.len() < PAGE_ROWS {
            later.push_str(" AND window_start < ");
            push_datetime(&mut later, until);
            page.extend(self.windows_where(&later, PAGE_ROWS - page.len(), words)?);
        }
        Ok(page)
    }
}

fn fingerprint(row: &Row) -> Result<Fingerprint, Failure> {
    let bytes: Vec<u8> = column(row, 13)?;
    let bytes = bytes.try_into();
    bytes.map(Fingerprint).map_err(|_| Failure::Value("a key is not a fingerprint".to_owned()))
}
