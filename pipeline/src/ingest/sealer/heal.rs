//! A journal that went back: it gets its flights again, or this process must not go on.

use std::sync::Arc;

use super::{Report, Sealer, State};
use crate::{
    ack::{Outcome, Waiter},
    failpoints,
    ingest::flight::Sealed,
    ports::journal::Fence,
    stop::Stop,
};

impl<W: Waiter> Sealer<W> {
    /// Gives the journal that was `found` where `expected` should stand what it lacks, and settles
    /// `flight` after that: its number is the next one then. If that cannot be done, or the journal
    /// is another's by now, this process ends.
    pub(super) fn restore(&mut self, flight: Option<Sealed<W>>, expected: Fence, found: Fence) {
        let Some(heal) = self.ring.heal(&expected, found, self.lookout.applied()) else {
            if let Some(flight) = flight {
                flight.waiters.answer(&Outcome::MaybeStored, self.clock.monotonic());
                self.stranded = flight.events();
            }
            return self.halt(&expected, found);
        };
        let jobs = heal.jobs.len() as u64;
        if self.healing.is_none() {
            self.counters.regressions.add(1);
            let (expected, found) = (expected.seq.0, found.seq.0);
            let applied = self.lookout.applied().0;
            tracing::warn!(
                expected,
                found,
                applied,
                jobs,
                "journal went back, giving it its flights"
            );
        }
        self.healing = Some(self.healing.unwrap_or(0).max(jobs));
        self.down();
        self.state = State::Rearming { flight, fence: expected };
        let (reports, wake) = (self.reports.0.clone(), Arc::clone(&self.wake));
        self.journal.heal(
            heal,
            Box::new(move |read| {
                let _ = reports.send(Report::Fence(read));
                wake.wake();
            }),
        );
    }

    /// Notes where a fence was read that should stand at `expected`.
    pub(super) fn note_read(&mut self, expected: &Fence, found: &Fence) {
        if let Some(jobs) = self.healing.take_if(|_| expected == found) {
            failpoints::pass("healed");
            self.counters.healed_jobs.add(jobs);
            tracing::info!(seq = found.seq.0, jobs, "journal has its flights again");
        }
    }

    /// Reads fence and settings before the next flight, if somebody has seen that they may not be
    /// what they were.
    pub(super) fn look_again(&mut self) {
        if !self.in_doubt() {
            return;
        }
        if let State::Ready(armed) = std::mem::replace(&mut self.state, State::Stopped) {
            let (fence, until) = (*armed.fence(), self.clock.monotonic());
            self.state = State::Waiting { flight: None, fence, armed: None, until };
        }
    }

    /// Whether [`Sealer::look_again`] has something to do.
    pub(super) fn in_doubt(&self) -> bool {
        self.ready() && self.lookout.doubted()
    }

    pub(super) fn halt(&mut self, expected: &Fence, found: Fence) {
        self.state = State::Stopped;
        self.down();
        self.stop = Some(if expected.went_back(&found) {
            if self.healing.is_none() {
                self.counters.regressions.add(1);
            }
            self.counters.acked_lost.add(expected.events.saturating_sub(found.events));
            Stop::JournalRegressed { expected: expected.seq, found: found.seq }
        } else {
            Stop::Fenced(format!("journal holds term {}, ours is {}", found.term, expected.term))
        });
    }
}
