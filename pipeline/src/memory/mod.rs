//! Stores in memory: for tests, and for measuring the pipeline without any.

mod errors;
mod journal;

pub use errors::MemoryErrors;
pub use journal::MemoryJournal;

use std::sync::{Mutex, MutexGuard, PoisonError};

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
