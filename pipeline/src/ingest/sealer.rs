//! The commit protocol: one flight out at a time, and what each ending of it means.
//!
//! ```text
//!            commit                    executed
//!   Ready ───────────► Out ─────────────────────────────► Ready
//!     ▲                 │ refused            unknown │
//!     │ armed           ▼                            ▼
//!     └───────────── Waiting ──── not armed ────► Rearming ── fence says: n ► executed
//!                                                               n-1 ► send the same bytes again
//!                                                               below ► the journal is healed
//!                                                               another writer ► fenced
//! ```
//!
//! A flight that was ever unknown keeps its number until the fence has been read; a refused one
//! gives it to the next. Which of the two happened is told by type, never by text.

mod heal;
mod settle;

use std::{sync::Arc, time::Duration};

use crossbeam_channel::{Receiver, Sender, unbounded};
use errsift_ops::{id::Shard, tally::Tallied};

use crate::{
    ack::{Outcome, Waiter},
    counters::Counters,
    epochs::EpochClock,
    failpoints,
    feed::Executed,
    ingest::{
        flight::{Sealed, Waiters},
        ring::Ring,
    },
    lookout::Lookout,
    ports::{
        clock::Clock,
        journal::{Armed, Commit, CommitDone, CommitResult, Fence, Journal, JournalFault},
    },
    stop::Stop,
    wake::Wake,
};

/// Pause before a refused or unreachable journal is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// After the journal has failed for this long, events are refused at once instead of waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the journal's thread reports.
#[derive(Debug)]
enum Report {
    /// How a commit ended, and when that was heard.
    Commit(CommitResult, Duration),
    Fence(Result<Fence, JournalFault>),
}

#[derive(Debug)]
enum State<W> {
    /// The next flight may be sent.
    Ready(Armed),
    /// A flight is with the journal.
    Out(Sealed<W>),
    /// Nothing is out; after a pause the flight, if there still is one, is tried again.
    Waiting { flight: Option<Sealed<W>>, fence: Fence, armed: Option<Armed>, until: Duration },
    /// The fence is being read after a lost connection, or after a journal was healed.
    Rearming { flight: Option<Sealed<W>>, fence: Fence },
    /// This process must not write any more.
    Stopped,
}

/// Seals flights, numbers them, sends them, and settles what became of them.
pub(crate) struct Sealer<W> {
    shard: Shard,
    journal: Box<dyn Journal>,
    clock: Arc<dyn Clock>,
    epochs: EpochClock,
    ack_deadline: Duration,
    state: State<W>,
    reports: (Sender<Report>, Receiver<Report>),
    wake: Arc<Wake>,
    counters: Arc<Counters>,
    lookout: Arc<Lookout>,
    /// What the journal may have to be given again.
    ring: Ring,
    /// Jobs that it is being given.
    healing: Option<u64>,
    /// When the journal became free for the flight that is being sealed.
    let_go_at: Duration,
    sent_at: Duration,
    /// Since when the journal has failed without a success in between.
    down_since: Option<Duration>,
    /// Failures in a row.
    failures: u32,
    left: Option<Executed>,
    /// Events of a flight that only a successor can resolve.
    stranded: u64,
    stop: Option<Stop>,
}

/// What a sealer needs of its surroundings.
pub(crate) struct Surroundings {
    pub(crate) shard: Shard,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) lookout: Arc<Lookout>,
    pub(crate) ack_deadline: Duration,
}

impl<W: Waiter> Sealer<W> {
    /// A sealer for the shard that `armed` was acquired for, when the fence was as `before`.
    pub(crate) fn new(
        journal: Box<dyn Journal>,
        (armed, before): (Armed, Fence),
        epochs: EpochClock,
        around: Surroundings,
    ) -> Self {
        let Surroundings { shard, clock, wake, counters, lookout, ack_deadline } = around;
        counters.journaled.set(armed.fence().events);
        counters.journal_up.set(1);
        Self {
            shard,
            journal,
            clock,
            epochs,
            ack_deadline,
            ring: Ring::new(*armed.fence(), before),
            healing: None,
            state: State::Ready(armed),
            reports: unbounded(),
            wake,
            counters,
            lookout,
            let_go_at: Duration::ZERO,
            sent_at: Duration::ZERO,
            down_since: None,
            failures: 0,
            left: None,
            stranded: 0,
            stop: None,
        }
    }

    /// Whether a flight may be sealed now.
    pub(crate) fn ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// Whether a flight is out, and the journal has not failed since the last that was executed.
    pub(crate) fn awaits_success(&self) -> bool {
        matches!(self.state, State::Out(_)) && self.down_since.is_none()
    }

    /// Whether this process must not write any more: a flight that it held may yet be stored.
    pub(crate) fn stopped(&self) -> bool {
        matches!(self.state, State::Stopped)
    }

    /// Whether the journal has failed for so long that nobody should be made to wait for it.
    pub(crate) fn given_up(&self, now: Duration) -> bool {
        self.down_since.is_some_and(|since| now >= since + PATIENCE)
    }

    /// Whether a flight is sealed and not resolved.
    pub(crate) fn holds_flight(&self) -> bool {
        matches!(
            self.state,
            State::Out(_)
                | State::Waiting { flight: Some(_), .. }
                | State::Rearming { flight: Some(_), .. }
        )
    }

    /// Events in the flight that is sealed and not resolved.
    pub(crate) fn events_held(&self) -> u64 {
        match &self.state {
            State::Out(flight)
            | State::Waiting { flight: Some(flight), .. }
            | State::Rearming { flight: Some(flight), .. } => flight.events(),
            _ => self.stranded,
        }
    }

    /// Notes that what has formed was let go at `now`.
    pub(crate) fn let_go(&mut self, now: Duration) {
        self.let_go_at = now;
    }

    /// Whether there is news of the journal that [`Sealer::turn`] has not seen.
    pub(crate) fn has_reports(&self) -> bool {
        !self.reports.1.is_empty() || self.in_doubt()
    }

    /// Keeps a probe that was executed for [`Sealer::take_left`].
    pub(crate) fn leave(&mut self, executed: Executed) {
        self.left = Some(executed);
    }

    /// The executed probe that nobody has handed over yet.
    pub(crate) fn take_left(&mut self) -> Option<Executed> {
        self.left.take()
    }

    /// Why this process must stop, if it must.
    pub(crate) fn take_stop(&mut self) -> Option<Stop> {
        self.stop.take()
    }

    /// Closes the epoch whose time is up, or any if `at_once`. Only while no flight is out.
    pub(crate) fn close_epoch(
        &mut self,
        at_once: bool,
    ) -> Option<(errsift_ops::id::Epoch, errsift_ops::id::Seq)> {
        if self.holds_flight() {
            return None;
        }
        self.epochs.close(self.clock.monotonic(), at_once)
    }

    /// How long the worker may sleep before [`Sealer::turn`] has something to do by itself.
    pub(crate) fn due(&self) -> Option<Duration> {
        match &self.state {
            State::Ready(_) => self.epochs.due(),
            State::Out(flight) => (!flight.waiters.none_left()).then_some(flight.deadline),
            State::Waiting { until, .. } => Some(*until),
            State::Rearming { flight: Some(flight), .. } => {
                (!flight.waiters.none_left()).then_some(flight.deadline)
            }
            State::Rearming { flight: None, .. } | State::Stopped => None,
        }
    }

    /// Seals and sends `tallied`. If no flight may be sealed now, all who wait are told that it is
    /// not stored: the caller only does this when their time is up.
    pub(crate) fn seal(&mut self, tallied: Tallied<W>) {
        self.counters.clamped.add(tallied.clamped);
        self.counters.duplicates.add(tallied.repeated);
        let state = std::mem::replace(&mut self.state, State::Stopped);
        let State::Ready(armed) = state else {
            self.state = state;
            self.counters.dropped.add(tallied.entries.iter().map(|entry| entry.tally.count).sum());
            let counters = Arc::clone(&self.counters);
            let waiters = Waiters::new(tallied.waiters, tallied.batched, counters);
            waiters.answer(&Outcome::NotStored, self.clock.monotonic());
            return;
        };
        let now = self.clock.monotonic();
        let epoch = self.epochs.current(now, self.clock.wall());
        let before = *armed.fence();
        let deadline = now + self.ack_deadline;
        let flight = Sealed::new(self.shard, before, epoch, tallied, deadline, &self.counters);
        self.send(flight, armed);
        let took = self.sent_at.saturating_sub(self.let_go_at);
        self.counters.stages.sealing.observe_duration(took);
    }

    /// Takes in what the journal has reported and does what is due. Returns the flight that is
    /// now known to be executed, if there is one.
    pub(crate) fn turn(&mut self) -> Option<Executed> {
        let mut executed = None;
        while executed.is_none()
            && let Ok(report) = self.reports.1.try_recv()
        {
            executed = match report {
                Report::Commit(result, heard_at) => self.committed(result, heard_at),
                Report::Fence(read) => self.rearmed(read),
            };
        }
        self.expire();
        self.look_again();
        self.resume();
        executed
    }

    fn send(&mut self, flight: Sealed<W>, armed: Armed) {
        let commit = Commit { armed, fence: flight.after, job: flight.job.clone() };
        failpoints::pass("commit_begin");
        self.sent_at = self.clock.monotonic();
        let done = self.completion(&flight);
        self.state = State::Out(flight);
        self.journal.commit(commit, done);
    }

    /// What the journal's thread does when it hears how a flight ended.
    fn completion(&self, flight: &Sealed<W>) -> CommitDone {
        let waiters = Arc::clone(&flight.waiters);
        let (reports, wake) = (self.reports.0.clone(), Arc::clone(&self.wake));
        let (clock, counters) = (Arc::clone(&self.clock), Arc::clone(&self.counters));
        let sent_at = self.sent_at;
        Box::new(move |result| {
            let now = clock.monotonic();
            let executed = result.is_ok();
            // first of all, on the journal's own thread: this is what everybody waits for
            if executed {
                failpoints::pass("ack_begin");
                waiters.answer(&Outcome::Stored, now);
                failpoints::pass("ack_sent");
            }
            // the worker may be gone when the process ends
            let _ = reports.send(Report::Commit(result, now));
            wake.wake();
            if executed {
                counters.stages.commit.observe_duration(now.saturating_sub(sent_at));
            }
        })
    }
}
