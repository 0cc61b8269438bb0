//! The thread that keeps the journal in order for apply: it pages, trims and adds pending counts,
//! so that no worker waits for a socket.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crossbeam_channel::{Receiver, Sender, select, tick};
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Seq},
};

use crate::{
    apply::retry::Retry,
    counters::Counters,
    epochs::OpenEpochs,
    failpoints,
    ids::JournaledIds,
    lookout::Lookout,
    ports::{
        clock::Clock,
        errors::{Claim, ErrorsWriter, Settled},
        journal::{Backlog, Fence, Page},
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

/// How often the journal's size and fence are read.
const SIZE_INTERVAL: Duration = Duration::from_secs(1);
/// How often its settings are.
const SETTINGS_INTERVAL: Duration = Duration::from_secs(5);
/// Epochs trimmed last whose pending counts are dropped once more with each trim: a journal that
/// goes back has them again, and nobody else would know of them.
const RECENT_EPOCHS: usize = 64;

/// The keeper's belongings.
pub(crate) struct Keeper {
    pub(crate) backlog: Box<dyn Backlog>,
    pub(crate) errors: Box<dyn ErrorsWriter>,
    pub(crate) claim: Claim,
    pub(crate) epochs: Arc<OpenEpochs>,
    pub(crate) journaled: Arc<JournaledIds>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) asked: Receiver<Keep>,
    pub(crate) pages: Sender<Page>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) lookout: Arc<Lookout>,
    /// Epochs trimmed last.
    pub(crate) recent: VecDeque<Epoch>,
    /// The page that a journal without its last flights could not give.
    pub(crate) again: Option<Seq>,
}

impl Keeper {
    /// Runs until no worker can ask any more; what is left to trim is tried once more then.
    pub(crate) fn run(mut self) {
        let mut trim = None;
        let mut retry = Retry::default();
        let (asked, ticks) = (self.asked.clone(), tick(SIZE_INTERVAL));
        let settings = tick(SETTINGS_INTERVAL);
        loop {
            select! {
                recv(asked) -> keep => match keep {
                    Ok(Keep::Trim(epoch, seq)) => trim = Some((epoch, seq)),
                    Ok(Keep::Page(from)) => self.page(from, &mut retry),
                    Ok(Keep::ResetPending(epoch)) => self.reset_pending(epoch, &mut retry),
                    Ok(Keep::Pending(epoch, counts)) => self.add_pending(epoch, &counts),
                    Err(_) => {
                        trim.take_if(|(epoch, seq)| self.trim(*epoch, *seq));
                        return;
                    }
                },
                recv(ticks) -> _ => {
                    self.read_size();
                    self.went_back();
                    if let Some(from) = self.again.take() {
                        self.page(from, &mut retry);
                    }
                }
                recv(settings) -> _ => self.read_settings(),
            }
            // reading the guards back may take long while the tables are away: others go first
            if self.asked.is_empty() {
                trim.take_if(|(epoch, seq)| self.trim(*epoch, *seq));
            }
        }
    }

    /// Reads until it succeeds: without the page nothing can go on.
    fn page(&mut self, from: Seq, retry: &mut Retry) {
        failpoints::pass("recover_page");
        loop {
            match self.backlog.page(from, PAGE_JOBS) {
                Ok(page) => {
                    retry.succeeded();
                    // whatever came before was trimmed because every part has it
                    self.lookout.note_applied(Seq(page.base.0.saturating_sub(1)));
                    if page.jobs.is_empty() && self.went_back() {
                        self.again = Some(from);
                        return;
                    }
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
        failpoints::pass("recover_reset");
        retry.succeeded();
    }

    fn add_pending(&mut self, epoch: Epoch, counts: &[(Fingerprint, u64)]) {
        if epoch.0 <= self.counters.applied_epoch.get() {
            // trimmed already: nobody would delete them again
            return;
        }
        failpoints::pass("pending_begin");
        if let Err(fault) = self.backlog.add_pending(self.claim.term, epoch, counts) {
            tracing::warn!(%fault, epoch = epoch.0, "pending counts lost until the epoch is applied");
            self.counters.pending_lost.add(1);
        }
        failpoints::pass("pending_added");
    }

    /// Drops what every part confirms, read back from the tables; returns whether it is done.
    fn trim(&mut self, epoch: Epoch, seq: Seq) -> bool {
        failpoints::pass("trim_begin");
        let confirmed = match self.errors.settled(self.claim.shard) {
            Ok(settled) => {
                self.counters.settled(&settled);
                self.compare(&settled);
                settled.guards.iter().all(|guard| guard.epoch >= epoch)
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
        failpoints::pass("trim_confirmed");
        self.lookout.note_applied(seq);
        let mut epochs: Vec<_> = self
            .epochs
            .between(Epoch::default(), Some(Epoch(epoch.0 + 1)))
            .into_iter()
            .map(|(epoch, _)| epoch)
            .collect();
        let trimmed = epochs.clone();
        epochs.extend(&self.recent);
        let (ids, since) = self.journaled.keeping(epoch, self.clock.wall());
        if let Err(fault) = self.backlog.trim_keeping(seq, &epochs, &ids, since) {
            tracing::warn!(%fault, "journal not trimmed");
            return false;
        }
        failpoints::pass("trim_done");
        self.journaled.kept(epoch, (&ids, since));
        self.recent.extend(trimmed);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT_EPOCHS));
        self.epochs.forget(epoch);
        self.counters.applied_epoch.set(epoch.0);
        self.read_size();
        true
    }

    /// Compares what the tables have counted, set aside and dropped with what the fence said at the
    /// end of the epoch that they stand at: the ledger's second difference. Between two epochs there
    /// is nothing to say.
    fn compare(&self, settled: &Settled) {
        let at = settled.guards[0].epoch;
        if let Some(journaled) = self.epochs.total(at)
            && settled.guards.iter().all(|guard| guard.epoch == at)
        {
            self.counters.applied_difference.set(journaled, settled.events());
        }
    }

    /// Whether the journal has forgotten flights: then its writer, which may have nothing to write,
    /// is told.
    fn went_back(&mut self) -> bool {
        // read first: whatever is executed meanwhile only adds to the fence
        let executed = self.lookout.executed();
        let Claim { term, nonce, .. } = self.claim;
        let expected = Fence { term, nonce, seq: executed, ..Fence::default() };
        let behind = self.backlog.fence().is_ok_and(|found| expected.went_back(&found));
        if behind {
            self.lookout.doubt();
        }
        behind
    }

    /// Has the journal's writer look at settings that are weaker than asked. It refuses to go on
    /// with them until they are mended, and says which they are.
    fn read_settings(&mut self) {
        if let Ok(Some(_)) = self.backlog.weaker() {
            self.lookout.doubt();
        }
    }

    fn read_size(&mut self) {
        if let Ok(size) = self.backlog.size() {
            self.counters.journal_jobs.set(size.jobs);
            self.counters.journal_bytes.set(size.bytes);
        }
    }
}
