//! The writing end of a journal, behind faults.

use errsift_ops::id::Nonce;

use super::{Faulty, How};
use crate::ports::{
    heal::Heal,
    journal::{
        Acquired, Armed, Commit, CommitDone, CommitFault, CommitResult, FenceDone, Journal,
        JournalFault, Progress,
    },
};

impl<J: Journal> Journal for Faulty<J> {
    /// Never fails: a process that cannot take its shard does not start.
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        self.store.acquire(nonce, at_least)
    }

    fn commit(&mut self, commit: Commit, done: CommitDone) {
        self.arrive();
        match self.faults.next_commit() {
            None => self.store.commit(commit, done),
            Some(How::Refused) => done(Err(CommitFault::Refused {
                reason: "fault on purpose".to_owned(),
                armed: commit.fence.seq.0.is_multiple_of(2).then_some(commit.armed),
            })),
            Some(How::LostRequest) => done(Err(lost())),
            Some(How::LostAnswer) => {
                self.store.commit(commit, Box::new(move |_| done(Err(lost()))));
            }
            Some(How::Late) => {
                self.delay(|journal| journal.commit(commit, Box::new(drop)));
                done(Err(lost()));
            }
            Some(How::NotDurable) => {
                let done = move |result: CommitResult| done(result.and_then(not_durable));
                self.store.commit(commit, Box::new(done));
            }
        }
    }

    fn confirm(&mut self, armed: Armed, done: CommitDone) {
        self.arrive();
        match self.faults.next_commit() {
            None => self.store.confirm(armed, done),
            Some(How::Refused | How::NotDurable) => done(not_durable(armed)),
            Some(How::LostRequest | How::LostAnswer | How::Late) => done(Err(lost())),
        }
    }

    fn rearm(&mut self, done: FenceDone) {
        self.arrive();
        match self.faults.journal() {
            Ok(()) => self.store.rearm(done),
            Err(fault) => done(Err(fault)),
        }
    }

    fn heal(&mut self, heal: Heal, done: FenceDone) {
        let lost = || Err(JournalFault::new("fault on purpose"));
        self.arrive();
        match self.faults.next_change() {
            None => self.store.heal(heal, done),
            Some(How::LostAnswer) => self.store.heal(heal, Box::new(move |_| done(lost()))),
            Some(How::Late) => {
                self.delay(|journal| journal.heal(heal, Box::new(drop)));
                done(lost());
            }
            Some(_) => done(lost()),
        }
    }
}

fn lost() -> CommitFault {
    CommitFault::Unknown { reason: "fault on purpose".to_owned() }
}

fn not_durable(armed: Armed) -> CommitResult {
    Err(CommitFault::NotDurable { reason: "fault on purpose".to_owned(), armed })
}
