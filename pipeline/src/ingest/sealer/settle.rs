//! What a flight's ending means: executed, refused, unknown, moved; and what is tried again when.

use std::{sync::Arc, time::Duration};

use errsift_ops::{id::Seq, tally::Tallied};

use super::{RETRY_PAUSE, Report, Sealer, State};
use crate::{
    ack::{Outcome, Waiter},
    failpoints,
    feed::Executed,
    ingest::flight::Sealed,
    ports::journal::{Armed, CommitFault, CommitResult, Fence, JournalFault},
    stop::Stop,
};

impl<W: Waiter> Sealer<W> {
    pub(super) fn committed(
        &mut self,
        result: CommitResult,
        heard_at: Duration,
    ) -> Option<Executed> {
        let state = std::mem::replace(&mut self.state, State::Stopped);
        let State::Out(mut flight) = state else {
            // the flight was settled another way; an answer this late says nothing new
            self.state = state;
            return None;
        };
        let now = self.clock.monotonic();
        match result {
            Ok(armed) => {
                self.counters.stages.settling.observe_duration(now.saturating_sub(heard_at));
                return Some(self.executed(flight, armed));
            }
            Err(CommitFault::Refused { reason, armed }) => {
                self.counters.refused.add(1);
                self.warn(flight.seq(), &reason, "journal refused flight");
                self.down();
                let (fence, until) = (flight.before, now + RETRY_PAUSE);
                let wanted = flight.ever_unknown || !flight.waiters.none_left();
                if !wanted {
                    self.counters.dropped.add(flight.events());
                }
                let flight = wanted.then_some(flight);
                self.state = State::Waiting { flight, fence, armed, until };
            }
            Err(CommitFault::Unknown { reason }) => {
                self.counters.unknown.add(1);
                // one lost answer is settled at once; a journal that keeps losing them is not rushed
                let until = if self.failures == 0 { now } else { now + RETRY_PAUSE };
                self.warn(flight.seq(), &reason, "journal's answer lost");
                self.down();
                flight.ever_unknown = true;
                let fence = flight.before;
                self.state = State::Waiting { flight: Some(flight), fence, armed: None, until };
            }
            Err(CommitFault::NotDurable { reason, armed }) => {
                tracing::warn!(seq = flight.seq().0, %reason, "flight executed, not yet durable");
                flight.ever_unknown = true;
                self.confirm(flight, armed);
            }
            Err(CommitFault::Broken { reason }) => {
                flight.waiters.answer(&Outcome::MaybeStored, now);
                self.stranded = flight.events();
                self.down();
                self.stop = Some(Stop::Broken(reason));
            }
            Err(CommitFault::Moved { found }) if flight.may_be(&found) => {
                // another copy got through: whether it is durable is for the rearming to say
                flight.ever_unknown = true;
                let fence = flight.before;
                self.state =
                    State::Waiting { flight: Some(flight), fence, armed: None, until: now };
            }
            Err(CommitFault::Moved { found }) => return self.settle_flight(flight, found),
        }
        None
    }

    fn confirm(&mut self, flight: Sealed<W>, armed: Armed) {
        let done = self.completion(&flight);
        self.state = State::Out(flight);
        self.journal.confirm(armed, done);
    }

    fn executed(&mut self, flight: Sealed<W>, armed: Armed) -> Executed {
        let journaled = armed.fence().events;
        let events = journaled.saturating_sub(flight.before.events);
        self.counters.flights.add(1);
        self.counters.stages.events.observe(events);
        self.counters.stages.entries.observe(flight.flight.entries.len() as u64);
        self.counters.stages.bytes.observe(flight.job.len() as u64);
        // an empty flight in the place of one that turned out not to be executed
        self.counters.dropped.add(flight.events().saturating_sub(events));
        self.counters.journaled.set(journaled);
        self.up();
        let (after, job) = (*armed.fence(), flight.job_at(armed.fence()));
        self.ring.push(after, job, self.clock.monotonic());
        self.lookout.note_executed(after.seq);
        self.epochs.executed(flight.seq(), flight.job.len());
        self.state = State::Ready(armed);
        Executed { seq: flight.seq(), job_bytes: flight.job.len(), flight: Some(flight.flight) }
    }

    pub(super) fn rearmed(&mut self, read: Result<Fence, JournalFault>) -> Option<Executed> {
        let state = std::mem::replace(&mut self.state, State::Stopped);
        let State::Rearming { flight, fence } = state else {
            self.state = state;
            return None;
        };
        if let Ok(found) = &read {
            self.note_read(&fence, found);
        }
        match (read, flight) {
            (Ok(found), Some(flight)) => self.settle_flight(flight, found),
            (Ok(found), None) => {
                match Armed::verify(&fence, found) {
                    Ok(armed) => self.send_probe(armed),
                    Err(_) => self.restore(None, fence, found),
                }
                None
            }
            (Err(fault), flight) => {
                self.down();
                self.warn(fence.seq, &fault.reason, "journal away");
                let until = self.clock.monotonic() + RETRY_PAUSE;
                self.state = State::Waiting { flight, fence, armed: None, until };
                None
            }
        }
    }

    /// Compares the fence as it was `found` with what was sent.
    fn settle_flight(&mut self, flight: Sealed<W>, found: Fence) -> Option<Executed> {
        failpoints::pass("rearm_settled");
        if let Ok(armed) = Armed::verify(&flight.after, found) {
            flight.waiters.answer(&Outcome::Stored, self.clock.monotonic());
            return Some(self.executed(flight, armed));
        }
        if let Some(first) = flight.first_sent()
            && let Ok(armed) = Armed::verify(first, found)
        {
            // the bytes first sent came through after all: apply finds them in the journal
            let mut executed = self.executed(flight, armed);
            executed.flight = None;
            return Some(executed);
        }
        if let Ok(armed) = Armed::verify(&flight.before, found) {
            self.send_again(flight, armed);
        } else {
            let before = flight.before;
            self.restore(Some(flight), before, found);
        }
        None
    }

    /// Sends a flight that was not executed so far: the same bytes while anybody waits for them,
    /// nothing if its number is free, and an empty flight of the same number if it may not be.
    fn send_again(&mut self, flight: Sealed<W>, armed: Armed) {
        if !flight.waiters.none_left() {
            self.send(flight, armed);
        } else if flight.ever_unknown {
            self.send(flight.emptied(self.shard), armed);
        } else {
            self.counters.dropped.add(flight.events());
            self.send_probe(armed);
        }
    }

    /// Sends an empty flight: only its success shows that the journal takes flights again, and
    /// nobody has to send an event for that.
    fn send_probe(&mut self, armed: Armed) {
        let (before, now) = (*armed.fence(), self.clock.monotonic());
        let epoch = self.epochs.current(now, self.clock.wall());
        let nothing = Tallied::default();
        self.send(Sealed::new(self.shard, before, epoch, nothing, now, &self.counters), armed);
    }

    /// The 1st, 2nd, 4th, 8th… failure in a row is worth a line.
    fn warn(&mut self, seq: Seq, reason: &str, what: &str) {
        self.failures += 1;
        if self.failures.is_power_of_two() {
            tracing::warn!(seq = seq.0, %reason, failures = self.failures, "{what}");
        }
    }

    pub(super) fn down(&mut self) {
        self.counters.journal_up.set(0);
        self.down_since.get_or_insert(self.clock.monotonic());
    }

    fn up(&mut self) {
        self.counters.journal_up.set(1);
        self.down_since = None;
        self.failures = 0;
        self.healing = None;
    }

    /// Tells those whose time is up; drops a flight that nobody waits for and that was certainly
    /// not executed.
    pub(super) fn expire(&mut self) {
        let now = self.clock.monotonic();
        match &mut self.state {
            State::Out(flight) | State::Rearming { flight: Some(flight), .. } => {
                if now >= flight.deadline {
                    flight.waiters.answer(&Outcome::MaybeStored, now);
                }
            }
            State::Waiting { flight, .. } => {
                let Some(waiting) = flight.as_ref().filter(|flight| now >= flight.deadline) else {
                    return;
                };
                if waiting.ever_unknown {
                    waiting.waiters.answer(&Outcome::MaybeStored, now);
                } else {
                    waiting.waiters.answer(&Outcome::NotStored, now);
                    self.counters.dropped.add(waiting.events());
                    *flight = None;
                }
            }
            State::Ready(_) | State::Rearming { flight: None, .. } | State::Stopped => {}
        }
    }

    /// Tries again what waited long enough.
    pub(super) fn resume(&mut self) {
        let now = self.clock.monotonic();
        if !matches!(&self.state, State::Waiting { until, .. } if now >= *until) {
            return;
        }
        let State::Waiting { flight, fence, armed, .. } =
            std::mem::replace(&mut self.state, State::Stopped)
        else {
            return;
        };
        match (flight, armed) {
            (Some(flight), Some(armed)) => self.send_again(flight, armed),
            (None, Some(armed)) => self.send_probe(armed),
            (flight, None) => {
                failpoints::pass("rearm_begin");
                self.lookout.looked_at();
                self.state = State::Rearming { flight, fence };
                let (reports, wake) = (self.reports.0.clone(), Arc::clone(&self.wake));
                self.journal.rearm(Box::new(move |read| {
                    let _ = reports.send(Report::Fence(read));
                    wake.wake();
                }));
            }
        }
    }
}
