//! Tables that are brought up to date before they are first written.
//!
//! The server starts also when the tables do not answer. Their schema is then made when they do,
//! by whichever handle comes first. Tables with rows in them are brought up to date on a thread of
//! their own, because that can take hours; until then every handle says at once that they are away,
//! and events wait in the journal.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use errsift_ops::{fingerprint::Fingerprint, id::Shard};
use errsift_pipeline::ports::errors::{
    Applied, Claim, DeadLetters, DetailsRow, ErrorRow, Errors, ErrorsFault, ErrorsReader,
    ErrorsWriter, Guards, Range, Settled,
};

use crate::{
    query::Queries,
    schema::{SchemaFault, SchemaVersion, Stand},
};

/// Pause before a change of the schema that was cut short is taken up again.
const PAUSE: Duration = Duration::from_secs(2);

/// A store with a schema.
pub trait Migrate: Errors + Clone {
    /// Brings the schema up to this binary's version, or refuses it.
    fn migrate(&self) -> Result<SchemaVersion, SchemaFault>;

    /// Makes tables where [`look`](Self::look) has found none, and says how they stand:
    /// [`Stand::Behind`], if what they are only read by is left out, so that a great many rows are
    /// written in less time.
    fn begin(&self) -> Result<Stand, SchemaFault> {
        self.migrate().map(|_| Stand::UpToDate)
    }

    /// Makes what [`begin`](Self::begin) has left out, as [`migrate`](Self::migrate) does, in less time.
    fn complete(&self) -> Result<SchemaVersion, SchemaFault> {
        self.migrate()
    }

    /// Changes nothing, and refuses what [`migrate`](Self::migrate) refuses. A store that is always
    /// quick to migrate need not look.
    fn look(&self) -> Result<Stand, SchemaFault> {
        Ok(Stand::Absent)
    }

    /// A handle that asks, with a connection of its own, made when first used.
    fn queries(&self) -> Box<dyn Queries>;
}

/// A store whose handles bring its schema up to date first, once per process.
#[derive(Clone, Debug)]
pub struct Migrated<S> {
    store: S,
    progress: Arc<Mutex<Progress>>,
}

/// How far this process has come with the schema. The lock is held for a look at it only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    Due,
    Looking,
    Underway,
    Done,
}

impl<S: Migrate> Migrated<S> {
    /// Nothing is done yet.
    pub fn new(store: S) -> Self {
        Self { store, progress: Arc::default() }
    }

    /// The store itself.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Refuses a schema that must be refused, and makes one where there is none. One that is behind
    /// is left to a thread of its own: [`SchemaFault::Underway`] until that is done.
    pub fn migrate(&self) -> Result<(), SchemaFault> {
        self.made_by(|store| store.migrate().map(|_| Stand::UpToDate)).map(|_| ())
    }

    /// The same before a great many rows: a schema that is made now may lack what it is only read by,
    /// which is to be [completed](Migrate::complete), if it is then [`Stand::Behind`].
    pub fn begin(&self) -> Result<Stand, SchemaFault> {
        self.made_by(S::begin)
    }

    fn made_by(
        &self,
        make: impl FnOnce(&S) -> Result<Stand, SchemaFault>,
    ) -> Result<Stand, SchemaFault> {
        {
            let mut progress = self.progress();
            match *progress {
                Progress::Done => return Ok(Stand::UpToDate),
                Progress::Looking => return Err(SchemaFault::Unseen),
                Progress::Underway => return Err(SchemaFault::Underway),
                Progress::Due => *progress = Progress::Looking,
            }
        }
        let migrated = self.store.look().and_then(|stand| match stand {
            Stand::UpToDate => Ok(Stand::UpToDate),
            Stand::Absent => make(&self.store),
            Stand::Behind => Err(SchemaFault::Underway),
        });
        *self.progress() = match migrated {
            Ok(_) => Progress::Done,
            Err(SchemaFault::Underway) => Progress::Underway,
            Err(_) => Progress::Due,
        };
        match &migrated {
            Ok(Stand::UpToDate) => tracing::info!("schema is up to date"),
            Err(SchemaFault::Underway) => self.spawn(),
            Ok(_) | Err(_) => {}
        }
        migrated
    }

    fn spawn(&self) {
        tracing::info!("bringing the schema up to date; events wait in the journal meanwhile");
        let this = self.clone();
        let thread = thread::Builder::new().name("migrate".to_owned());
        if let Err(fault) = thread.spawn(move || this.finish()) {
            tracing::warn!(%fault, "no thread to bring the schema up to date");
            *self.progress() = Progress::Due;
        }
    }

    /// Tries until it is done, or refused.
    fn finish(&self) {
        let progress = loop {
            match self.store.migrate() {
                Ok(version) => {
                    tracing::info!(version = version.0, "schema is up to date");
                    break Progress::Done;
                }
                Err(fault @ (SchemaFault::Store(_) | SchemaFault::Busy { .. })) => {
                    tracing::warn!(%fault, "schema not brought up to date yet");
                    thread::sleep(PAUSE);
                }
                // whoever looks next says why
                Err(_) => break Progress::Due,
            }
        };
        *self.progress() = progress;
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle that asks, on a schema that is up to date.
    pub fn queries(&self) -> Result<Box<dyn Queries>, ErrorsFault> {
        self.ensure()?;
        Ok(self.store.queries())
    }

    fn ensure(&self) -> Result<(), ErrorsFault> {
        self.migrate().map_err(|fault| match fault {
            SchemaFault::Store(fault) => fault,
            SchemaFault::Busy { .. } | SchemaFault::Unseen | SchemaFault::Underway => {
                ErrorsFault::Transient(fault.to_string())
            }
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

    fn insert_details(
        &mut self,
        shard: Shard,
        rows: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault> {
        self.migrated.ensure()?;
        self.inner.insert_details(shard, rows)
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        self.migrated.ensure()?;
        self.inner.apply(claim, range)
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        self.migrated.ensure()?;
        self.inner.guards(shard)
    }

    fn settled(&mut self, shard: Shard) -> Result<Settled, ErrorsFault> {
        self.migrated.ensure()?;
        self.inner.settled(shard)
    }
}

impl<S: Migrate> ErrorsReader for Handle<S, Box<dyn ErrorsReader>> {
    fn read(&mut self, shard: Shard, fingerprint: &Fingerprint) -> Result<ErrorRow, ErrorsFault> {
        self.migrated.ensure()?;
        self.inner.read(shard, fingerprint)
    }
}
