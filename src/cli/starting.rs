//! What a signal does while the stores are opened and the shard is taken, which blocks for as long as
//! the stores make it wait.

use std::io;

use tokio::{
    runtime::Runtime,
    signal::unix::Signal,
    sync::oneshot::{self, Sender},
    task::JoinHandle,
};

use super::{exit, serve::wait_for};

/// A start under way.
pub struct Starting {
    watch: JoinHandle<[Signal; 2]>,
    /// Dropped when the start is done.
    under_way: Sender<()>,
}

impl Starting {
    /// From now on either signal ends the process at once, as there is nothing to drain: this process
    /// has acknowledged nothing yet.
    pub fn watch(runtime: &Runtime, mut signals: [Signal; 2]) -> Self {
        let (under_way, done) = oneshot::channel();
        let watch = runtime.spawn(async move {
            let [terminate, interrupt] = &mut signals;
            tokio::select! {
                // a signal that came before the start was done counts
                biased;
                () = wait_for(terminate, interrupt) => {
                    tracing::info!("told to stop while starting, what the journal holds is left to the next start");
                    crate::logging::finish();
                    std::process::exit(i32::from(exit::UNDRAINED));
                }
                _ = done => signals,
            }
        });
        Self { watch, under_way }
    }

    /// Gives the signals back.
    pub fn done(self, runtime: &Runtime) -> io::Result<[Signal; 2]> {
        drop(self.under_way);
        runtime.block_on(self.watch).map_err(io::Error::other)
    }
}
