//! The reading end of the journal's file, and its pending counts.

use std::path::PathBuf;

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Seq, Shard, Term},
    timestamp::Timestamp,
};
use errsift_pipeline::{
    ports::{
        holder::{Beat, Holder},
        journal::{Backlog, Fence, JobIds, JournalFault, JournalSize, Merge, Page},
    },
    settings::PAGE_BYTES_MAX,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Sync, Turn, connect, fence, holder, ids, loaded, stored};

/// The reading end.
///
/// Its commits are not synced: what a crash of the machine can undo is a trim, which is done again
/// after recovery, and pending counts, which are counted anew from the jobs.
pub struct EmbeddedBacklog {
    path: PathBuf,
    shard: Shard,
    turn: Turn,
    conn: Option<Connection>,
}

impl EmbeddedBacklog {
    pub fn new(path: PathBuf, shard: Shard, turn: Turn) -> Self {
        Self { path, shard, turn, conn: None }
    }

    /// Reads in one snapshot.
    fn read<T>(
        &mut self,
        work: impl FnOnce(&Connection, Shard) -> rusqlite::Result<T>,
    ) -> Result<T, JournalFault> {
        self.within("BEGIN", work)
    }

    /// Writes in one transaction.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&Connection, Shard) -> rusqlite::Result<T>,
    ) -> Result<T, JournalFault> {
        let turn = self.turn.clone();
        let _turn = turn.take();
        self.within("BEGIN IMMEDIATE", work)
    }

    fn within<T>(
        &mut self,
        begin: &str,
        work: impl FnOnce(&Connection, Shard) -> rusqlite::Result<T>,
    ) -> Result<T, JournalFault> {
        let (path, shard, conn) = (&self.path, self.shard, &mut self.conn);
        let outcome = (|| {
            let conn = match conn {
                Some(conn) => conn,
                none => none.insert(connect(path, Sync::Later)?),
            };
            conn.execute_batch(begin)?;
            let done = work(conn, shard)?;
            conn.execute_batch("COMMIT")?;
            Ok(done)
        })();
        // an open transaction goes with its connection
        outcome.map_err(|error: rusqlite::Error| {
            self.conn = None;
            JournalFault::new(error)
        })
    }
}

impl Backlog for EmbeddedBacklog {
    fn page(&mut self, from: Seq, jobs_max: usize) -> Result<Page, JournalFault> {
        let jobs_max = i64::try_from(jobs_max).unwrap_or(i64::MAX);
        self.read(|conn, _| {
            let base = conn.query_row("SELECT base FROM trimmed", [], |row| row.get(0))?;
            let mut select =
                conn.prepare_cached("SELECT job FROM jobs WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
            let mut rows = select.query([stored(from.0), jobs_max])?;
            let (mut jobs, mut bytes) = (Vec::new(), 0);
            while bytes < PAGE_BYTES_MAX
                && let Some(row) = rows.next()?
            {
                let job: Vec<u8> = row.get(0)?;
                bytes += job.len();
                jobs.push(Bytes::from(job));
            }
            Ok(Page { base: Seq(loaded(base)), jobs })
        })
    }

    fn add_pending(
        &mut self,
        term: Term,
        epoch: Epoch,
        counts: &[(Fingerprint, u64)],
    ) -> Result<(), JournalFault> {
        self.write(|conn, shard| {
            if fence::read(conn, shard)?.term != term {
                return Ok(());
            }
            let mut upsert = conn.prepare_cached(
                "INSERT INTO pending (epoch, fingerprint, count) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (epoch, fingerprint) DO UPDATE SET count = count + excluded.count",
            )?;
            for (fingerprint, count) in counts {
                upsert.execute(params![stored(epoch.0), fingerprint.0, stored(*count)])?;
            }
            Ok(())
        })
    }

    fn reset_pending(&mut self, epochs: &[Epoch]) -> Result<(), JournalFault> {
        self.write(|conn, _| forget(conn, epochs))
    }

    fn pending(
        &mut self,
        fingerprint: &Fingerprint,
        epochs: &[Epoch],
    ) -> Result<Vec<u64>, JournalFault> {
        self.read(|conn, _| pending(conn, fingerprint, epochs))
    }

    fn pending_all(
        &mut self,
        fingerprints: &[Fingerprint],
        epochs: &[Epoch],
    ) -> Result<Vec<Vec<u64>>, JournalFault> {
        self.read(|conn, _| {
            fingerprints.iter().map(|fingerprint| pending(conn, fingerprint, epochs)).collect()
        })
    }

    fn fence(&mut self) -> Result<Fence, JournalFault> {
        self.read(fence::read)
    }

    fn size(&mut self) -> Result<JournalSize, JournalFault> {
        self.read(|conn, _| {
            conn.query_row("SELECT count(*), coalesce(sum(length(job)), 0) FROM jobs", [], |row| {
                Ok(JournalSize { jobs: loaded(row.get(0)?), bytes: loaded(row.get(1)?) })
            })
        })
    }

    fn trim_keeping(
        &mut self,
        upto: Seq,
        epochs: &[Epoch],
        ids: &[JobIds],
        since: Timestamp,
    ) -> Result<(), JournalFault> {
        self.write(|conn, shard| {
            ids::keep(conn, ids, since)?;
            // never past the last flight: the next one's job must find its place
            let upto = upto.min(fence::read(conn, shard)?.seq);
            conn.execute("DELETE FROM jobs WHERE seq <= ?1", [stored(upto.0)])?;
            conn.execute("UPDATE trimmed SET base = max(base, ?1)", [stored(upto.next().0)])?;
            forget(conn, epochs)
        })
    }

    fn kept_ids(&mut self) -> Result<Vec<JobIds>, JournalFault> {
        self.read(|conn, _| ids::kept(conn))
    }

    fn merge(&mut self, merge: &Merge) -> Result<bool, JournalFault> {
        self.write(|conn, shard| {
            let base = conn.query_row("SELECT base FROM trimmed", [], |row| row.get(0))?;
            let fence = fence::read(conn, shard)?;
            if fence.term != merge.term || !merge.is_within(Seq(loaded(base)), fence.seq) {
                return Ok(false);
            }
            let mut replace = conn.prepare_cached("UPDATE jobs SET job = ?1 WHERE seq = ?2")?;
            for seq in &merge.blanked {
                replace.execute(params![&Merge::blank()[..], stored(seq.0)])?;
            }
            replace.execute(params![&merge.job[..], stored(merge.seq.0)])?;
            Ok(true)
        })
    }

    fn beat(&mut self, mark: &Holder) -> Result<Beat, JournalFault> {
        self.write(|conn, shard| holder::beat(conn, shard, mark))
    }

    fn holder(&mut self) -> Result<Option<Holder>, JournalFault> {
        // asked before anything is made
        if !self.path.exists() {
            return Ok(None);
        }
        self.read(holder::read)
    }

    fn release(&mut self, mark: &Holder) -> Result<(), JournalFault> {
        self.write(|conn, shard| holder::release(conn, shard, mark))
    }
}

fn pending(
    conn: &Connection,
    fingerprint: &Fingerprint,
    epochs: &[Epoch],
) -> rusqlite::Result<Vec<u64>> {
    let mut select =
        conn.prepare_cached("SELECT count FROM pending WHERE epoch = ?1 AND fingerprint = ?2")?;
    let mut counts = Vec::with_capacity(epochs.len());
    for epoch in epochs {
        let count = select
            .query_row(params![stored(epoch.0), fingerprint.0], |row| row.get(0))
            .optional()?;
        counts.push(count.map_or(0, loaded));
    }
    Ok(counts)
}

fn forget(conn: &Connection, epochs: &[Epoch]) -> rusqlite::Result<()> {
    let mut delete = conn.prepare_cached("DELETE FROM pending WHERE epoch = ?1")?;
    for epoch in epochs {
        delete.execute([stored(epoch.0)])?;
    }
    Ok(())
}
