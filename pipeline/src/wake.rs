//! Waking a parked worker at most once.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering, fence},
    },
    thread::Thread,
};

/// Wakes one thread, but only when it has said that it is about to park: an unpark is a system
/// call, and under load the worker is awake anyway.
#[derive(Debug, Default)]
pub struct Wake {
    armed: AtomicBool,
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
        self.armed.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Says that the bound thread is awake.
    pub fn disarm(&self) {
        self.armed.store(false, Ordering::Relaxed);
    }

    /// Wakes the bound thread if it is parked or about to. Call it after handing something over.
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.armed.load(Ordering::Relaxed)
            && self.armed.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}
