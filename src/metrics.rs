//! Metrics in Prometheus' text format.

use errsift_pipeline::counters::{Counter, Counters};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder, core::Collector, proto::MetricFamily,
};

use crate::http::Requests;

/// Upper bounds of request durations, in seconds.
const SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// What is measured of requests, and the pipeline's counters when asked.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
}

impl Metrics {
    /// Nothing measured yet. Fails only if two metrics had the same name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let labels = ["method", "route", "status"];
        let requests = IntCounterVec::new(
            Opts::new("http_requests_total", "Requests answered, by method, route and status"),
            &labels,
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "http_request_duration_seconds",
                "Seconds from a request's head to its answer",
            )
            .buckets(SECONDS.to_vec()),
            &["method", "route"],
        )?;
        let in_flight = IntGauge::new("http_requests_in_flight", "Requests being answered")?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Self { registry, requests, durations, in_flight })
    }

    /// All metrics as they stand.
    pub fn text(&self, counters: &Counters) -> String {
        let mut families = self.registry.gather();
        families.extend(
            TOTALS.iter().filter_map(|(name, help, read)| total(name, help, read(counters))),
        );
        families.extend(
            LEVELS.iter().filter_map(|(name, help, read)| level(name, help, read(counters))),
        );
        families.sort_by(|left, right| left.name().cmp(right.name()));
        let mut text = Vec::new();
        if let Err(fault) = TextEncoder::new().encode(&families, &mut text) {
            tracing::error!(%fault, "metrics not encoded");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

type Read = fn(&Counters) -> &Counter;

/// Numbers that only grow.
const TOTALS: [(&str, &str, Read); 17] = [
    ("errsift_received_events_total", "Events offered to the channel", |c| &c.received),
    ("errsift_shed_events_total", "Events turned away because the channel was full", |c| &c.shed),
    ("errsift_invalid_events_total", "Bodies that were not events", |c| &c.invalid),
    ("errsift_acked_events_total", "Events answered as stored", |c| &c.acked),
    ("errsift_not_stored_events_total", "Events answered as not stored", |c| &c.not_stored),
    ("errsift_maybe_stored_events_total", "Events answered as perhaps stored", |c| &c.maybe_stored),
    ("errsift_clamped_events_total", "Events whose time lay in the future", |c| &c.clamped),
    ("errsift_flights_total", "Flights executed", |c| &c.flights),
    ("errsift_flight_entries_total", "Entries in executed flights", |c| &c.flight_entries),
    ("errsift_flight_bytes_total", "Bytes of executed flights' jobs", |c| &c.flight_bytes),
    ("errsift_flight_microseconds_total", "Microseconds flights were out", |c| &c.flight_micros),
    ("errsift_refused_flights_total", "Commits that the journal refused", |c| &c.refused),
    ("errsift_unknown_flights_total", "Commits whose answer was lost", |c| &c.unknown),
    ("errsift_paged_flights_total", "Flights that apply reads back from the journal", |c| &c.paged),
    ("errsift_count_rows_total", "Rows of counts applied", |c| &c.count_rows),
    ("errsift_details_rows_total", "Rows of details confirmed", |c| &c.details_rows),
    ("errsift_errors_retries_total", "Attempts on the tables that failed", |c| &c.errors_retries),
];

/// Numbers that go up and down, or that go on from what the stores say.
const LEVELS: [(&str, &str, Read); 10] = [
    ("errsift_journaled_events", "Events in all flights of this shard", |c| &c.journaled),
    ("errsift_counted_events", "Events applied to the tables from this shard", |c| &c.counted),
    ("errsift_applied_epoch", "The last epoch that every part has applied", |c| &c.applied_epoch),
    ("errsift_channel_depth", "Events between the front end and ingest", |c| &c.channel_depth),
    ("errsift_journal_jobs", "Jobs in the journal", |c| &c.journal_jobs),
    ("errsift_journal_bytes", "Bytes of the journal", |c| &c.journal_bytes),
    ("errsift_journal_up", "1 while the journal takes flights", |c| &c.journal_up),
    ("errsift_errors_up", "1 while the tables answer", |c| &c.errors_up),
    ("errsift_errors_failing", "Threads whose writes to the tables fail now", |c| {
        &c.errors_failing
    }),
    ("errsift_pending_lost", "Batches of pending counts lost until applied", |c| &c.pending_lost),
];

fn total(name: &str, help: &str, counter: &Counter) -> Option<MetricFamily> {
    let metric = IntCounter::new(name, help).ok()?;
    metric.inc_by(counter.get());
    metric.collect().pop()
}

fn level(name: &str, help: &str, counter: &Counter) -> Option<MetricFamily> {
    let metric = IntGauge::new(name, help).ok()?;
    metric.set(i64::try_from(counter.get()).unwrap_or(i64::MAX));
    metric.collect().pop()
}

impl Requests for Metrics {
    fn begun(&self) {
        self.in_flight.inc();
    }

    fn observe(&self, method: &'static str, route: &'static str, status: u16, seconds: f64) {
        self.in_flight.dec();
        self.requests.with_label_values(&[method, route, label(status)]).inc();
        self.durations.with_label_values(&[method, route]).observe(seconds);
    }
}

/// The statuses that are answered, as labels; any other is one label, so that the set is bounded.
fn label(status: u16) -> &'static str {
    match status {
        200 => "200",
        204 => "204",
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
        499 => "499",
        500 => "500",
        503 => "503",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_shown_with_its_value() {
        let metrics = Metrics::new().unwrap();
        let counters = Counters::default();
        counters.acked.add(7);
        metrics.begun();
        metrics.observe("POST", "/errors/log", 200, 0.002);
        let text = metrics.text(&counters);
        for line in [
            "errsift_acked_events_total 7",
            "http_requests_total{method=\"POST\",route=\"/errors/log\",status=\"200\"} 1",
            "http_request_duration_seconds_bucket{method=\"POST\",route=\"/errors/log\",le=\"0.0025\"} 1",
            "http_requests_in_flight 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        for (name, ..) in TOTALS.iter().chain(&LEVELS) {
            assert!(text.contains(&format!("\n{name} ")), "{name}");
        }
    }
}
