//! A shard's dead letters in its file, read, redriven and dropped beside a running server.

use std::path::PathBuf;

use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Shard},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};
use errsift_pipeline::ports::errors::{CountRow, ErrorsFault};
use rusqlite::{Connection, Error, OpenFlags, Row, params};

use super::{BUSY_MAX, faults::refused, loaded, position, set_aside::attempt, stored, writer};
use crate::dead::{DeadRow, DeadRows, Key, Letter, PAGE_ROWS, Redriven, Revived, reason};

/// Of one error, or of all if ?2 is NULL, after the key of ?3 to ?5.
const SELECT: &str = "SELECT epoch, fingerprint, window_start, count, reason, payload \
    FROM dead_letters WHERE shard = ?1 AND (?2 IS NULL OR fingerprint = ?2) \
    AND (epoch, fingerprint, window_start) > (?3, ?4, ?5) \
    ORDER BY epoch, fingerprint, window_start LIMIT ?6";
/// All of a letter's key, and what was in it when it was read.
const DELETE: &str = "DELETE FROM dead_letters WHERE shard = ?1 AND epoch = ?2 \
    AND fingerprint = ?3 AND window_start = ?4 AND count = ?5";
const REASON: &str = "UPDATE dead_letters SET reason = ?5 WHERE shard = ?1 AND epoch = ?2 \
    AND fingerprint = ?3 AND window_start = ?4";
const COUNTED: &str =
    "UPDATE applied_epochs SET events = events + ?1 WHERE shard = ?2 AND part = ?3";
const DROPPED: &str =
    "UPDATE applied_epochs SET dropped = dropped + ?1 WHERE shard = ?2 AND part = ?3";

const MARK: &str = "INSERT OR IGNORE INTO errsift_settings (name, value) VALUES (?1, ?2)";

/// One shard's letters.
pub struct Letters {
    path: PathBuf,
    shard: Shard,
}

impl Letters {
    pub fn new(path: PathBuf, shard: Shard) -> Self {
        Self { path, shard }
    }

    /// Opens the file if it is there; a server is waited for while it writes.
    fn open(&self) -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        conn.busy_timeout(BUSY_MAX)?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        Ok(conn)
    }

    /// One transaction.
    fn transact<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ErrorsFault> {
        let conn = self.open().map_err(|error| refused(&error))?;
        let done = conn.execute_batch("BEGIN IMMEDIATE").and_then(|()| work(&conn));
        // closing the connection rolls back
        let done = done.map_err(|error| refused(&error))?;
        conn.execute_batch("COMMIT").map_err(|error| ErrorsFault::Unknown(error.to_string()))?;
        Ok(done)
    }

    /// `false` if the letter is gone.
    fn delete(&self, conn: &Connection, row: &DeadRow) -> rusqlite::Result<bool> {
        let Key { epoch, fingerprint, window } = row.key;
        let start = window.start().millis();
        let letter =
            params![self.shard.0, stored(epoch.0), fingerprint.0, start, stored(row.count)];
        Ok(conn.execute(DELETE, letter)? == 1)
    }

    fn add_to_guard(&self, conn: &Connection, sql: &str, row: &DeadRow) -> rusqlite::Result<()> {
        let part = position(row.key.fingerprint.part());
        match conn.execute(sql, params![stored(row.count), self.shard.0, part])? {
            0 if row.count > 0 => Err(Error::QueryReturnedNoRows),
            _ => Ok(()),
        }
    }
}

impl DeadRows for Letters {
    fn page(
        &mut self,
        after: Option<&Key>,
        of: Option<&Fingerprint>,
    ) -> Result<Vec<DeadRow>, ErrorsFault> {
        let rows = || -> rusqlite::Result<Vec<DeadRow>> {
            let conn = self.open()?;
            let mut select = conn.prepare(SELECT)?;
            let (epoch, fingerprint, start) = match after {
                Some(key) => {
                    (stored(key.epoch.0), &key.fingerprint.0[..], key.window.start().millis())
                }
                None => (-1, &[][..], 0),
            };
            let of = of.map(|fingerprint| fingerprint.0);
            let max = stored(PAGE_ROWS as u64);
            let wanted = params![self.shard.0, of, epoch, fingerprint, start, max];
            select.query_map(wanted, dead_row)?.collect()
        };
        rows().map_err(|error| refused(&error))
    }

    fn redrive(&mut self, row: &DeadRow) -> Result<Redriven, ErrorsFault> {
        let letter = match &row.letter {
            Ok(letter) => letter,
            Err(why) => return Ok(Redriven::Refused(why.clone())),
        };
        let Key { epoch, fingerprint, window } = row.key;
        self.transact(|conn| {
            if !self.delete(conn, row)? {
                return Ok(Redriven::Gone);
            }
            let stored_again = attempt(conn, || match letter {
                Letter::Words(details) => writer::store(conn, &(fingerprint, details.clone())),
                Letter::Seen { first_ms, last_ms } => {
                    let [first, last] = [*first_ms, *last_ms].map(Timestamp::from_millis);
                    let tally = Tally { count: row.count, first, last };
                    writer::add(conn, &[CountRow { fingerprint, window, tally }]).map(drop)
                }
            })?;
            let Err(error) = stored_again else {
                self.add_to_guard(conn, COUNTED, row)?;
                return Ok(Redriven::Done);
            };
            // the letter comes back with its new reason
            conn.execute_batch("ROLLBACK; BEGIN IMMEDIATE")?;
            let (reason, start) = (reason(&error), window.start().millis());
            let letter = params![self.shard.0, stored(epoch.0), fingerprint.0, start, reason];
            conn.execute(REASON, letter)?;
            Ok(Redriven::Refused(reason))
        })
    }

    fn discard(&mut self, row: &DeadRow) -> Result<bool, ErrorsFault> {
        self.transact(|conn| {
            let is_there = self.delete(conn, row)?;
            if is_there {
                self.add_to_guard(conn, DROPPED, row)?;
            }
            Ok(is_there)
        })
    }

    fn redrive_job(&mut self, job: &Revived) -> Result<Redriven, ErrorsFault> {
        self.transact(|conn| {
            let redriven = attempt(conn, || {
                if conn.execute(MARK, params![job.mark, job.events().to_string()])? == 0 {
                    return Ok(Redriven::Gone);
                }
                for (part, events) in job.parts() {
                    let guard = params![stored(events), self.shard.0, position(part)];
                    if conn.execute(COUNTED, guard)? == 0 {
                        return Err(Error::QueryReturnedNoRows);
                    }
                }
                for words in &job.words {
                    writer::store(conn, words)?;
                }
                writer::add(conn, &job.rows)?;
                Ok(Redriven::Done)
            })?;
            Ok(redriven.unwrap_or_else(|error| Redriven::Refused(reason(&error))))
        })
    }

    fn shard(&self) -> Shard {
        self.shard
    }
}

fn dead_row(row: &Row<'_>) -> rusqlite::Result<DeadRow> {
    let payload: Option<Vec<u8>> = row.get(5)?;
    let letter = Letter::from_json(&payload.unwrap_or_default());
    Ok(DeadRow {
        key: Key {
            epoch: Epoch(loaded(row.get(0)?)),
            fingerprint: Fingerprint(row.get(1)?),
            window: Window::of(Timestamp::from_millis(row.get(2)?)),
        },
        count: loaded(row.get(3)?),
        reason: row.get(4)?,
        letter: letter.map_err(|error| format!("its payload cannot be read: {error}")),
    })
}
