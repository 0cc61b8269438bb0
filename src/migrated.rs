//! Tables that are brought up to date before they are first written.
//!
//! The server starts also when the tables do not answer. Their schema is then made when they do,
//! by whichever handle comes first.

use std::sync::{Arc, Mutex, PoisonError};

use errsift_ops::{fingerprint::Fingerprint, id::Shard};
use errsift_pipeline::ports::errors::{
    Applied, Claim, DeadLetters, DetailsRow, ErrorRow, Errors, ErrorsFault, ErrorsReader,
    ErrorsWriter, Guards, Range,
};

use crate::{
    query::Queries,
    schema::{SchemaFault, SchemaVersion},
};

/// A store with a schema.
pub trait Migrate: Errors + Clone {
    /// Brings the schema up to this binary's version, or refuses it.
    fn migrate(&self) -> Result<SchemaVersion, SchemaFault>;

    /// A handle that asks, with a connection of its own, made when first used.
    fn queries(&self) -> Box<dyn Queries>;
}

/// A store whose handles bring its schema up to date first, once per process.
#[derive(Clone, Debug)]
pub struct Migrated<S> {
    store: S,
    done: Arc<Mutex<bool>>,
}

impl<S: Migrate> Migrated<S> {
    /// Nothing is done yet.
    pub fn new(store: S) -> Self {
        Self { store, done: Arc::default() }
    }

    /// The store itself.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Brings the schema up to date unless that was done.
    pub fn migrate(&self) -> Result<(), SchemaFault> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if !*done {
            let version = self.store.migrate()?;
            tracing::info!(version = version.0, "schema is up to date");
            *done = true;
        }
        Ok(())
    }

    /// A handle that asks, on a schema that is up to date.
    pub fn queries(&self) -> Result<Box<dyn Queries>, ErrorsFault> {
        self.ensure()?;
        Ok(self.store.queries())
    }

    fn ensure(&self) -> Result<(), ErrorsFault> {
        self.migrate().map_err(|fault| match fault {
            SchemaFault::Store(fault) => fault,
            SchemaFault::Busy { .. } => ErrorsFault::Transient(fault.to_string()),
            SchemaFault::Newer { .. }
            | SchemaFault::Setting { .. }
            | SchemaFault::Denied { .. } => ErrorsFault::Denied(fault.to_string()),
        })
    }
}

impl<S: Migrate> Errors for Migrated<S> {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(Handle { migrated: self.clone(), inner: self.store.writer() })
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        Box::new(Handle { migrated: self.clone(), inner: self.store.reader() })
    }
}

struct Handle<S, H> {
    migrated: Migrated<S>,
    inner: H,
}

impl<S: Migrate> ErrorsWriter for Handle<S, Box<dyn ErrorsWriter>> {
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault> {
        self.migrated.ensure()?;
        self.inner.take_guards(claim)
    }

    fn insert_details(&mut self, rows: &[DetailsRow]) -> Result<(), ErrorsFault> {
        self.migrated.ensure()?;
        self.inner.insert_details(rows)
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        self.migrated.ensure()?;
        self.inner.apply(claim, range)
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        self.migrated.ensure()?;
        self.inner.guards(shard)
    }

    fn dead_letters(&mut self, shard: Shard) -> Result<DeadLetters, ErrorsFault> {
        self.migrated.ensure()?;
        self.inner.dead_letters(shard)
    }
}

impl<S: Migrate> ErrorsReader for Handle<S, Box<dyn ErrorsReader>> {
    fn read(&mut self, shard: Shard, fingerprint: &Fingerprint) -> Result<ErrorRow, ErrorsFault> {
        self.migrated.ensure()?;
        self.inner.read(shard, fingerprint)
    }
}
