//! The embedded store: journal and tables in two `SQLite` files, with the guarantees of the
//! production pair.
//!
//! Two files, so that a range being applied does not hold up a commit: `SQLite` has one writer per
//! file. Both are in WAL mode with `synchronous = FULL`, so a commit is one write and one sync.
//! Within a process the writers of a file take turns by a lock and not by `SQLite`'s polling;
//! another process is waited for [`BUSY_MAX`], then it is a fault.

mod backlog;
mod check;
mod committer;
mod dead;
mod dead_jobs;
mod errors;
mod export;
mod faults;
mod fence;
mod heal;
mod holder;
mod ids;
mod inspect;
mod journal;
mod queries;
mod reader;
mod schema;
mod set_aside;
mod sources;
mod writer;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use errsift_ops::id::Part;
use rusqlite::{Connection, OpenFlags, ffi};

pub use self::{check::check, errors::EmbeddedErrors, journal::JournalFile};

/// How long to wait for another process that holds a file's lock.
pub const BUSY_MAX: Duration = Duration::from_secs(5);

/// A file's log is cut to this size when it is begun anew: one long transaction, or one long reader,
/// would otherwise leave it large for ever.
const LOG_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// Held while writing to a file.
#[derive(Clone, Debug, Default)]
struct Turn(Arc<Mutex<()>>);

impl Turn {
    fn take(&self) -> MutexGuard<'_, ()> {
        // it guards nothing in memory that a panic could leave half-done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much of a commit is on disk when it returns.
#[derive(Clone, Copy, Debug)]
enum Sync {
    /// All of it.
    Full,
    /// None; a crash of the machine may undo it, and everything after it, but nothing before it.
    /// Anybody's next `Full` commit makes it durable too.
    Later,
}

/// Opens a file, making it if there is none.
fn connect(path: &Path, sync: Sync) -> rusqlite::Result<Connection> {
    let conn = Connection::open(path)?;
    conn.busy_timeout(BUSY_MAX)?;
    let mode =
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    if mode != "wal" {
        let refused = ffi::Error::new(ffi::SQLITE_READONLY);
        return Err(rusqlite::Error::SqliteFailure(refused, Some(format!("journal_mode {mode}"))));
    }
    conn.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    let synchronous = match sync {
        Sync::Full => "FULL",
        Sync::Later => "NORMAL",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    // where a plain fsync leaves data in the drive's cache (macOS)
    conn.pragma_update(None, "fullfsync", true)?;
    Ok(conn)
}

/// Moves what the log of `path` holds into the file itself, so that nothing is left beside it that
/// a copy put in its place would be mixed with. A file that is in use stays as it is.
pub fn settle(path: &Path) -> rusqlite::Result<()> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.busy_timeout(BUSY_MAX)?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// A number as `SQLite` keeps it. Terms, epochs, flights and counts stay far below 2^63, and a nonce
/// is only compared for equality.
fn stored(number: u64) -> i64 {
    number.cast_signed()
}

/// The number that [`stored`] has kept.
fn loaded(number: i64) -> u64 {
    number.cast_unsigned()
}

/// A part's number.
fn position(part: Part) -> i64 {
    stored(part.index() as u64)
}
