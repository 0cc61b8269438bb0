//! The tables, timed.

use std::sync::Arc;

use errsift_ops::{fingerprint::Fingerprint, id::Shard};
use errsift_pipeline::ports::errors::{
    Applied, Claim, DeadLetters, DetailsRow, ErrorRow, Errors, ErrorsFault, ErrorsReader,
    ErrorsWriter, Guards, Range, Settled,
};

use super::Meter;

/// Every operation's name.
pub const OPERATIONS: &[&str] =
    &["take_guards", "insert_details", "apply", "guards", "settled", "read"];

/// The store; its handles are timed.
pub struct MeteredErrors {
    errors: Arc<dyn Errors>,
    meter: Meter,
}

impl MeteredErrors {
    pub fn new(errors: Arc<dyn Errors>, meter: Meter) -> Self {
        Self { errors, meter }
    }
}

impl Errors for MeteredErrors {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(Handle { inner: self.errors.writer(), meter: self.meter.clone() })
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        Box::new(Handle { inner: self.errors.reader(), meter: self.meter.clone() })
    }
}

/// A writing or a reading handle.
struct Handle<H> {
    inner: H,
    meter: Meter,
}

impl ErrorsWriter for Handle<Box<dyn ErrorsWriter>> {
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault> {
        self.meter.timed("take_guards", || self.inner.take_guards(claim))
    }

    fn insert_details(
        &mut self,
        shard: Shard,
        rows: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault> {
        self.meter.timed("insert_details", || self.inner.insert_details(shard, rows))
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        self.meter.timed("apply", || self.inner.apply(claim, range))
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        self.meter.timed("guards", || self.inner.guards(shard))
    }

    fn settled(&mut self, shard: Shard) -> Result<Settled, ErrorsFault> {
        self.meter.timed("settled", || self.inner.settled(shard))
    }
}

impl ErrorsReader for Handle<Box<dyn ErrorsReader>> {
    fn read(&mut self, shard: Shard, fingerprint: &Fingerprint) -> Result<ErrorRow, ErrorsFault> {
        self.meter.timed("read", || self.inner.read(shard, fingerprint))
    }
}
