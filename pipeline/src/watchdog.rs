//! Notices a pipeline that has stopped moving although it could move: a worker that hangs, a thread
//! that is gone. It would go on accepting events and never count them.
//!
//! [`Judge`] is told what there is to see, tick by tick; the thread around it only looks. Time is
//! counted in the ticks of the thread's own sleep, so that a process that was stopped or a machine
//! that slept has lost no time.
//!
//! A store that is slow, away or refuses is not judged: while any thread is in a call to a store, or
//! tries again after a failure, the frontier has a reason to stand. What is broken then is outside,
//! and ending the process would mend nothing; adapters bound their calls themselves. So a long
//! transaction on a slow server is safe by its nature, and not by a guess of how long it may take.

use std::{sync::Arc, thread, time::Duration};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::{
    counters::{Counter, Counters},
    stop::Stop,
};

/// Ticks that make up the time that the pipeline may stand still.
const TICKS: u32 = 10;
/// An apply worker that is in one long step may stand still for so many times as long: the end of
/// a very large epoch is one step.
const STEP_FACTOR: u32 = 6;

/// What threads leave for the watchdog to see.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Turns of the ingest worker's loop.
    pub(crate) ingest_turns: Counter,
    /// Events that it has taken out of the channel.
    pub(crate) taken: Counter,
    /// 1 when it has ended.
    pub(crate) ingest_ended: Counter,
    /// Turns of the loop of the first apply worker.
    pub(crate) apply_turns: Counter,
    /// Entries that it has fed to its dataflow.
    pub(crate) fed: Counter,
    /// The last closed epoch.
    pub(crate) closed: Counter,
    /// The first epoch that is not applied; all are at `u64::MAX`.
    pub(crate) frontier: Counter,
    /// Calls to the stores that are out.
    calls: Counter,
}

impl Pulse {
    /// Says that the caller is with a store until the call is dropped.
    pub(crate) fn call(&self) -> Call<'_> {
        self.calls.add(1);
        Call(self)
    }
}

/// A call to a store that is out.
pub(crate) struct Call<'a>(&'a Pulse);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.calls.sub(1);
    }
}

/// How things stand at one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sight {
    events_wait: bool,
    ingest_turns: u64,
    apply_turns: u64,
    closed: u64,
    frontier: u64,
    /// Grows with everything that apply gets done on its way to the frontier.
    done: u64,
    /// A thread is with a store, or will be again after a pause.
    with_store: bool,
}

impl Sight {
    fn of(counters: &Counters) -> Self {
        let pulse = &counters.pulse;
        let offered = counters.received.get().saturating_sub(counters.shed.get());
        let done = [
            &pulse.fed,
            &counters.epochs,
            &counters.count_rows,
            &counters.details_rows,
            &counters.errors_retries,
        ];
        Self {
            events_wait: pulse.ingest_ended.get() == 0 && offered > pulse.taken.get(),
            ingest_turns: pulse.ingest_turns.get(),
            apply_turns: pulse.apply_turns.get(),
            closed: pulse.closed.get(),
            frontier: pulse.frontier.get(),
            done: done.iter().fold(0, |sum, counter| sum.wrapping_add(counter.get())),
            with_store: pulse.calls.get() > 0 || counters.errors_failing.get() > 0,
        }
    }
}

/// Counts ticks without movement.
#[derive(Debug, Default)]
struct Judge {
    last: Sight,
    /// In which events waited and ingest did not turn.
    ingest: u32,
    /// In which a closed epoch waited and nothing was done although the worker turned.
    apply: u32,
    /// The same, and the worker did not turn.
    step: u32,
}

impl Judge {
    /// Takes in how things stand; says where they are stuck, if they are.
    fn look(&mut self, sight: Sight) -> Option<String> {
        let last = std::mem::replace(&mut self.last, sight);
        let ingest_stands = sight.events_wait && sight.ingest_turns == last.ingest_turns;
        self.ingest = if ingest_stands { self.ingest + 1 } else { 0 };
        if self.ingest >= TICKS {
            return Some("events wait, and the ingest worker does not take them".to_owned());
        }
        let waits = sight.frontier <= sight.closed;
        if !waits || sight.frontier != last.frontier || sight.done != last.done {
            (self.apply, self.step) = (0, 0);
        } else if !sight.with_store {
            if sight.apply_turns == last.apply_turns {
                self.step += 1;
            } else {
                self.apply += 1;
            }
        }
        let Sight { frontier, closed, .. } = sight;
        if self.apply >= TICKS {
            return Some(format!(
                "apply stands at epoch {frontier}, {closed} is closed, and nothing is with the stores"
            ));
        }
        (self.step >= TICKS * STEP_FACTOR).then(|| {
            format!("an apply worker does not come back, at epoch {frontier}; {closed} is closed")
        })
    }
}

/// Watches until the sender that it returns is dropped; tells `stops` when nothing has moved for
/// `still_max`.
pub(crate) fn start(
    counters: Arc<Counters>,
    still_max: Duration,
    stops: Sender<Stop>,
) -> Sender<()> {
    let (end, ended) = bounded(0);
    let thread = thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(move || watch(&counters, still_max, &stops, &ended));
    drop(thread.expect("the system has room for a thread at start"));
    end
}

fn watch(counters: &Counters, still_max: Duration, stops: &Sender<Stop>, ended: &Receiver<()>) {
    let mut judge = Judge { last: Sight::of(counters), ..Judge::default() };
    while ended.recv_timeout(still_max / TICKS) == Err(RecvTimeoutError::Timeout) {
        if let Some(place) = judge.look(Sight::of(counters)) {
            // whoever listens ends the process
            let _ = stops.send(Stop::Stuck(place));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A closed epoch waits, the worker turns, and nobody is with a store.
    fn waiting(turn: u64) -> Sight {
        Sight { ingest_turns: turn, apply_turns: turn, closed: 5, frontier: 5, ..Sight::default() }
    }

    fn ticks_until_stuck(sights: impl Iterator<Item = Sight>) -> Option<usize> {
        let mut judge = Judge::default();
        sights.take(1_000).position(|sight| judge.look(sight).is_some()).map(|at| at + 1)
    }

    #[test]
    fn a_frontier_that_stands_is_stuck_after_ten_ticks() {
        // the first look sees it arrive there
        assert_eq!(ticks_until_stuck((1..).map(waiting)), Some(11));
        let stuck = (1..).map(waiting).scan(Judge::default(), |judge, sight| {
            let stuck = judge.look(sight);
            Some(stuck)
        });
        let told = stuck.flatten().next().unwrap();
        assert!(told.contains("stands at epoch 5"), "{told}");
    }

    #[test]
    fn nothing_that_moves_or_has_no_need_to_is_stuck() {
        let sights: [fn(u64) -> Sight; 4] = [
            |turn| Sight { frontier: 6, ..waiting(turn) },
            |turn| Sight { frontier: u64::MAX, ..waiting(turn) },
            |turn| Sight { done: turn / 9, ..waiting(turn) },
            |turn| Sight { closed: 5 + turn, frontier: 5 + turn / 9, ..waiting(turn) },
        ];
        for sight in sights {
            assert_eq!(ticks_until_stuck((1..).map(sight)), None, "{:?}", sight(1));
        }
    }

    #[test]
    fn time_with_a_store_does_not_count() {
        let slow = |turn| Sight { with_store: true, ..waiting(turn) };
        assert_eq!(ticks_until_stuck((1..).map(slow)), None);
        // but it does not hide what stands without it either
        let now_and_then = |turn| Sight { with_store: turn % 2 == 0, ..waiting(turn) };
        assert_eq!(ticks_until_stuck((1..).map(now_and_then)), Some(21));
    }

    #[test]
    fn one_long_step_may_take_longer() {
        let in_a_step = |turn: u64| Sight { apply_turns: 7, ..waiting(turn) };
        assert_eq!(ticks_until_stuck((1..).map(in_a_step)), Some(61));
    }

    #[test]
    fn an_ingest_worker_that_does_not_turn_is_stuck_if_events_wait() {
        let hangs = |_: u64| Sight { events_wait: true, frontier: 9, ..Sight::default() };
        assert_eq!(ticks_until_stuck((1..).map(hangs)), Some(10));
        let idle = |_| Sight { frontier: 9, ..Sight::default() };
        assert_eq!(ticks_until_stuck((1..).map(idle)), None);
        let slow = |tick| Sight { ingest_turns: tick / 9, ..hangs(tick) };
        assert_eq!(ticks_until_stuck((1..).map(slow)), None);
    }
}
