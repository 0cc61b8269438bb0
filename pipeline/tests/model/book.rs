//! The plain model: which events were sent when, what their senders heard, and from that how often
//! each may be counted.

use std::collections::BTreeMap;

use errsift_pipeline::ack::Outcome;

use super::world::START_MS;

/// Milliseconds for which an event id is counted once.
const ID_MS: i64 = 300_000;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// An event that nobody else sends.
    Own(usize),
    /// One of few events that are sent again and again, each to be counted.
    Common(u8),
    /// One of few events with an id, to be counted once.
    Id(u8),
}

#[derive(Debug)]
struct Attempt {
    name: Name,
    offered_ms: i64,
    /// When it was certain that nothing more becomes of it, or its process was dead.
    settled_ms: i64,
    outcome: Option<Outcome>,
    /// How often the journal had forgotten which ids it had.
    generation: u32,
}

/// All attempts so far.
#[derive(Debug, Default)]
pub struct Book {
    attempts: Vec<Attempt>,
    generation: u32,
}

impl Book {
    /// A new attempt: its number and body.
    pub fn send(&mut self, name: impl FnOnce(usize) -> Name, now_ms: i64) -> (usize, String) {
        let attempt = self.attempts.len();
        let name = name(attempt);
        let generation = self.generation;
        self.attempts.push(Attempt {
            name,
            offered_ms: now_ms,
            settled_ms: i64::MAX,
            outcome: None,
            generation,
        });
        let id = match name {
            Name::Id(id) => format!(r#","eventId":"{id:032x}""#),
            _ => String::new(),
        };
        let second = START_MS / 1000;
        (attempt, format!(r#"{{"message":"{name:?}","timestamp":{second}{id}}}"#))
    }

    /// Notes what a sender heard.
    pub fn heard(&mut self, answers: impl IntoIterator<Item = (usize, Outcome)>, now_ms: i64) {
        for (attempt, outcome) in answers {
            let attempt = &mut self.attempts[attempt];
            assert!(attempt.outcome.is_none(), "answered twice: {attempt:?}");
            attempt.settled_ms = now_ms;
            attempt.outcome = Some(outcome);
        }
    }

    /// Notes that the journal may have forgotten which ids it had.
    pub fn ids_forgotten(&mut self) {
        self.generation += 1;
    }

    /// How often each message must be counted at least, and may be at most.
    pub fn bounds(&self) -> BTreeMap<String, (u64, u64)> {
        let mut names: BTreeMap<Name, Vec<&Attempt>> = BTreeMap::new();
        for attempt in &self.attempts {
            names.entry(attempt.name).or_default().push(attempt);
        }
        let of = |(name, attempts): (Name, Vec<&Attempt>)| {
            let stored = |attempt: &&&Attempt| attempt.outcome == Some(Outcome::Stored);
            let acked = attempts.iter().filter(stored).count() as u64;
            let possible: Vec<_> = attempts
                .iter()
                .filter(|attempt| attempt.outcome != Some(Outcome::NotStored))
                .copied()
                .collect();
            let bounds = match name {
                Name::Id(_) => (acked.min(1), most(&possible)),
                _ => (acked, possible.len() as u64),
            };
            (format!("{name:?}"), bounds)
        };
        names.into_iter().map(of).collect()
    }
}

/// How often an id may be counted: each time but the first at a moment that can be so long after
/// the time before that it was forgotten.
fn most(attempts: &[&Attempt]) -> u64 {
    let mut chains: Vec<u64> = Vec::new();
    for (at, attempt) in attempts.iter().enumerate() {
        let follows = |before: &&Attempt| {
            before.generation < attempt.generation
                || attempt.settled_ms >= before.offered_ms + ID_MS
        };
        let before = (0..at).filter(|at| follows(&attempts[*at])).map(|at| chains[at]).max();
        chains.push(before.unwrap_or(0) + 1);
    }
    chains.into_iter().max().unwrap_or(0)
}
