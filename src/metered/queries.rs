//! Questions to the tables, timed.

use errsift_ops::{fingerprint::Fingerprint, id::Shard, timestamp::Timestamp};
use errsift_pipeline::ports::errors::ErrorRow;

use super::{Ended, Meter};
use crate::{
    metrics::stores::Status,
    query::{Candidate, Narrowing, Queries, QueryFault, Span, Walk},
};

/// Every operation's name.
pub const OPERATIONS: &[&str] =
    &["list_walk", "list_few", "list_uncounted", "list_rows", "windows_of", "windows"];

impl<T> Ended for Result<T, QueryFault> {
    fn status(&self) -> Status {
        if self.is_ok() { Status::Ok } else { Status::Transient }
    }
}

/// A handle for questions.
pub struct MeteredQueries {
    queries: Box<dyn Queries>,
    meter: Meter,
}

impl MeteredQueries {
    pub fn new(queries: Box<dyn Queries>, meter: Meter) -> Self {
        Self { queries, meter }
    }
}

impl Queries for MeteredQueries {
    fn walk(&mut self, walk: &Walk) -> Result<Vec<Candidate>, QueryFault> {
        self.meter.timed("list_walk", || self.queries.walk(walk))
    }

    fn few(
        &mut self,
        narrowing: Narrowing<'_>,
        max: usize,
        details: bool,
    ) -> Result<Option<Vec<Candidate>>, QueryFault> {
        self.meter.timed("list_few", || self.queries.few(narrowing, max, details))
    }

    fn uncounted(&mut self, newest: usize) -> Result<Vec<Candidate>, QueryFault> {
        self.meter.timed("list_uncounted", || self.queries.uncounted(newest))
    }

    fn rows(
        &mut self,
        shard: Shard,
        fingerprints: &[Fingerprint],
    ) -> Result<Vec<ErrorRow>, QueryFault> {
        self.meter.timed("list_rows", || self.queries.rows(shard, fingerprints))
    }

    fn windows_of(
        &mut self,
        fingerprint: &Fingerprint,
        windows: &[Timestamp],
    ) -> Result<Vec<(Timestamp, u64)>, QueryFault> {
        self.meter.timed("windows_of", || self.queries.windows_of(fingerprint, windows))
    }

    fn windows(
        &mut self,
        service: Option<&str>,
        span: &Span,
    ) -> Result<Vec<(Timestamp, u64)>, QueryFault> {
        self.meter.timed("windows", || self.queries.windows(service, span))
    }
}
