//! How far words are stored, for those who may not commit before.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Where words may be stored later than what is counted: they wait for none.
pub static NO_WORDS: WordsFrontier = WordsFrontier::new(None);

/// The first dataflow time whose words are not all stored; none if all are. A worker moves it, and
/// threads that write counts wait for it.
#[derive(Debug)]
pub struct WordsFrontier {
    first: Mutex<Option<u64>>,
    moved: Condvar,
}

impl WordsFrontier {
    /// Stands at `first`.
    pub const fn new(first: Option<u64>) -> Self {
        Self { first: Mutex::new(first), moved: Condvar::new() }
    }

    /// Moves on to `first`.
    pub fn move_to(&self, first: Option<u64>) {
        *self.first() = first;
        self.moved.notify_all();
    }

    /// Blocks until the words of `time` are stored.
    pub fn wait(&self, time: u64) {
        let waits = |first: &mut Option<u64>| first.is_some_and(|first| first <= time);
        drop(self.moved.wait_while(self.first(), waits));
    }

    /// The same, but no longer than `patience`; says whether they are.
    fn wait_for(&self, time: u64, patience: Duration) -> bool {
        let waits = |first: &mut Option<u64>| first.is_some_and(|first| first <= time);
        let waited = self.moved.wait_timeout_while(self.first(), patience, waits);
        let (first, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(first);
        !waited.timed_out()
    }

    fn first(&self) -> MutexGuard<'_, Option<u64>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Words that are to be stored first.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// How far they are.
    pub frontier: &'a WordsFrontier,
    /// Their time.
    pub time: u64,
    /// How long a transaction that has written its rows, and so holds their locks, waits for them.
    pub patience: Duration,
}

impl Words<'_> {
    /// None.
    pub const NONE: Words<'static> =
        Words { frontier: &NO_WORDS, time: 0, patience: Duration::ZERO };

    /// Blocks until they are stored, for as long as may be; says whether they are.
    #[must_use]
    pub fn wait(&self) -> bool {
        self.frontier.wait_for(self.time, self.patience)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, thread};

    use super::*;

    #[test]
    fn whoever_waits_goes_on_when_the_words_are_stored() {
        let frontier = WordsFrontier::new(Some(0));
        let words = Words { frontier: &frontier, time: 7, patience: Duration::from_millis(20) };
        assert!(!words.wait());
        frontier.move_to(Some(7));
        assert!(!words.wait());
        thread::scope(|scope| {
            let (went_on, goes_on) = channel();
            scope.spawn(move || {
                words.frontier.wait(7);
                went_on.send(()).expect("somebody listens");
            });
            assert!(goes_on.recv_timeout(Duration::from_millis(50)).is_err());
            frontier.move_to(Some(8));
            goes_on.recv().expect("it goes on");
        });
        assert!(words.wait());
        assert!(!Words { time: 8, ..words }.wait());
        frontier.move_to(None);
        assert!(Words { time: u64::MAX, ..words }.wait());
        assert!(Words::NONE.wait());
    }
}
