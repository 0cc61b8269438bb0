//! Holding the shard: a thread renews the holder's mark and notices that another has taken over,
//! also when no event comes.

use std::{
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::{
    ports::{
        errors::Claim,
        holder::{Beat, Holder, Place},
        journal::{Backlog, Fence},
    },
    stop::Stop,
};

/// How often the mark is renewed. A mark outlives several beats that are lost.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// The thread that renews the mark.
#[derive(Debug)]
pub struct Holding {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Holding {
    /// Marks the shard as held by this process, which runs at `place`. A successor is told to
    /// `stops`; a journal that does not answer only lets the mark run out.
    pub(crate) fn start(
        backlog: Box<dyn Backlog>,
        claim: &Claim,
        place: Place,
        stops: Sender<Stop>,
    ) -> Self {
        let mark = Holder { term: claim.term, nonce: claim.nonce, place };
        let (end, ended) = bounded(0);
        let mut beats = Beats { backlog, mark, stops, failures: 0, regressed: false };
        let thread = thread::Builder::new().name("holder".to_owned()).spawn(move || {
            beats.run(&ended);
        });
        Self { end, thread: thread.expect("the system has room for a thread at start") }
    }

    /// Ends the thread and takes the mark away, so that whoever stands by need not wait for it to
    /// run out. Blocks for as long as the journal takes to answer.
    pub fn release(self) {
        drop(self.end);
        // a thread that panicked has ended the process already
        drop(self.thread.join());
    }
}

struct Beats {
    backlog: Box<dyn Backlog>,
    mark: Holder,
    stops: Sender<Stop>,
    /// In a row.
    failures: u32,
    regressed: bool,
}

impl Beats {
    fn run(&mut self, ended: &Receiver<()>) {
        loop {
            if let Some(stop) = self.beat() {
                // whoever listens ends the process
                let _ = self.stops.send(stop);
                return;
            }
            match ended.recv_timeout(BEAT_INTERVAL) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Err(fault) = self.backlog.release(&self.mark) {
            tracing::warn!(%fault, "mark of the shard's holder left to run out");
        }
    }

    fn beat(&mut self) -> Option<Stop> {
        match self.backlog.beat(&self.mark) {
            Ok(Beat::Held) => {
                self.failures = 0;
                self.regressed = false;
                None
            }
            Ok(Beat::Fenced(found)) => self.fenced(&found),
            Err(fault) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures.is_power_of_two() {
                    let failures = self.failures;
                    tracing::warn!(%fault, failures, "mark of the shard's holder not renewed");
                }
                None
            }
        }
    }

    /// A term below ours is no successor's: the journal has gone back. The next commit settles
    /// that; here there is nothing to mark.
    fn fenced(&mut self, found: &Fence) -> Option<Stop> {
        if found.term < self.mark.term {
            if !std::mem::replace(&mut self.regressed, true) {
                tracing::error!(
                    ours = self.mark.term.0,
                    found = found.term.0,
                    "the fence has gone back to an earlier term"
                );
            }
            return None;
        }
        let (found, ours) = (found.term, self.mark.term);
        Some(Stop::Fenced(format!("the fence holds term {found}, ours is {ours}")))
    }
}
