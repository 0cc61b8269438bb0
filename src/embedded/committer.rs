//! The thread that commits flights.

use std::path::PathBuf;

use crossbeam_channel::{Receiver, Sender};
use errsift_ops::id::{Nonce, Shard};
use errsift_pipeline::{
    failpoints,
    ports::{
        heal::Heal,
        journal::{
            Acquired, Armed, Commit, CommitDone, CommitFault, CommitResult, Fence, FenceDone,
            JournalFault, Progress,
        },
    },
};
use rusqlite::{Connection, Error, ErrorCode, params};

use super::{Sync, Turn, connect, fence, heal, stored};

/// What the thread is asked to do.
pub enum Order {
    Commit(Commit, CommitDone),
    Rearm(FenceDone),
    Heal(Heal, FenceDone),
    Acquire { nonce: Nonce, at_least: Progress, answer: Sender<Result<Acquired, JournalFault>> },
}

/// Holds the connection that commits.
pub struct Committer {
    path: PathBuf,
    shard: Shard,
    turn: Turn,
    conn: Option<Connection>,
}

/// How a transaction of this thread failed.
enum Fault {
    /// Before COMMIT, or COMMIT itself said that nothing was written.
    Before(Error),
    /// In COMMIT.
    During(Error),
    /// The fence is not where it should be.
    Moved(Fence),
}

impl Committer {
    pub fn new(path: PathBuf, shard: Shard, turn: Turn) -> Self {
        Self { path, shard, turn, conn: None }
    }

    /// Works until nobody can ask any more.
    pub fn run(mut self, orders: &Receiver<Order>) {
        for order in orders {
            match order {
                Order::Commit(commit, done) => done(self.commit(&commit)),
                Order::Rearm(done) => done(self.read_fence().map_err(JournalFault::new)),
                Order::Heal(heal, done) => done(self.heal(&heal)),
                Order::Acquire { nonce, at_least, answer } => {
                    // whoever asked waits for it, unless its thread is gone
                    let _ = answer.send(self.acquire(nonce, at_least));
                }
            }
        }
    }

    fn commit(&mut self, commit: &Commit) -> CommitResult {
        let shard = self.shard;
        let outcome = self.transact(|conn| {
            let Some(read) = fence::advance(conn, shard, commit)? else {
                return Ok(Err(Fault::Moved(fence::read(conn, shard)?)));
            };
            conn.prepare_cached("INSERT INTO jobs (seq, job) VALUES (?1, ?2)")?
                .execute(params![stored(commit.fence.seq.0), &commit.job[..]])?;
            failpoints::pass("commit_sent");
            Ok(Ok(read))
        });
        failpoints::pass("commit_heard");
        match outcome {
            Ok(read) => Armed::verify(&commit.fence, read),
            Err(Fault::Moved(found)) => Err(CommitFault::Moved { found }),
            Err(Fault::During(error)) => Err(CommitFault::Unknown { reason: error.to_string() }),
            Err(Fault::Before(error)) => self.refused(commit.armed.fence(), &error),
        }
    }

    /// Refused, with leave to try again if the fence can be read and is where it was.
    fn refused(&mut self, expected: &Fence, error: &Error) -> CommitResult {
        let armed = match self.read_fence() {
            Ok(read) => Some(Armed::verify(expected, read)?),
            Err(_) => None,
        };
        Err(CommitFault::Refused { reason: error.to_string(), armed })
    }

    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        let shard = self.shard;
        let outcome = self.transact(|conn| {
            let before = fence::read(conn, shard)?;
            let after = match at_least.taken(&before, nonce) {
                Ok(after) => after,
                Err(refused) => return Ok(Ok(Err(refused))),
            };
            if at_least.leaves_behind(&before) {
                conn.execute_batch("DELETE FROM jobs; DELETE FROM pending")?;
                let base = stored(after.seq.next().0);
                conn.execute("UPDATE trimmed SET base = ?1", [base])?;
            }
            let read = fence::replace(conn, shard, &after)?;
            Ok(Ok(Ok((before, after, read))))
        });
        match outcome {
            Ok(Err(refused)) => Err(refused),
            Ok(Ok((before, after, read))) => Ok(Acquired {
                armed: Armed::verify(&after, read).map_err(JournalFault::new)?,
                before,
            }),
            Err(Fault::Before(error) | Fault::During(error)) => Err(JournalFault::new(error)),
            Err(Fault::Moved(found)) => Err(JournalFault::new(CommitFault::Moved { found })),
        }
    }

    fn heal(&mut self, heal: &Heal) -> Result<Fence, JournalFault> {
        let shard = self.shard;
        let outcome = self.transact(|conn| heal::give_back(conn, shard, heal).map(Ok));
        match outcome {
            Ok(Some(read)) => Ok(read),
            Ok(None) => Err(JournalFault::new("the list does not fit the fence")),
            Err(Fault::Before(error) | Fault::During(error)) => Err(JournalFault::new(error)),
            Err(Fault::Moved(found)) => Err(JournalFault::new(CommitFault::Moved { found })),
        }
    }

    fn read_fence(&mut self) -> rusqlite::Result<Fence> {
        let outcome = self.conn().and_then(|(conn, shard)| fence::read(conn, shard));
        if outcome.is_err() {
            self.conn = None;
        }
        outcome
    }

    fn conn(&mut self) -> rusqlite::Result<(&Connection, Shard)> {
        let conn = match &mut self.conn {
            Some(conn) => conn,
            none => none.insert(connect(&self.path, Sync::Full)?),
        };
        Ok((conn, self.shard))
    }

    /// One transaction. A fault drops the connection, and whatever was open in it.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let turn = self.turn.clone();
        let _turn = turn.take();
        let outcome = match self.conn() {
            Ok((conn, _)) => transact(conn, work),
            Err(error) => Err(Fault::Before(error)),
        };
        if outcome.is_err() {
            self.conn = None;
        }
        outcome
    }
}

fn transact<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, Fault>>,
) -> Result<T, Fault> {
    conn.execute_batch("BEGIN IMMEDIATE").map_err(Fault::Before)?;
    let done = work(conn).map_err(Fault::Before)??;
    conn.execute_batch("COMMIT").map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy) => Fault::Before(error),
        _ => Fault::During(error),
    })?;
    Ok(done)
}
