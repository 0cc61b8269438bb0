//! Where a connection stands, so that its deadline can follow.
//!
//! hyper has one time-out for a head and counts the rest between two requests into it, and makes a
//! timer for every request. Clients that think for some seconds would be cut off. So hyper's is
//! off, the socket and the handler note each step here, and the connection's one timer follows.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use super::Limits;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Accepted; no byte has come.
    Fresh,
    /// Part of a head has come.
    Head,
    /// A request is being handled; its own limits hold.
    Exchange,
    /// The last answer is given; no byte of a next request has come.
    Idle,
    /// The writing side is shut; what the client still sends is thrown away.
    Closing,
}

/// A phase, and how many there were before it: two equal turns are the very same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(u32);

impl Turn {
    /// The phase.
    pub fn phase(self) -> Phase {
        match self.0 & PHASE_MASK {
            0 => Phase::Fresh,
            1 => Phase::Head,
            2 => Phase::Exchange,
            3 => Phase::Idle,
            _ => Phase::Closing,
        }
    }

    /// How long it may last from its start; `None` for as long as the handler needs.
    pub fn patience(self, limits: &Limits, stopping: bool) -> Option<Duration> {
        match self.phase() {
            Phase::Exchange => None,
            // what is not closed yet has part of a next head in hyper's buffer
            Phase::Idle if !stopping => Some(limits.idle),
            Phase::Fresh | Phase::Head | Phase::Idle => Some(limits.head),
            Phase::Closing => Some(limits.linger),
        }
    }
}

/// Phase bits below, number of turns above.
const PHASE_MASK: u32 = 0b111;
const TURN: u32 = PHASE_MASK + 1;

/// A connection's present turn. Only the connection's own task touches it, so relaxed order is
/// enough; it is atomic because that task moves between threads.
#[derive(Debug)]
pub struct Standing {
    turn: AtomicU32,
    /// Part of a request was left unread.
    unread: AtomicBool,
}

impl Standing {
    /// A connection just accepted.
    pub fn fresh() -> Self {
        Self { turn: AtomicU32::new(Phase::Fresh as u32), unread: AtomicBool::new(false) }
    }

    /// The present turn.
    pub fn turn(&self) -> Turn {
        Turn(self.turn.load(Relaxed))
    }

    /// Begins a new turn.
    pub fn enter(&self, phase: Phase) {
        let turns = self.turn.load(Relaxed) & !PHASE_MASK;
        self.turn.store(turns.wrapping_add(TURN) | phase as u32, Relaxed);
    }

    /// Notes that bytes came.
    pub fn heard(&self) {
        if matches!(self.turn().phase(), Phase::Fresh | Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// Notes that a request is answered without having been read whole.
    pub fn leave_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// Notes that the client had its time to take the answer.
    pub fn stop_lingering(&self) {
        self.unread.store(false, Relaxed);
    }

    /// Whether bytes may come that nobody reads: of a refused body, or behind a refused head.
    pub fn is_unread(&self) -> bool {
        self.unread.load(Relaxed) || self.turn().phase() == Phase::Head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_entered_again_is_another_turn() {
        let standing = Standing::fresh();
        assert_eq!(standing.turn().phase(), Phase::Fresh);
        for phase in [Phase::Head, Phase::Exchange, Phase::Idle, Phase::Closing] {
            standing.enter(phase);
            let first = standing.turn();
            assert_eq!(first.phase(), phase);
            standing.enter(phase);
            assert_eq!(standing.turn().phase(), phase);
            assert_ne!(standing.turn(), first);
        }
    }

    #[test]
    fn only_a_waiting_connection_hears_a_head() {
        let standing = Standing::fresh();
        standing.heard();
        assert_eq!(standing.turn().phase(), Phase::Head);
        let turn = standing.turn();
        standing.heard();
        assert_eq!(standing.turn(), turn, "later bytes do not move the deadline");
        standing.enter(Phase::Exchange);
        standing.heard();
        assert_eq!(standing.turn().phase(), Phase::Exchange);
    }
}
