//! The tables of errors in a file.

use std::path::PathBuf;

use errsift_ops::id::Shard;
use errsift_pipeline::ports::errors::{Errors, ErrorsReader, ErrorsWriter};

use super::{
    Sync, Turn, connect, dead::Letters, export::Export, faults, inspect::GuardInspector,
    queries::EmbeddedQueries, reader::Reader, schema, sources::KnownSources, writer::Writer,
};
use crate::{
    dead::DeadRows,
    export::ExportRows,
    inspect::InspectGuards,
    migrated::Migrate,
    query::Queries,
    replay::sources::Sources,
    schema::{SchemaFault, SchemaVersion},
};

/// Errors in an `SQLite` file. Clones and handles share its turn to write.
#[derive(Clone, Debug)]
pub struct EmbeddedErrors {
    path: PathBuf,
    turn: Turn,
}

impl EmbeddedErrors {
    /// A store in the file `path`; nothing is opened yet. Make one per file and process.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), turn: Turn::default() }
    }

    /// Reads the guard rows of `shard`; cannot write, and makes no file.
    pub fn inspect(&self, shard: Shard) -> Box<dyn InspectGuards> {
        Box::new(GuardInspector::new(self.path.clone(), shard))
    }

    /// The dead letters of `shard`; makes no file.
    pub fn dead_rows(&self, shard: Shard) -> Box<dyn DeadRows> {
        Box::new(Letters::new(self.path.clone(), shard))
    }

    /// All rows; makes no file.
    pub fn export(&self) -> Box<dyn ExportRows> {
        Box::new(Export::new(self.path.clone()))
    }

    /// The recorded logs that the file knows, if it is up to date.
    pub fn sources(&self) -> Box<dyn Sources> {
        Box::new(KnownSources::new(self.path.clone(), self.turn.clone()))
    }
}

impl Errors for EmbeddedErrors {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(Writer::new(self.path.clone(), self.turn.clone()))
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        Box::new(Reader::new(self.path.clone()))
    }
}

impl Migrate for EmbeddedErrors {
    /// Makes the file if there is none, brings its schema up to this binary's version and checks
    /// what must never change. A file that is newer, or was made with another number of parts, is
    /// refused.
    fn migrate(&self) -> Result<SchemaVersion, SchemaFault> {
        let _turn = self.turn.take();
        let mut conn = connect(&self.path, Sync::Full).map_err(|error| faults::refused(&error))?;
        schema::migrate_errors(&mut conn)
    }

    fn queries(&self) -> Box<dyn Queries> {
        Box::new(EmbeddedQueries::new(self.path.clone()))
    }
}
