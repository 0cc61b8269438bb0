//! Standing by: a shard that another process holds is taken when its holder has gone, not before.
//!
//! Meanwhile this process listens and says so: `/livez` is 200, `/readyz` and everything else 503.

use std::{
    io,
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use errsift_ops::{fingerprint::Fingerprint, id::Shard};
use errsift_pipeline::ports::{
    clock::Clock,
    holder::Holder,
    journal::{Backlog, JournalFault},
};
use tokio::{
    runtime::Runtime,
    signal::unix::Signal,
    sync::{oneshot, watch},
};

use super::{admin::NoIntake, serve::wait_for};
use crate::{
    http::{self, ErrorView, Health, Operations, Page, Policy},
    metrics::Metrics,
    place,
    query::{ListQuery, Points, QueryFault, Span, WindowsQuery},
};

/// How often the holder's mark is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Looks between two lines in the log: one every 10 s.
const LOOKS_PER_LINE: u32 = 20;
/// How long exchanges under way may take when the shard is free, or when told to stop.
const END_MAX: Duration = Duration::from_secs(1);

/// How standing by ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The shard is free.
    Free,
    /// Told to stop.
    Told,
}

/// What a process that stands by has.
pub struct Standby<'a> {
    pub runtime: &'a Runtime,
    /// Where to listen, and what holds there.
    pub listeners: Vec<(&'a TcpListener, Policy)>,
    pub backlog: Box<dyn Backlog>,
    pub shard: Shard,
    pub metrics: Arc<Metrics>,
    pub clock: Arc<dyn Clock>,
}

impl Standby<'_> {
    /// The live process that holds the shard. A journal that does not answer is left to taking the
    /// shard, which says what is wrong with it. Blocks until the journal has answered.
    pub fn holder(&mut self) -> Option<Holder> {
        first_look(&mut *self.backlog)
    }

    /// Returns when no live process holds the shard, as `holder` did at first, or on a signal.
    pub fn wait(self, holder: &Holder, signals: &mut [Signal; 2]) -> io::Result<Ended> {
        let shard = self.shard;
        tracing::info!(%shard, %holder, "another process holds the shard, standing by");
        let reason = Arc::new(Mutex::new(reason(shard, Some(holder))));
        let standing = Arc::new(Standing {
            reason: Arc::clone(&reason),
            metrics: Arc::clone(&self.metrics),
            clock: self.clock,
        });
        // that the sender is gone is the word to stop
        let (listening, stop) = watch::channel(());
        let mut served = Vec::new();
        for (listener, policy) in self.listeners {
            let listener = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
            let mut stop = stop.clone();
            let stopped = async move { drop(stop.changed().await) };
            let (standing, metrics) = (Arc::clone(&standing), Arc::clone(&self.metrics));
            let serving = async move {
                let threads = http::Threads::here();
                http::serve(listener, threads, NoIntake, standing, metrics, policy, stopped).await
            };
            served.push(self.runtime.spawn(serving));
        }
        let (free, freed) = oneshot::channel();
        let backlog = self.backlog;
        thread::Builder::new()
            .name("standby".to_owned())
            .spawn(move || look(backlog, shard, &reason, free))?;
        let [terminate, interrupt] = signals;
        Ok(self.runtime.block_on(async {
            let ended = tokio::select! {
                _ = freed => Ended::Free,
                () = wait_for(terminate, interrupt) => Ended::Told,
            };
            drop(listening);
            let all = async {
                for serving in served {
                    drop(serving.await);
                }
            };
            // who is still there then hears from the runtime's end, or from us as the holder
            let _ = tokio::time::timeout(END_MAX, all).await;
            ended
        }))
    }
}

/// The live holder, if there is one.
fn holder(backlog: &mut dyn Backlog) -> Result<Option<Holder>, JournalFault> {
    Ok(backlog.holder()?.filter(|holder| !place::is_gone(&holder.place)))
}

/// A look that fails is done once more: the shard is not to be taken from a live holder because of
/// one lost answer.
fn first_look(backlog: &mut dyn Backlog) -> Option<Holder> {
    holder(backlog).or_else(|_| holder(backlog)).ok().flatten()
}

/// Looks until the shard is free; says every now and then whose it is.
fn look(
    mut backlog: Box<dyn Backlog>,
    shard: Shard,
    shown: &Mutex<String>,
    free: oneshot::Sender<()>,
) {
    for looks in 1_u32.. {
        thread::sleep(LOOK_INTERVAL);
        if free.is_closed() {
            return;
        }
        let found = holder(&mut *backlog);
        let tell = looks.is_multiple_of(LOOKS_PER_LINE);
        match found {
            Ok(None) => {
                tracing::info!(%shard, "the shard is free, taking it");
                // nobody listens if the process was told to stop
                let _ = free.send(());
                return;
            }
            Ok(Some(holder)) => {
                if tell {
                    tracing::info!(%shard, %holder, "standing by");
                }
                *shown.lock().unwrap_or_else(PoisonError::into_inner) =
                    reason(shard, Some(&holder));
            }
            Err(fault) => {
                if tell {
                    tracing::warn!(%shard, %fault, "standing by, and the journal does not answer");
                }
                *shown.lock().unwrap_or_else(PoisonError::into_inner) = reason(shard, None);
            }
        }
    }
}

fn reason(shard: Shard, holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => format!("standby: shard {shard} is held by {holder}"),
        None => format!("standby: the journal of shard {shard} does not answer"),
    }
}

/// The process as its front end sees it while it stands by.
struct Standing {
    reason: Arc<Mutex<String>>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

impl Standing {
    fn reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Operations for Standing {
    fn error(&self, _: Fingerprint, _: Span) -> Result<Option<(ErrorView, Points)>, QueryFault> {
        Err(QueryFault::Away(self.reason()))
    }

    fn list(&self, _: &ListQuery) -> Result<Page, QueryFault> {
        Err(QueryFault::Away(self.reason()))
    }

    fn windows(&self, _: &WindowsQuery) -> Result<Points, QueryFault> {
        Err(QueryFault::Away(self.reason()))
    }

    fn health(&self) -> Health {
        Health { journal: Err(self.reason()), errors: Err(self.reason()), ready: false }
    }

    fn metrics(&self) -> String {
        self.metrics.text_of_standby(self.clock.as_ref())
    }

    fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}
