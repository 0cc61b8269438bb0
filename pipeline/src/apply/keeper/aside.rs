//! The keeper's part with jobs that are not fed: those that cannot be read, and those that kill the
//! process.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, never};
use errsift_ops::{
    id::{Epoch, Seq},
    job,
};

use super::{Keep, Keeper, SIZE_INTERVAL};
use crate::{
    apply::{graveyard::Obstacle, retry::Retry, unreadable::Unreadable},
    failpoints,
    ports::dead::Recovery,
};

/// What the pause grows by until a job that could not be set aside is tried again.
const AGAIN_MIN: Duration = Duration::from_millis(20);
/// How many intervals a process must live on after its recovery until the next start need not be a
/// careful one.
const SURVIVED_TICKS: u32 = 10;

/// What the keeper has in hand between two requests.
pub(super) struct InHand {
    pub(super) trim: Option<(Epoch, Seq)>,
    pub(super) unreadable: Option<Unreadable>,
    /// How often it could not be set aside, and when to try again.
    failures: u32,
    pub(super) again: Receiver<Instant>,
    /// Intervals since recovery was fed.
    survived: Option<u32>,
}

impl Default for InHand {
    fn default() -> Self {
        Self { trim: None, unreadable: None, failures: 0, again: never(), survived: None }
    }
}

impl InHand {
    /// Whether a job waits to be set aside.
    pub(super) fn waits(&self) -> bool {
        self.unreadable.is_some()
    }

    /// All jobs of earlier processes are fed.
    pub(super) fn recovered(&mut self) {
        self.survived = Some(0);
    }
}

impl Keeper {
    /// Looks after the dead, and notes when this start has come through.
    pub(super) fn tick_aside(&mut self, hand: &mut InHand) {
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

    /// The last that the keeper does.
    pub(super) fn trim_and_count(&mut self, hand: &mut InHand) {
        hand.trim.take_if(|(epoch, seq)| self.trim(*epoch, *seq));
        self.count_dead();
    }

    /// Sets aside what is to be, if journal and tables let it, and goes on from there. While they
    /// do not, nothing behind it can be applied anyway.
    pub(super) fn bury(&mut self, hand: &mut InHand, retry: &mut Retry) {
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
    pub(super) fn suspect(&mut self, from: Seq, hand: &mut InHand, retry: &mut Retry) {
        failpoints::pass("recover_page");
        let Some(page) = self.read_page(from, 1, retry) else {
            self.again = Some(Keep::Suspect(from));
            return;
        };
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
        // nothing looks into a blank
        if page.jobs.first().is_some_and(|job| job != job::BLANK) {
            self.note(self.recovery.suspecting(seq));
        }
        self.send(from, page);
    }

    pub(super) fn clear(&mut self, seq: Seq) {
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
    pub(super) fn come_through(&mut self) {
        if self.recovery != Recovery::default() {
            self.note(Recovery::default());
        }
    }

    pub(super) fn count_dead(&mut self) {
        let together = self.counters.tables_apart.get() == 0;
        let apart = self.apart.or(together.then_some((0, 0)));
        if let Err(obstacle) = self.graveyard.count(&mut *self.backlog, &mut *self.errors, apart) {
            tracing::debug!(%obstacle, "events of dead jobs not counted yet");
        }
    }
}
