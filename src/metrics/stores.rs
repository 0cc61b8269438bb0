//! How long operations on the stores take, and how they end.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, Registry};

/// Upper bounds of an operation's duration, in seconds.
const SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// How an operation ended. Bounded, because it is a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// Certainly not done.
    Refused,
    /// Perhaps done: the answer was lost.
    Unknown,
    /// Not done, and worth trying again.
    Transient,
    /// Not done, and a person must act first.
    Denied,
}

impl Status {
    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Transient => "transient",
            Self::Denied => "denied",
        }
    }
}

/// The operations of one kind of store.
#[derive(Clone)]
pub struct Operations(HistogramVec);

impl Operations {
    /// Registers the histogram of a store: `name` is `redis`, `mysql` or `embedded`. Every one of
    /// `operations` is shown from the start.
    pub fn new(registry: &Registry, name: &str, operations: &[&str]) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(
            format!("{name}_operation_duration_seconds"),
            format!("Time of an operation on {name}, by how it ended"),
        );
        let labels = ["operation", "status"];
        let durations = HistogramVec::new(options.buckets(SECONDS.to_vec()), &labels)?;
        for operation in operations {
            durations.with_label_values(&[operation, Status::Ok.label()]);
        }
        registry.register(Box::new(durations.clone()))?;
        Ok(Self(durations))
    }

    /// Observes one operation. `operation` is one of a fixed set.
    pub fn observe(&self, operation: &'static str, status: Status, took: Duration) {
        self.0.with_label_values(&[operation, status.label()]).observe(took.as_secs_f64());
    }
}
