//! Waking a parked worker at most once.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering, fence},
    },
    thread::Thread,
};

/// The worker is awake.
const AWAKE: usize = 0;

/// Wakes one thread, but only when it has said that it is about to park: an unpark is a system
/// call, and under load the worker is awake anyway.
#[derive(Debug, Default)]
pub struct Wake {
    /// [`AWAKE`], or how many must wait before those who hand over wake it.
    armed: AtomicUsize,
    thread: OnceLock<Thread>,
}

impl Wake {
    /// Names the calling thread as the one to wake.
    pub fn bind(&self) {
        // binding twice keeps the first thread: there is one worker per `Wake`
        let _ = self.thread.set(std::thread::current());
    }

    /// Says that the bound thread will park unless it now finds something to do.
    /// The caller looks once more after this and parks only if there is nothing.
    pub fn arm(&self) {
        self.arm_for(1);
    }

    /// The same, and [`wake_for`](Self::wake_for) is to leave it parked until `waiting_min` wait.
    pub fn arm_for(&self, waiting_min: usize) {
        self.armed.store(waiting_min.max(1), Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Says that the bound thread is awake.
    pub fn disarm(&self) {
        self.armed.store(AWAKE, Ordering::Relaxed);
    }

    /// Wakes the bound thread if it is parked or about to. Call it after handing something over.
    pub fn wake(&self) {
        self.wake_for(|| usize::MAX);
    }

    /// The same, if by now as many wait as it was armed for. Call it after adding to them.
    pub fn wake_for(&self, waiting: impl FnOnce() -> usize) {
        fence(Ordering::SeqCst);
        let waiting_min = self.armed.load(Ordering::Relaxed);
        if waiting_min != AWAKE
            && waiting() >= waiting_min
            && self.armed.swap(AWAKE, Ordering::SeqCst) != AWAKE
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_wake_a_worker_that_waits_for_more() {
        let wake = Wake::default();
        wake.bind();
        let armed = || wake.armed.load(Ordering::Relaxed) != AWAKE;
        wake.arm_for(3);
        wake.wake_for(|| 2);
        assert!(armed());
        wake.wake_for(|| 3);
        assert!(!armed());
        // returns at once: it was unparked
        std::thread::park();
        wake.arm_for(3);
        wake.wake();
        assert!(!armed());
        std::thread::park();
        wake.wake_for(|| unreachable!("an awake worker needs nobody to count"));
    }
}
