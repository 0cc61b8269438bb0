//! Where the outcomes for one front-end thread come in.
//!
//! The journal settles hundreds of exchanges at once, on a thread of its own. To wake each of their
//! tasks from there costs a lock and often a system call each. So the outcomes of a thread are laid
//! on its desk together, and it is woken once; it tells its own tasks, for which no lock is needed.

use std::{
    cell::Cell,
    sync::{Mutex, PoisonError},
};

use errsift_pipeline::ack::Outcome;
use tokio::sync::{Notify, oneshot};

thread_local! {
    static HERE: Cell<Option<&'static Desk>> = const { Cell::new(None) };
}

/// Somebody who hears an outcome.
pub type Hearer = oneshot::Sender<Outcome>;

/// One thread's desk.
#[derive(Debug, Default)]
pub struct Desk {
    laid: Mutex<Vec<(Outcome, Vec<Hearer>)>>,
    come: Notify,
}

impl Desk {
    /// That of the calling thread, if it has one.
    pub fn here() -> Option<&'static Self> {
        HERE.get()
    }

    /// Gives the calling thread one, for good: there are as many as threads, and each request
    /// would count references otherwise.
    pub fn place_here() -> &'static Self {
        let desk: &'static Self = Box::leak(Box::default());
        HERE.set(Some(desk));
        desk
    }

    /// Lays down what became of the exchanges of all `hearers`. Never waits for the thread.
    pub fn lay(&self, outcome: Outcome, hearers: Vec<Hearer>) {
        self.laid.lock().unwrap_or_else(PoisonError::into_inner).push((outcome, hearers));
        self.come.notify_one();
    }

    /// Tells hearers as outcomes come; never ends.
    pub async fn attend(&self) {
        loop {
            self.come.notified().await;
            let laid =
                std::mem::take(&mut *self.laid.lock().unwrap_or_else(PoisonError::into_inner));
            for (outcome, hearers) in laid {
                for hearer in hearers {
                    // an error means that the client is gone, and with it whom to tell
                    let _gone = hearer.send(outcome.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_wait_are_told() {
        let desk = Desk::place_here();
        let attending = tokio::spawn(desk.attend());
        let (hearers, heard): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        let (gone, _) = oneshot::channel();
        desk.lay(Outcome::Stored, hearers.into_iter().chain([gone]).collect());
        let (other, told) = oneshot::channel();
        desk.lay(Outcome::NotStored, vec![other]);
        for heard in heard {
            assert_eq!(heard.await, Ok(Outcome::Stored));
        }
        assert_eq!(told.await, Ok(Outcome::NotStored));
        attending.abort();
    }
}
