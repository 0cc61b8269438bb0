//! The thread that keeps the journal in order for apply: it pages, trims and adds pending counts,
//! so that no worker waits for a socket.

use std::{sync::Arc, time::Duration};

use crossbeam_channel::{Receiver, Sender, select, tick};
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Seq},
};

use crate::{
    apply::retry::Retry,
    counters::Counters,
    epochs::OpenEpochs,
    ports::{
        errors::{Claim, ErrorsWriter, Guards},
        journal::{Backlog, Page},
    },
    settings::PAGE_JOBS,
    wake::Wake,
};

/// What a worker asks for.
#[derive(Debug)]
pub(crate) enum Keep {
    /// Read jobs from this one on.
    Page(Seq),
    /// Forget what was pending in this epoch; it is counted anew.
    ResetPending(Epoch),
    /// Add to what is pending in this epoch.
    Pending(Epoch, Vec<(Fingerprint, u64)>),
    /// Drop what is applied, up to this epoch and its last flight.
    Trim(Epoch, Seq),
}

/// How often the journal's size is read.
const SIZE_INTERVAL: Duration = Duration::from_secs(1);

/// The keeper's belongings.
pub(crate) struct Keeper {
    pub(crate) backlog: Box<dyn Backlog>,
    pub(crate) errors: Box<dyn ErrorsWriter>,
    pub(crate) claim: Claim,
    pub(crate) epochs: Arc<OpenEpochs>,
    pub(crate) asked: Receiver<Keep>,
    pub(crate) pages: Sender<Page>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) counters: Arc<Counters>,
}

impl Keeper {
    /// Runs until no worker can ask any more; what is left to trim is tried once more then.
    pub(crate) fn run(mut self) {
        let mut trim = None;
        let mut retry = Retry::default();
        let (asked, ticks) = (self.asked.clone(), tick(SIZE_INTERVAL));
        let counters = Arc::clone(&self.counters);
        loop {
            select! {
                recv(asked) -> keep => match keep {
                    Ok(Keep::Trim(epoch, seq)) => trim = Some((epoch, seq)),
                    Ok(Keep::Page(from)) => {
                        let _call = counters.pulse.call();
                        self.page(from, &mut retry);
                    }
                    Ok(Keep::ResetPending(epoch)) => {
                        let _call = counters.pulse.call();
                        self.reset_pending(epoch, &mut retry);
                    }
                    Ok(Keep::Pending(epoch, counts)) => {
                        let _call = counters.pulse.call();
                        self.add_pending(epoch, &counts);
                    }
                    Err(_) => {
                        trim.take_if(|(epoch, seq)| self.trim(*epoch, *seq));
                        return;
                    }
                },
                recv(ticks) -> _ => self.read_size(),
            }
            // reading the guards back may take long while the tables are away: others go first
            if self.asked.is_empty() && trim.is_some() {
                let _call = counters.pulse.call();
                trim.take_if(|(epoch, seq)| self.trim(*epoch, *seq));
            }
        }
    }

    /// Reads until it succeeds: without the page nothing can go on.
    fn page(&mut self, from: Seq, retry: &mut Retry) {
        loop {
            match self.backlog.page(from, PAGE_JOBS) {
                Ok(page) => {
                    retry.succeeded();
                    // the worker is gone only when the process ends
                    let _ = self.pages.send(page);
                    self.wake.wake();
                    return;
                }
                Err(fault) => {
                    if retry.worth_a_line() {
                        tracing::warn!(%fault, failures = retry.failures(), "journal not read");
                    }
                    retry.pause();
                }
            }
        }
    }

    /// Tries until it succeeds: what is counted anew would come on top of what is there.
    fn reset_pending(&mut self, epoch: Epoch, retry: &mut Retry) {
        while let Err(fault) = self.backlog.reset_pending(&[epoch]) {
            if retry.worth_a_line() {
                tracing::warn!(%fault, epoch = epoch.0, "pending counts not reset");
            }
            retry.pause();
        }
        retry.succeeded();
    }

    fn add_pending(&mut self, epoch: Epoch, counts: &[(Fingerprint, u64)]) {
        if epoch.0 <= self.counters.applied_epoch.get() {
            // trimmed already: nobody would delete them again
            return;
        }
        if let Err(fault) = self.backlog.add_pending(self.claim.term, epoch, counts) {
            tracing::warn!(%fault, epoch = epoch.0, "pending counts lost until the epoch is applied");
            self.counters.pending_lost.add(1);
        }
    }

    /// Drops what every part confirms, read back from the tables; returns whether it is done.
    fn trim(&mut self, epoch: Epoch, seq: Seq) -> bool {
        let confirmed = match self.errors.guards(self.claim.shard) {
            Ok(guards) => {
                self.compare(&guards);
                guards.iter().all(|guard| guard.epoch >= epoch)
            }
            Err(fault) => {
                tracing::debug!(%fault, "guards not read back, nothing trimmed");
                return false;
            }
        };
        if !confirmed {
            tracing::error!(
                epoch = epoch.0,
                "applied epoch is not in the guard rows, keeping its jobs"
            );
            return false;
        }
        let epochs: Vec<_> = self
            .epochs
            .between(Epoch::default(), Some(Epoch(epoch.0 + 1)))
            .into_iter()
            .map(|(epoch, _)| epoch)
            .collect();
        if let Err(fault) = self.backlog.trim(seq, &epochs) {
            tracing::warn!(%fault, "journal not trimmed");
            return false;
        }
        self.epochs.forget(epoch);
        self.counters.applied_epoch.set(epoch.0);
        self.read_size();
        true
    }

    /// Compares what the tables have counted with what the fence said at the end of the epoch that
    /// they stand at: the ledger's second difference. Between two epochs there is nothing to say.
    fn compare(&self, guards: &Guards) {
        let at = guards[0].epoch;
        if let Some(journaled) = self.epochs.total(at)
            && guards.iter().all(|guard| guard.epoch == at)
        {
            let counted: u64 = guards.iter().map(|guard| guard.events).sum();
            let dead = self.counters.dead.get();
            self.counters.applied_difference.set(journaled, counted + dead);
        }
    }

    fn read_size(&mut self) {
        if let Ok(size) = self.backlog.size() {
            self.counters.journal_jobs.set(size.jobs);
            self.counters.journal_bytes.set(size.bytes);
        }
    }
}
