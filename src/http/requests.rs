//! What is measured of requests.

use std::{sync::Arc, time::Duration};

use errsift_pipeline::ports::clock::Clock;

/// The status under which a request is observed that was dropped before its answer: its connection
/// broke or the runtime went down.
pub const GONE: u16 = 499;

/// Hears of every request that reaches a handler. Called on the hot path: must be cheap.
pub trait Requests: Send + Sync + 'static {
    /// One more request is in flight.
    fn begun(&self);

    /// One that had [`begun`](Self::begun) is no longer in flight; called exactly once for each.
    ///
    /// `method` is `GET`, `HEAD`, `POST`, `OPTIONS` or `other`; `route` is one of a fixed set, without the
    /// `/api/v1` in front, `other` for unknown paths; `seconds` run from the head to the answer.
    /// A request that was given up before its answer has status [`GONE`].
    fn observe(&self, method: &'static str, route: &'static str, status: u16, seconds: f64);

    /// A connection was accepted.
    fn accepted(&self) {}

    /// One that was [`accepted`](Self::accepted) is closed; called exactly once for each.
    fn closed(&self) {}
}

/// An accepted connection; closed when dropped.
pub struct Open(Arc<dyn Requests>);

impl Open {
    /// Notes that it was accepted.
    pub fn begin(requests: &Arc<dyn Requests>) -> Self {
        requests.accepted();
        Self(Arc::clone(requests))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed();
    }
}

/// A request in flight; observed when dropped.
pub struct InFlight<'a> {
    requests: &'a dyn Requests,
    clock: &'a dyn Clock,
    method: &'static str,
    route: &'static str,
    begun: Duration,
    status: u16,
    elapsed: Option<Duration>,
}

impl<'a> InFlight<'a> {
    /// Begins one.
    pub fn begin(
        requests: &'a dyn Requests,
        clock: &'a dyn Clock,
        method: &'static str,
        route: &'static str,
    ) -> Self {
        requests.begun();
        Self {
            requests,
            clock,
            method,
            route,
            begun: clock.monotonic(),
            status: GONE,
            elapsed: None,
        }
    }

    /// Ends it with the answer's status; how long it took.
    pub fn end(mut self, status: u16) -> Duration {
        self.status = status;
        *self.elapsed.insert(self.clock.monotonic().saturating_sub(self.begun))
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let gone = || self.clock.monotonic().saturating_sub(self.begun);
        let seconds = self.elapsed.unwrap_or_else(gone).as_secs_f64();
        self.requests.observe(self.method, self.route, self.status, seconds);
    }
}
