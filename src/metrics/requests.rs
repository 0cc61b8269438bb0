//! Requests and connections, under the predecessor's names where it had them.

use std::sync::OnceLock;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use crate::http::{INGEST, Requests};

/// Upper bounds of request durations, in seconds.
const SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// Labels of an event that is stored.
const STORED: (&str, &str, u16) = ("POST", INGEST, 200);

/// What is measured of the front end.
pub struct FrontEnd {
    requests: IntCounterVec,
    durations: HistogramVec,
    /// What most requests are counted in, so that labels are not looked up for each.
    stored: OnceLock<(IntCounter, Histogram)>,
    in_flight: IntGauge,
    accepted: IntCounter,
    open: IntGauge,
}

impl FrontEnd {
    /// Registers its metrics; at most `connections_max` connections are open at once.
    pub fn new(registry: &Registry, connections_max: u32) -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("http_requests_total", "Requests answered, by method, route and status"),
            &["method", "route", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "http_request_duration_seconds",
                "Time from a request's head to its answer",
            )
            .buckets(SECONDS.to_vec()),
            &["method", "route"],
        )?;
        let in_flight = IntGauge::new("http_requests_in_flight", "Requests being answered")?;
        let accepted = IntCounter::new("http_connections_accepted_total", "Connections accepted")?;
        let open = IntGauge::new("http_connections_open", "Connections open")?;
        let limit = IntGauge::new("http_connections_limit", "Connections that may be open")?;
        limit.set(connections_max.into());
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        for level in [&in_flight, &open, &limit] {
            registry.register(Box::new(level.clone()))?;
        }
        registry.register(Box::new(accepted.clone()))?;
        let stored = OnceLock::new();
        Ok(Self { requests, durations, stored, in_flight, accepted, open })
    }

    /// Where requests with these labels are counted.
    fn at(
        &self,
        method: &'static str,
        route: &'static str,
        status: u16,
    ) -> (IntCounter, Histogram) {
        let requests = self.requests.with_label_values(&[method, route, label(status)]);
        (requests, self.durations.with_label_values(&[method, route]))
    }
}

impl Requests for FrontEnd {
    fn begun(&self) {
        self.in_flight.inc();
    }

    fn observe(&self, method: &'static str, route: &'static str, status: u16, seconds: f64) {
        self.in_flight.dec();
        let (requests, durations) = if (method, route, status) == STORED {
            self.stored.get_or_init(|| self.at(method, route, status))
        } else {
            &self.at(method, route, status)
        };
        requests.inc();
        durations.observe(seconds);
    }

    fn accepted(&self) {
        self.accepted.inc();
        self.open.inc();
    }

    fn closed(&self) {
        self.open.dec();
    }
}

/// The statuses that are answered, as labels; any other is one label, so that the set is bounded.
fn label(status: u16) -> &'static str {
    match status {
        200 => "200",
        204 => "204",
        304 => "304",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        411 => "411",
        413 => "413",
        415 => "415",
        431 => "431",
        429 => "429",
        499 => "499",
        500 => "500",
        503 => "503",
        _ => "other",
    }
}
