//! The thread that keeps the journal in order for apply: it pages, trims, merges and adds pending
//! counts, so that no worker waits for a socket.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, after, never, select, tick};
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Part, Seq},
};

use crate::{
    apply::{merger::Merger, retry::Retry},
    counters::Counters,
    epochs::OpenEpochs,
    failpoints,
    feed::Feed,
    ids::JournaledIds,
    lookout::Lookout,
    ports::{
        clock::Clock,
        errors::{Claim, ErrorsWriter, Settled},
        journal::{Backlog, Fence, JournalFault, Page},
    },
    settings::PAGE_JOBS,
    stop::Stop,
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

/// Pause between two steps of merging, as a multiple of what the last one took: the journal's store
/// has others to serve.
const MERGE_PAUSE_FACTOR: u32 = 4;
const MERGE_PAUSE_MIN: Duration = Duration::from_millis(5);
const MERGE_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The keeper's belongings.
pub(crate) struct Keeper {
    pub(crate) backlog: Box<dyn Backlog>,
    pub(crate) errors: Box<dyn ErrorsWriter>,
    pub(crate) claim: Claim,
    pub(crate) feed: Arc<Feed>,
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
    pub(crate) stops: Sender<Stop>,
    pub(crate) merger: Merger,
    pub(crate) trim_lag: Duration,
    /// What is confirmed and not trimmed yet, and when that is due.
    pub(crate) lagging: VecDeque<(Duration, Epoch, Seq)>,
    /// Events that only the journal knew of, and only the tables, when both were found.
    pub(crate) apart: Option<(u64, u64)>,
}

impl Keeper {
    /// Runs until no worker can ask any more; what is left to trim is tried once more then.
    pub(crate) fn run(mut self) {
        let mut trim = None;
        let mut retry = Retry::default();
        let (asked, ticks) = (self.asked.clone(), tick(SIZE_INTERVAL));
        let settings = tick(SETTINGS_INTERVAL);
        let mut merge = never();
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
                recv(ticks) -> _ => {
                    self.read_size();
                    // what cannot be asked now is asked again
                    let _ = self.went_back();
                    if let Some(from) = self.again.take() {
                        self.page(from, &mut retry);
                    }
                    self.trim_lagging();
                    let idle = !self.merger.is_busy();
                    self.merger.tick(self.clock.monotonic());
                    if idle && self.merger.is_busy() {
                        merge = after(MERGE_PAUSE_MIN);
                    }
                }
                recv(settings) -> _ => self.read_settings(),
                recv(merge) -> _ => merge = self.merge(),
            }
            // reading the guards back may take long while the tables are away: others go first
            if self.asked.is_empty() && trim.is_some() {
                let _call = counters.pulse.call();
                trim.take_if(|(epoch, seq)| self.trim(*epoch, *seq));
            }
        }
    }

    /// Reads until it succeeds: without the page nothing can go on. A journal without its last
    /// flights is read again once it may have them, unless nobody will give it these.
    fn page(&mut self, from: Seq, retry: &mut Retry) {
        failpoints::pass("recover_page");
        let mut was_whole = false;
        loop {
            match self.backlog.page(from, PAGE_JOBS) {
                Ok(page) => {
                    // whatever came before was trimmed because every part has it
                    self.lookout.note_applied(Seq(page.base.0.saturating_sub(1)));
                    let lacks = page.jobs.is_empty() && page.base <= from;
                    if lacks && !self.feed.horizon().forgotten {
                        match self.went_back() {
                            Ok(true) => {
                                retry.succeeded();
                                self.again = Some(from);
                                return;
                            }
                            Ok(false) if was_whole => {}
                            // it may have got its flights again between the two answers
                            Ok(false) => {
                                was_whole = true;
                                continue;
                            }
                            Err(_) => {
                                retry.pause();
                                continue;
                            }
                        }
                    }
                    retry.succeeded();
                    let first = from.max(page.base).0;
                    self.merger.paged(Seq((first + page.jobs.len() as u64).saturating_sub(1)));
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
            .between(Epoch(self.counters.applied_epoch.get()), Some(Epoch(epoch.0 + 1)))
            .into_iter()
            .map(|(epoch, _)| epoch)
            .collect();
        let trimmed = epochs.clone();
        epochs.extend(&self.recent);
        let dropped = if self.trim_lag.is_zero() {
            self.drop_jobs(epoch, seq, &epochs)
        } else {
            self.backlog.reset_pending(&epochs)
        };
        if let Err(fault) = dropped {
            tracing::warn!(%fault, "journal not trimmed");
            return false;
        }
        failpoints::pass("trim_done");
        self.recent.extend(trimmed);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT_EPOCHS));
        self.counters.applied_epoch.set(epoch.0);
        if !self.trim_lag.is_zero() {
            self.lagging.push_back((self.clock.monotonic() + self.trim_lag, epoch, seq));
        }
        self.read_size();
        true
    }

    /// Drops what was confirmed long enough ago, if it still is.
    fn trim_lagging(&mut self) {
        let now = self.clock.monotonic();
        let due = self.lagging.iter().take_while(|(due, ..)| now >= *due).count();
        let Some((_, epoch, seq)) = due.checked_sub(1).map(|last| self.lagging[last]) else {
            return;
        };
        let Ok(guards) = self.errors.guards(self.claim.shard) else { return };
        if let Some((part, guard)) = Part::all().zip(&guards).find(|(_, at)| at.epoch < epoch) {
            // whoever listens ends the process
            let (expected, found) = (epoch, guard.epoch);
            let _ = self.stops.send(Stop::ErrorsRegressed { part, expected, found });
            self.lagging.clear();
            return;
        }
        match self.drop_jobs(epoch, seq, &[]) {
            Ok(()) => drop(self.lagging.drain(..due)),
            Err(fault) => tracing::warn!(%fault, "journal not trimmed"),
        }
    }

    /// Drops the jobs up to the flight `seq`, the last of `epoch`, and the pending counts of
    /// `epochs`; the ids of the jobs are kept.
    fn drop_jobs(&mut self, epoch: Epoch, seq: Seq, epochs: &[Epoch]) -> Result<(), JournalFault> {
        let (ids, since) = self.journaled.keeping(epoch, self.clock.wall());
        self.backlog.trim_keeping(seq, epochs, &ids, since)?;
        self.journaled.kept(epoch, (&ids, since));
        self.epochs.forget(epoch);
        Ok(())
    }

    /// Merges a little, and says when to go on.
    fn merge(&mut self) -> Receiver<Instant> {
        let begun = self.clock.monotonic();
        let mut failed = false;
        match self.merger.step(&mut *self.backlog) {
            Ok(jobs) => self.counters.merged.add((jobs as u64).saturating_sub(1)),
            Err(fault) => {
                failed = true;
                tracing::debug!(%fault, "jobs not merged");
            }
        }
        if !self.merger.is_busy() {
            return never();
        }
        let took = self.clock.monotonic().saturating_sub(begun);
        let pause = if failed { MERGE_PAUSE_MAX } else { took * MERGE_PAUSE_FACTOR };
        after(pause.clamp(MERGE_PAUSE_MIN, MERGE_PAUSE_MAX))
    }

    /// Compares what the tables have counted, set aside and dropped with what the fence said at the
    /// end of the epoch that they stand at: the ledger's second difference. Between two epochs there
    /// is nothing to say.
    fn compare(&mut self, settled: &Settled) {
        let at = settled.guards[0].epoch;
        if let Some(journaled) = self.epochs.total(at)
            && settled.guards.iter().all(|guard| guard.epoch == at)
        {
            let accounted = settled.events();
            if self.apart.is_none() && self.counters.tables_apart.get() > 0 {
                self.reckon_apart(journaled, accounted);
            }
            let (lost, foreign) = self.apart.unwrap_or_default();
            self.counters.applied_difference.set(journaled + foreign, accounted + lost);
        }
    }

    /// Whether the journal has forgotten flights: then its writer, which may have nothing to write,
    /// is told.
    fn went_back(&mut self) -> Result<bool, JournalFault> {
        // read first: whatever is executed meanwhile only adds to the fence
        let executed = self.lookout.executed();
        let Claim { term, nonce, .. } = self.claim;
        let expected = Fence { term, nonce, seq: executed, ..Fence::default() };
        let behind = expected.went_back(&self.backlog.fence()?);
        if behind {
            self.lookout.doubt();
        }
        Ok(behind)
    }

    /// Has the journal's writer look at settings that are weaker than asked. It refuses to go on
    /// with them until they are mended, and says which they are.
    fn read_settings(&mut self) {
        if let Ok(Some(_)) = self.backlog.weaker() {
            self.lookout.doubt();
        }
    }

    /// How far apart journal and tables were when this process found them, once all that the journal
    /// had is applied.
    fn reckon_apart(&mut self, journaled: u64, accounted: u64) {
        let lost = journaled.saturating_sub(accounted);
        if lost > 0 {
            tracing::error!(events = lost, "acknowledged events are lost with the tables");
            self.counters.acked_lost.add(lost);
        }
        self.apart = Some((lost, accounted.saturating_sub(journaled)));
    }

    fn read_size(&mut self) {
        if let Ok(size) = self.backlog.size() {
            self.counters.journal_jobs.set(size.jobs);
            self.counters.journal_bytes.set(size.bytes);
        }
    }
}
