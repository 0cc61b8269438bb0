//! The tables of a file page by page, by their keys.

use std::path::PathBuf;

use errsift_ops::{fingerprint::Fingerprint, timestamp::Timestamp};
use errsift_pipeline::ports::errors::{ErrorRow, ErrorsFault};
use rusqlite::{Connection, OpenFlags, Params, Row, params};

use super::{BUSY_MAX, faults::refused, loaded, reader::error_row, stored};
use crate::export::{ExportRows, PAGE_ROWS, WindowRow};

/// An error's counts, in the order of [`error_row`]; nobody asks for the epoch.
const COUNTED: &str = "0, coalesce(c.count, 0), c.first_seen, c.last_seen";
const WORDS: &str = "d.rule, d.message, d.stack_trace, d.type, d.level, d.service, d.environment, \
    d.\"release\", d.tags";
const NO_WORDS: &str = "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL";

/// A handle that reads all; makes no file.
pub struct Export {
    path: PathBuf,
    conn: Option<Connection>,
}

impl Export {
    pub fn new(path: PathBuf) -> Self {
        Self { path, conn: None }
    }

    fn each<T>(
        &mut self,
        sql: &str,
        bound: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, ErrorsFault> {
        let (path, conn) = (&self.path, &mut self.conn);
        let rows: rusqlite::Result<Vec<T>> = (|| {
            let conn = match conn {
                Some(conn) => conn,
                none => {
                    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
                    let opened = Connection::open_with_flags(path, flags)?;
                    opened.busy_timeout(BUSY_MAX)?;
                    none.insert(opened)
                }
            };
            conn.prepare_cached(sql)?.query_map(bound, read)?.collect()
        })();
        rows.map_err(|error| refused(&error))
    }
}

impl ExportRows for Export {
    fn errors(
        &mut self,
        after: Option<Fingerprint>,
    ) -> Result<Vec<(Fingerprint, ErrorRow)>, ErrorsFault> {
        let sql = format!(
            "SELECT {COUNTED}, {WORDS}, c.fingerprint FROM error_counts AS c \
             LEFT JOIN error_details AS d ON d.fingerprint = c.fingerprint \
             WHERE c.fingerprint > ?1 ORDER BY c.fingerprint LIMIT ?2"
        );
        // nothing is before an empty key
        let after = after.map_or_else(Vec::new, |after| after.0.to_vec());
        let bound = params![after, stored(PAGE_ROWS as u64)];
        self.each(&sql, bound, |row| Ok((Fingerprint(row.get(13)?), error_row(row)?)))
    }

    fn windows(
        &mut self,
        after: Option<(Timestamp, Fingerprint)>,
        (since, until): (Timestamp, Timestamp),
        words: bool,
    ) -> Result<Vec<WindowRow>, ErrorsFault> {
        let words = if words { WORDS } else { NO_WORDS };
        let sql = format!(
            "SELECT {COUNTED}, {words}, w.fingerprint, w.window_start, w.count, \
             d.service, d.level, d.environment FROM error_windows AS w \
             LEFT JOIN error_counts AS c ON c.fingerprint = w.fingerprint \
             LEFT JOIN error_details AS d ON d.fingerprint = w.fingerprint \
             WHERE (w.window_start, w.fingerprint) > (?1, ?2) AND w.window_start < ?3 \
             ORDER BY w.window_start, w.fingerprint LIMIT ?4"
        );
        let (start, key) = match after {
            Some((start, fingerprint)) => (start.millis(), fingerprint.0.to_vec()),
            None => (since.millis(), Vec::new()),
        };
        let bound = params![start, key, until.millis(), stored(PAGE_ROWS as u64)];
        self.each(&sql, bound, |row| {
            Ok(WindowRow {
                start: Timestamp::from_millis(row.get(14)?),
                fingerprint: Fingerprint(row.get(13)?),
                count: loaded(row.get(15)?),
                error: error_row(row)?,
                labels: [row.get(16)?, row.get(17)?, row.get(18)?],
            })
        })
    }
}
