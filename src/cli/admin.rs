//! The admin listener: health and metrics apart from events, until everything is drained.

use std::{sync::Arc, time::Duration};

use errsift_ops::{batch::Batch, decode::Received};
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot, task::JoinHandle};

use crate::{
    http::{self, Policy, Untaken, Waiting},
    metrics::Metrics,
    operations::Process,
};

/// How long answers under way may take once everything else is done.
const END_MAX: Duration = Duration::from_secs(1);

/// A running admin listener.
pub struct Admin {
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

/// Holds no way into the pipeline, which drains only when nobody does. Where events have a route all
/// the same, the process stands by.
#[derive(Clone)]
pub struct NoIntake;

impl http::Intake for NoIntake {
    fn offer(&self, _received: Received<Waiting>) -> Result<(), Untaken> {
        Err(Untaken::StandingBy)
    }

    fn offer_batch(&self, _batch: Batch<Waiting>) -> Result<(), Untaken> {
        Err(Untaken::StandingBy)
    }

    fn refused(&self, _events: u64) {}
}

impl Admin {
    /// Serves on `listener` beside whatever else `runtime` does.
    pub fn start(
        runtime: &Runtime,
        listener: TcpListener,
        policy: Policy,
        process: &Arc<Process>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            // a sender that is gone is a word to stop as well
            let _ = stopped.await;
        };
        let (process, metrics) = (Arc::clone(process), Arc::clone(metrics));
        let serve = async move {
            let threads = http::Threads::here();
            http::serve(listener, threads, NoIntake, process, metrics, policy, stopped).await
        };
        Self { stop, served: runtime.spawn(serve) }
    }

    /// Stops it, and waits a little for its last answers.
    pub fn end(self, runtime: &Runtime) {
        drop(self.stop);
        let ended = runtime.block_on(async { tokio::time::timeout(END_MAX, self.served).await });
        if ended.is_err() {
            tracing::debug!("admin listener not ended in time");
        }
    }
}
