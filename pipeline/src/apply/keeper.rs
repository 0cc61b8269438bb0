//! The thread that keeps the journal in order for apply: it pages, trims and adds pending counts,
//! so that no worker waits for a socket.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, after, never, select, tick};
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Seq},
    job,
};

use crate::{
    apply::{
        graveyard::{Graveyard, Obstacle},
        retry::Retry,
        unreadable::Unreadable,
    },
    counters::Counters,
    epochs::OpenEpochs,
    ports::{
        dead::Recovery,
        errors::{Claim, ErrorsWriter, Guards},
        journal::{Backlog, Page},
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
    /// Put this job among the dead, and read jobs from it on.
    SetAside(Unreadable),
    /// Note that this job is about to be fed, and read it alone; one that has killed the process
    /// often enough is set aside first.
    Suspect(Seq),
    /// Note that this job was fed and did no harm.
    Clear(Seq),
    /// All jobs of earlier processes are fed.
    Recovered,
}

/// How often the journal's size is read.
const SIZE_INTERVAL: Duration = Duration::from_secs(1);
/// What the pause grows by until a job that could not be set aside is tried again.
const AGAIN_MIN: Duration = Duration::from_millis(20);
/// How many such intervals a process must live on after its recovery until the next start need not
/// be a careful one.
const SURVIVED_TICKS: u32 = 10;

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
    pub(crate) graveyard: Graveyard,
    pub(crate) recovery: Recovery,
    pub(crate) stops: Sender<Stop>,
}

/// What the keeper has in hand between two requests.
struct InHand {
    trim: Option<(Epoch, Seq)>,
    unreadable: Option<Unreadable>,
    /// How often it could not be set aside, and when to try again.
    failures: u32,
    again: Receiver<Instant>,
    /// Intervals since recovery was fed.
    survived: Option<u32>,
}

impl Keeper {
    /// Runs until no worker can ask any more; what is left to trim is tried once more then.
    pub(crate) fn run(mut self) {
        let mut hand =
            InHand { trim: None, unreadable: None, failures: 0, again: never(), survived: None };
        let mut retry = Retry::default();
        let (asked, ticks) = (self.asked.clone(), tick(SIZE_INTERVAL));
        loop {
            select! {
                recv(asked) -> keep => {
                    let Ok(keep) = keep else { return self.trim_and_count(&mut hand) };
                    self.keep(keep, &mut hand, &mut retry);
                }
                recv(ticks) -> _ => self.tick(&mut hand),
                recv(hand.again) -> _ => {
                    hand.again = never();
                    self.bury(&mut hand, &mut retry);
                }
            }
            // reading the guards back may take long while the tables are away: others go first,
            // above all the one that clears a suspect
            if self.asked.is_empty() && !self.recovery.suspects() {
                hand.trim.take_if(|(epoch, seq)| self.trim(*epoch, *seq));
            }
        }
    }

    fn keep(&mut self, keep: Keep, hand: &mut InHand, retry: &mut Retry) {
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
            Keep::Recovered => hand.survived = Some(0),
        }
    }

    fn tick(&mut self, hand: &mut InHand) {
        self.read_size();
        if self.recovery.suspects() {
            return;
        }
        self.graveyard.look_again(&mut *self.backlog);
        self.count_dead();
        if let Some(ticks) = &mut hand.survived {
            *ticks += 1;
            if *ticks >= SURVIVED_TICKS {
                hand.survived = None;
                self.come_through();
            }
        }
    }

    fn trim_and_count(&mut self, hand: &mut InHand) {
        hand.trim.take_if(|(epoch, seq)| self.trim(*epoch, *seq));
        self.count_dead();
    }

    /// Sets aside what is to be, if journal and tables let it, and goes on from there. While they
    /// do not, nothing behind it can be applied anyway.
    fn bury(&mut self, hand: &mut InHand, retry: &mut Retry) {
        let Some(unreadable) = &hand.unreadable else { return };
        let seq = unreadable.seq;
        match self.graveyard.bury(&mut *self.backlog, &mut *self.errors, unreadable) {
            Ok(_) => {
                hand.unreadable = None;
                hand.failures = 0;
                self.clear(seq);
                self.page(seq, retry);
            }
            Err(Obstacle::Stop(stop)) => {
                hand.unreadable = None;
                // whoever listens ends the process
                let _ = self.stops.send(stop);
            }
            Err(obstacle) => {
                if hand.failures.is_power_of_two() {
                    tracing::warn!(
                        %obstacle,
                        seq = seq.0,
                        "job cannot be read, and not be set aside yet"
                    );
                }
                hand.failures = hand.failures.saturating_add(1);
                hand.again = after(AGAIN_MIN.saturating_mul(hand.failures).min(SIZE_INTERVAL));
            }
        }
    }

    /// Reads one job, noted before anything looks into it.
    fn suspect(&mut self, from: Seq, hand: &mut InHand, retry: &mut Retry) {
        let page = self.read_page(from, 1, retry);
        let seq = from.max(page.base);
        if let Some(job) = page.jobs.first()
            && self.recovery.condemns(seq)
            // what is not whole cannot be fed, and its header may say anything
            && job::is_whole(job)
        {
            let deaths = self.recovery.deaths;
            let reason = format!("the process died {deaths} times in a row when it was fed");
            let header = job::header(job).ok().filter(|header| header.seq == seq);
            if let Some(header) = header.filter(|header| !header.tombstone) {
                let (term, epoch) = (header.term, header.epoch);
                hand.unreadable = Some(Unreadable { seq, job: job.clone(), term, epoch, reason });
                return self.bury(hand, retry);
            }
        }
        if !page.jobs.is_empty() {
            self.note(self.recovery.suspecting(seq));
        }
        self.send(page);
    }

    fn clear(&mut self, seq: Seq) {
        let cleared = self.recovery.cleared(seq);
        if cleared != self.recovery {
            self.note(cleared);
        }
    }

    /// Has the journal keep how this start goes; tries until it does.
    fn note(&mut self, recovery: Recovery) {
        let mut retry = Retry::default();
        while let Err(fault) = self.backlog.note_recovery(&self.claim, &recovery) {
            if retry.worth_a_line() {
                tracing::warn!(%fault, "state of the recovery not noted");
            }
            retry.pause();
        }
        self.recovery = recovery;
        self.counters.unfinished_starts.set(recovery.starts);
    }

    /// This start has come through: the next one need not be careful.
    fn come_through(&mut self) {
        if self.recovery != Recovery::default() {
            self.note(Recovery::default());
        }
    }

    fn count_dead(&mut self) {
        if let Err(obstacle) = self.graveyard.count(&mut *self.backlog, &mut *self.errors) {
            tracing::debug!(%obstacle, "events of dead jobs not counted yet");
        }
    }

    fn page(&mut self, from: Seq, retry: &mut Retry) {
        let jobs_max = if self.recovery.is_careful() { 1 } else { PAGE_JOBS };
        let page = self.read_page(from, jobs_max, retry);
        self.send(page);
    }

    fn send(&self, page: Page) {
        // the worker is gone only when the process ends
        let _ = self.pages.send(page);
        self.wake.wake();
    }

    /// Reads until it succeeds: without the page nothing can go on.
    fn read_page(&mut self, from: Seq, jobs_max: usize, retry: &mut Retry) -> Page {
        loop {
            match self.backlog.page(from, jobs_max) {
                Ok(page) => {
                    retry.succeeded();
                    return page;
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
        self.count_dead();
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
        self.come_through();
        true
    }

    /// Compares what the tables have counted with what the fence said at the end of the epoch that
    /// they stand at: the ledger's second difference. Between two epochs there is nothing to say.
    /// Nor is there while the events of a dead job are not known.
    fn compare(&self, guards: &Guards) {
        if !self.graveyard.is_counted() {
            return;
        }
        if let Some(journaled) = self.graveyard.journaled(guards) {
            let counted: u64 = guards.iter().map(|guard| guard.events).sum();
            let dead = self.counters.dead_events();
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
