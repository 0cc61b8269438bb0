//! Looking into both files, with connections that cannot write.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Seq, Shard},
};
use errsift_pipeline::ports::{
    dead::DeadJobs,
    errors::{ErrorsFault, Settled},
    journal::JournalFault,
};
use rusqlite::{Connection, OpenFlags, params};

use super::{BUSY_MAX, dead_jobs, faults::refused, fence, loaded, stored, writer};
use crate::inspect::{
    InspectGuards, InspectJournal, JobPage, PAGE_BYTES_MAX, PAGE_JOBS, PendingRow, Standing,
    StoredJob,
};

/// Pending counts read in one snapshot: a longer one would hold up the file's checkpoints.
const PENDING_ROWS: usize = 1_000;

/// Looks into a journal's file.
pub struct Inspector {
    path: PathBuf,
    shard: Shard,
    conn: Option<Connection>,
}

/// Looks into a tables' file.
pub struct GuardInspector {
    path: PathBuf,
    shard: Shard,
}

/// Opens a file that is there.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_MAX)?;
    Ok(conn)
}

impl Inspector {
    pub fn new(path: PathBuf, shard: Shard) -> Self {
        Self { path, shard, conn: None }
    }

    /// Reads in one snapshot.
    fn read<T>(
        &mut self,
        work: impl FnOnce(&Connection, Shard) -> rusqlite::Result<T>,
    ) -> Result<T, JournalFault> {
        let (path, shard, conn) = (&self.path, self.shard, &mut self.conn);
        let outcome = (|| {
            let conn = match conn {
                Some(conn) => conn,
                none => none.insert(open(path)?),
            };
            let snapshot = conn.unchecked_transaction()?;
            work(&snapshot, shard)
        })();
        outcome.map_err(|error: rusqlite::Error| {
            self.conn = None;
            JournalFault::new(format!("{}: {error}", self.path.display()))
        })
    }
}

impl InspectJournal for Inspector {
    fn standing(&mut self) -> Result<Standing, JournalFault> {
        self.read(|conn, shard| {
            let base = conn.query_row("SELECT base FROM trimmed", [], |row| row.get(0))?;
            let list = "SELECT count(*), coalesce(sum(length(job)), 0) FROM jobs";
            let (jobs, bytes) = conn.query_row(list, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(Standing {
                fence: fence::read(conn, shard)?,
                base: Seq(loaded(base)),
                jobs: loaded(jobs),
                bytes: loaded(bytes),
            })
        })
    }

    fn jobs(&mut self, from: Seq) -> Result<JobPage, JournalFault> {
        self.read(|conn, _| {
            let base = conn.query_row("SELECT base FROM trimmed", [], |row| row.get(0))?;
            let mut select = conn.prepare_cached(
                "SELECT seq, job FROM jobs WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
            )?;
            let mut rows = select.query(params![stored(from.0), stored(PAGE_JOBS as u64)])?;
            let (mut jobs, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let job: Vec<u8> = row.get(1)?;
                bytes += job.len();
                if !jobs.is_empty() && bytes > PAGE_BYTES_MAX {
                    break;
                }
                jobs.push(StoredJob { at: Seq(loaded(row.get(0)?)), bytes: Bytes::from(job) });
            }
            Ok(JobPage { base: Seq(loaded(base)), jobs })
        })
    }

    fn pending(
        &mut self,
        epoch: Epoch,
        each: &mut dyn FnMut(PendingRow),
    ) -> Result<(), JournalFault> {
        let mut after: Vec<u8> = Vec::new();
        loop {
            let rows = self.read(|conn, _| {
                let mut select = conn.prepare_cached(
                    "SELECT fingerprint, count FROM pending WHERE epoch = ?1 AND fingerprint > ?2 \
                     ORDER BY fingerprint LIMIT ?3",
                )?;
                let rows = params![stored(epoch.0), after, stored(PENDING_ROWS as u64)];
                let rows = select.query_map(rows, |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect::<rusqlite::Result<Vec<(Vec<u8>, i64)>>>()
            })?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after.clone_from(last);
            for (fingerprint, count) in rows {
                let fingerprint = fingerprint.try_into().ok().map(Fingerprint);
                each(fingerprint.zip(u64::try_from(count).ok()));
            }
        }
    }

    fn dead(&mut self) -> Result<DeadJobs, JournalFault> {
        self.read(
            |conn, _| {
                if has_dead(conn)? { dead_jobs::together(conn) } else { Ok(DeadJobs::default()) }
            },
        )
    }

    fn dead_jobs(&mut self, skipped: u64, jobs_max: usize) -> Result<Vec<Bytes>, JournalFault> {
        self.read(|conn, _| {
            if has_dead(conn)? { dead_jobs::page(conn, skipped, jobs_max) } else { Ok(Vec::new()) }
        })
    }
}

/// A file that was last served by an older errsift has no table for them.
fn has_dead(conn: &Connection) -> rusqlite::Result<bool> {
    let named = "SELECT count(*) FROM sqlite_master WHERE name = 'dead_together'";
    conn.query_row(named, [], |row| row.get::<_, i64>(0)).map(|tables| tables > 0)
}

impl GuardInspector {
    pub fn new(path: PathBuf, shard: Shard) -> Self {
        Self { path, shard }
    }
}

impl InspectGuards for GuardInspector {
    fn settled(&mut self) -> Result<Settled, ErrorsFault> {
        open(&self.path)
            .and_then(|conn| {
                let snapshot = conn.unchecked_transaction()?;
                writer::settled(&snapshot, self.shard)
            })
            .map_err(|error| refused(&error))
    }
}
