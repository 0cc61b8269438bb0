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
    id::{Epoch, Seq},
};

use self::aside::InHand;
use crate::{
    apply::{graveyard::Graveyard, merger::Merger, retry::Retry, unreadable::Unreadable},
    counters::Counters,
    epochs::OpenEpochs,
    failpoints,
    feed::Feed,
    ids::JournaledIds,
    lookout::Lookout,
    ports::{
        clock::Clock,
        dead::Recovery,
        errors::{Claim, ErrorsWriter},
        journal::{Backlog, Fence, JournalFault, Page},
    },
    settings::PAGE_JOBS,
    stop::Stop,
    wake::Wake,
};

mod aside;
mod trim;

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
    /// Put this job among the dead, and read jobs from it on.
    SetAside(Unreadable),
    /// Note that this job is about to be fed, and read it alone; one that has killed the process
    /// often enough is set aside first.
    Suspect(Seq),
    /// Note that this job was fed and did no harm.
    Clear(Seq),
    /// All jobs of earlier processes are fed.
    Recovered,
    /// End the process: the list is not what it should be.
    Stop(Stop),
}

/// How often the journal's size and fence are read.
const SIZE_INTERVAL: Duration = Duration::from_secs(1);
/// How often its settings are.
const SETTINGS_INTERVAL: Duration = Duration::from_secs(5);

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
    /// The last epoch that every part had when the shard was taken, as far as was known.
    pub(crate) applied: Epoch,
    /// Epochs trimmed last.
    pub(crate) recent: VecDeque<Epoch>,
    /// The request for a page that a journal without its last flights could not give.
    pub(crate) again: Option<Keep>,
    pub(crate) stops: Sender<Stop>,
    pub(crate) merger: Merger,
    pub(crate) trim_lag: Duration,
    /// What is confirmed and not trimmed yet, and when that is due.
    pub(crate) lagging: VecDeque<(Duration, Epoch, Seq)>,
    /// Events that only the journal knew of, and only the tables, when both were found.
    pub(crate) apart: Option<(u64, u64)>,
    pub(crate) graveyard: Graveyard,
    pub(crate) recovery: Recovery,
}

impl Keeper {
    /// Runs until no worker can ask any more; what is left to trim is tried once more then.
    pub(crate) fn run(mut self) {
        let mut hand = InHand::default();
        let mut retry = Retry::default();
        let (asked, ticks) = (self.asked.clone(), tick(SIZE_INTERVAL));
        let settings = tick(SETTINGS_INTERVAL);
        let mut merge = never();
        let counters = Arc::clone(&self.counters);
        loop {
            // between two attempts as well, it is the stores that are waited for
            let _waits = hand.waits().then(|| counters.pulse.call());
            select! {
                recv(asked) -> keep => {
                    let Ok(keep) = keep else { return self.trim_and_count(&mut hand) };
                    self.keep(keep, &mut hand, &mut retry);
                }
                recv(ticks) -> _ => {
                    self.tick(&mut hand, &mut retry);
                    let idle = !self.merger.is_busy();
                    self.merger.tick(self.clock.monotonic());
                    if idle && self.merger.is_busy() {
                        merge = after(MERGE_PAUSE_MIN);
                    }
                }
                recv(settings) -> _ => self.read_settings(),
                recv(merge) -> _ => merge = self.merge(),
                recv(hand.again) -> _ => {
                    hand.again = never();
                    self.bury(&mut hand, &mut retry);
                }
            }
            // reading the guards back may take long while the tables are away: others go first,
            // above all the one that clears a suspect
            if self.asked.is_empty() && hand.trim.is_some() && !self.recovery.suspects() {
                let _call = counters.pulse.call();
                hand.trim.take_if(|(epoch, seq)| self.trim(*epoch, *seq));
            }
        }
    }

    fn keep(&mut self, keep: Keep, hand: &mut InHand, retry: &mut Retry) {
        let counters = Arc::clone(&self.counters);
        let _call = counters.pulse.call();
        match keep {
            Keep::Trim(epoch, seq) => hand.trim = Some((epoch, seq)),
            Keep::Page(from) => self.page(from, retry),
            Keep::ResetPending(epoch) => self.reset_pending(epoch, retry),
            Keep::Pending(epoch, counts) => self.add_pending(epoch, &counts),
            Keep::SetAside(unreadable) => {
                self.clear(unreadable.seq);
                hand.unreadable = Some(unreadable);
                self.bury(hand, retry);
            }
            Keep::Suspect(seq) => self.suspect(seq, hand, retry),
            Keep::Clear(seq) => self.clear(seq),
            Keep::Recovered => hand.recovered(),
            Keep::Stop(stop) => self.stop(stop, retry),
        }
    }

    fn tick(&mut self, hand: &mut InHand, retry: &mut Retry) {
        self.read_size();
        // what cannot be asked now is asked again
        let _ = self.went_back();
        if let Some(keep) = self.again.take() {
            self.keep(keep, hand, retry);
        }
        if !self.recovery.suspects() {
            self.trim_lagging();
            self.tick_aside(hand);
        }
    }

    /// Ends the process. A list that has been trimmed or written by a successor looks damaged to
    /// its predecessor: the fence tells them apart.
    fn stop(&mut self, stop: Stop, retry: &mut Retry) {
        let found = loop {
            match self.backlog.fence() {
                Ok(found) => break found,
                Err(fault) => {
                    if retry.worth_a_line() {
                        tracing::warn!(%fault, failures = retry.failures(), %stop, "fence not read");
                    }
                    retry.pause();
                }
            }
        };
        let stop = told_apart(stop, &self.claim, &found);
        // whoever listens ends the process
        let _ = self.stops.send(stop);
    }

    fn page(&mut self, from: Seq, retry: &mut Retry) {
        failpoints::pass("recover_page");
        let jobs_max = if self.recovery.is_careful() { 1 } else { PAGE_JOBS };
        match self.read_page(from, jobs_max, retry) {
            Some(page) => self.send(from, page),
            None => self.again = Some(Keep::Page(from)),
        }
    }

    /// Hands over what was read from `from` on.
    fn send(&mut self, from: Seq, page: Page) {
        let first = from.max(page.base).0;
        self.merger.paged(Seq((first + page.jobs.len() as u64).saturating_sub(1)));
        // the worker is gone only when the process ends
        let _ = self.pages.send(page);
        self.wake.wake();
    }

    /// Reads until it succeeds: without the page nothing can go on. `None` if the journal lacks its
    /// last flights: it is read again once it may have them, unless nobody will give it these.
    fn read_page(&mut self, from: Seq, jobs_max: usize, retry: &mut Retry) -> Option<Page> {
        let mut was_whole = false;
        loop {
            match self.backlog.page(from, jobs_max) {
                Ok(page) => {
                    // whatever came before was trimmed because every part has it
                    self.lookout.note_applied(Seq(page.base.0.saturating_sub(1)));
                    let lacks = page.jobs.is_empty() && page.base <= from;
                    if lacks && !self.feed.horizon().forgotten {
                        match self.went_back() {
                            Ok(true) => {
                                retry.succeeded();
                                return None;
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
                    return Some(page);
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
        if epoch <= self.applied.max(Epoch(self.counters.applied_epoch.get())) {
            // nobody adds them to what is applied, and who trims their jobs may have done so already:
            // nobody would delete them again
            return;
        }
        failpoints::pass("pending_begin");
        if let Err(fault) = self.backlog.add_pending(self.claim.term, epoch, counts) {
            tracing::warn!(%fault, epoch = epoch.0, "pending counts lost until the epoch is applied");
            self.counters.pending_lost.add(1);
        }
        failpoints::pass("pending_added");
    }

    /// Merges a little, and says when to go on.
    fn merge(&mut self) -> Receiver<Instant> {
        let begun = self.clock.monotonic();
        if self.recovery.is_careful() {
            // a job that kills the process must not become part of another one
            return after(MERGE_PAUSE_MAX);
        }
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

    fn read_size(&mut self) {
        if let Ok(size) = self.backlog.size() {
            self.counters.journal_jobs.set(size.jobs);
            self.counters.journal_bytes.set(size.bytes);
        }
    }
}

/// What a list that is not as it should be comes from, when the fence is as `found`.
fn told_apart(stop: Stop, claim: &Claim, found: &Fence) -> Stop {
    let ours = Fence { term: claim.term, nonce: claim.nonce, ..Fence::default() };
    // a lower term is no successor's: the journal has gone back
    if ours.same_writer(found) || found.term < ours.term {
        return stop;
    }
    Stop::Fenced(format!("the fence holds term {}, ours is {}: {stop}", found.term, ours.term))
}

#[cfg(test)]
mod tests {
    use errsift_ops::id::{Nonce, Shard, Term};

    use super::*;

    #[test]
    fn a_list_that_a_successor_has_changed_is_not_damaged() {
        let claim = Claim { shard: Shard(0), term: Term(4), nonce: Nonce(7) };
        let told = |term, nonce| {
            let found = Fence { term: Term(term), nonce: Nonce(nonce), ..Fence::default() };
            told_apart(Stop::Gap { expected: Seq(3), found: Seq(5) }, &claim, &found)
        };
        assert!(matches!(told(5, 8), Stop::Fenced(_)));
        assert!(matches!(told(4, 8), Stop::Fenced(_)));
        assert!(matches!(told(4, 7), Stop::Gap { .. }));
        assert!(matches!(told(3, 8), Stop::Gap { .. }));
    }
}
