//! The journal in a file: one shard's fence, jobs and pending counts.

use std::{path::PathBuf, thread};

use crossbeam_channel::{Sender, bounded};
use errsift_ops::id::{Nonce, Shard};
use errsift_pipeline::ports::{
    heal::Heal,
    journal::{
        Acquired, Armed, Backlog, Commit, CommitDone, CommitFault, FenceDone, Journal,
        JournalFault, Progress,
    },
};

use super::{
    Sync, Turn,
    backlog::EmbeddedBacklog,
    committer::{Committer, Order},
    connect, faults,
    inspect::Inspector,
    schema,
};
use crate::{
    inspect::InspectJournal,
    schema::{SchemaFault, SchemaVersion},
};

/// A journal's file. Handles made from it share its turn to write.
#[derive(Clone, Debug)]
pub struct JournalFile {
    path: PathBuf,
    shard: Shard,
    turn: Turn,
}

impl JournalFile {
    /// The journal of `shard` in the file `path`; nothing is opened yet. Make one per file and
    /// process.
    pub fn new(path: impl Into<PathBuf>, shard: Shard) -> Self {
        Self { path: path.into(), shard, turn: Turn::default() }
    }

    /// Makes the file if there is none and brings its schema up to this binary's version. A file
    /// that is newer, or another shard's, is refused.
    pub fn migrate(&self) -> Result<SchemaVersion, SchemaFault> {
        let _turn = self.turn.take();
        let mut conn = connect(&self.path, Sync::Full).map_err(|error| faults::refused(&error))?;
        schema::migrate_journal(&mut conn, self.shard)
    }

    /// The writing end, with a thread of its own that ends when the handle is dropped and its
    /// last commit has ended.
    pub fn journal(&self) -> std::io::Result<Box<dyn Journal>> {
        let (orders, arriving) = bounded(1);
        let committer = Committer::new(self.path.clone(), self.shard, self.turn.clone());
        thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || committer.run(&arriving))?;
        Ok(Box::new(EmbeddedJournal { orders }))
    }

    /// The reading end.
    pub fn backlog(&self) -> Box<dyn Backlog> {
        Box::new(EmbeddedBacklog::new(self.path.clone(), self.shard, self.turn.clone()))
    }

    /// An end that cannot write, and makes no file.
    pub fn inspect(&self) -> Box<dyn InspectJournal> {
        Box::new(Inspector::new(self.path.clone(), self.shard))
    }
}

/// Hands what is asked to the committer's thread.
struct EmbeddedJournal {
    orders: Sender<Order>,
}

const STOPPED: &str = "the committer has stopped";

impl Journal for EmbeddedJournal {
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        let (answer, answered) = bounded(1);
        let order = Order::Acquire { nonce, at_least, answer };
        self.orders.send(order).map_err(|_| JournalFault::new(STOPPED))?;
        answered.recv().map_err(|_| JournalFault::new(STOPPED))?
    }

    fn commit(&mut self, commit: Commit, done: CommitDone) {
        if let Err(unsent) = self.orders.send(Order::Commit(commit, done))
            && let Order::Commit(_, done) = unsent.into_inner()
        {
            done(Err(CommitFault::Refused { reason: STOPPED.to_owned(), armed: None }));
        }
    }

    /// A commit here is durable when it ends.
    fn confirm(&mut self, armed: Armed, done: CommitDone) {
        done(Ok(armed));
    }

    fn rearm(&mut self, done: FenceDone) {
        if let Err(unsent) = self.orders.send(Order::Rearm(done))
            && let Order::Rearm(done) = unsent.into_inner()
        {
            done(Err(JournalFault::new(STOPPED)));
        }
    }

    fn heal(&mut self, heal: Heal, done: FenceDone) {
        if let Err(unsent) = self.orders.send(Order::Heal(heal, done))
            && let Order::Heal(_, done) = unsent.into_inner()
        {
            done(Err(JournalFault::new(STOPPED)));
        }
    }
}
