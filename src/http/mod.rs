//! The HTTP front end: takes events in, and shows errors, health and metrics.
//!
//! ```text
//!   accept ─► connection ─► seat ─► route ─┬► ingest ─► Intake        POST /errors/log
//!                                          ├► batch ──► Intake        POST /errors/batch
//!   (permit)  (deadlines)  (host, key,     ├► error ──► Operations    GET  /errors/{fingerprint}
//!                           id, CORS,      ├► health ─► Operations    GET  /health…, /livez, /readyz
//!                           gzip, log)     └► metrics ► Operations    GET  /metrics
//! ```
//!
//! HTTP/1.1 only. Promised: a request that reaches a handler gets exactly one answer, with an id;
//! a fault's body is JSON, names the header or field at fault and repeats no value; every
//! [`Limits`] is kept; a connection is kept alive unless part of a request was left unread.
//!
//! Not here: TLS and HTTP/2 (a proxy's business), and any thread or runtime, which the caller
//! makes. A head that is not HTTP (400) or too large (431) is answered by hyper with an empty
//! body, before any handler; it is counted under the route `other`. When a request has both a
//! length and a chunked body the chunks count and the connection closes after the answer, as RFC
//! 9112 §6.3 allows.

mod accept;
mod answer;
mod batch;
mod body;
pub mod client;
mod coding;
mod compress;
mod connection;
pub mod cors;
mod desk;
mod error;
mod fault;
mod health;
mod held;
mod host;
mod ingest;
pub mod keys;
pub mod limit;
mod list;
mod media;
mod openapi;
mod policy;
mod request_id;
mod requests;
mod route;
mod seat;
mod socket;
mod standing;
mod threads;
mod windows;

use std::sync::Arc;

use errsift_ops::{batch::Batch, decode::Received, fingerprint::Fingerprint};
use errsift_pipeline::ports::clock::Clock;
use tokio::sync::Semaphore;

use crate::query::{ListQuery, Points, QueryFault, Span, WindowsQuery};

pub use self::{
    accept::serve,
    error::ErrorView,
    health::Health,
    ingest::Waiting,
    limit::Limits,
    list::Page,
    policy::{Door, Policy},
    requests::{GONE, Requests},
    seat::INGEST,
    threads::Threads,
};

/// Takes in events for the pipeline.
pub trait Intake: Clone + Send + Sync + 'static {
    /// Hands over one body; must not block. If it is not taken, its sender is told so at once.
    fn offer(&self, received: Received<Waiting>) -> Result<(), Untaken>;

    /// The same with a batch, which is not empty.
    fn offer_batch(&self, batch: Batch<Waiting>) -> Result<(), Untaken>;

    /// Counts so many of a batch's events as received, and refused.
    fn refused(&self, events: u64);
}

/// Why the pipeline takes nothing now.
#[derive(Clone, Copy, Debug)]
pub enum Untaken {
    /// Its channel is full.
    Full,
    /// It is another process's.
    StandingBy,
}

/// What the process shows of itself and of what is stored.
pub trait Operations: Send + Sync + 'static {
    /// One error with its live count and its windows in `span`, or `None` if it was never seen.
    /// May block.
    fn error(
        &self,
        fingerprint: Fingerprint,
        span: Span,
    ) -> Result<Option<(ErrorView, Points)>, QueryFault>;

    /// A page of a list. May block.
    fn list(&self, query: &ListQuery) -> Result<Page, QueryFault>;

    /// Counts over time. May block.
    fn windows(&self, query: &WindowsQuery) -> Result<Points, QueryFault>;

    /// How the stores are, as last known; must not block.
    fn health(&self) -> Health;

    /// All metrics in Prometheus' text format; must not block.
    fn metrics(&self) -> String;

    /// The time.
    fn clock(&self) -> &dyn Clock;
}

/// What all connections share.
struct Front<I> {
    intake: I,
    operations: Arc<dyn Operations>,
    requests: Arc<dyn Requests>,
    policy: Policy,
    ids: request_id::Process,
    /// One permit for each blocking call that [`Operations`] may be in.
    calls: Arc<Semaphore>,
    /// The same for lists.
    list_calls: Arc<Semaphore>,
    /// The same for calls to [`Operations::metrics`].
    metrics_calls: Arc<Semaphore>,
    batches: batch::BatchRoom,
    /// One permit for each KiB of large answers that their clients have not taken yet.
    room: Arc<Semaphore>,
}

#[cfg(test)]
mod tests;
