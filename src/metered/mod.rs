//! Stores that are timed: decorators around the ports, so that the adapters know nothing of it.
//!
//! An operation's time is that of the call; a commit's, which ends on another thread, is from
//! handing it over to its report. How it ended is told by the fault's type.

mod journal;
mod queries;
mod tables;

use std::{sync::Arc, time::Duration};

use errsift_pipeline::{
    ports::{
        clock::Clock,
        errors::{Errors, ErrorsFault},
        journal::{Backlog, JournalFault},
    },
    start::Stores,
};
use prometheus::Registry;

use self::{
    journal::{MeteredBacklog, MeteredJournal},
    queries::MeteredQueries,
    tables::MeteredErrors,
};
use crate::{
    metrics::stores::{Operations, Status},
    query::Queries,
    stores::Backend,
};

/// Observes the operations of one store.
#[derive(Clone)]
struct Meter {
    operations: Operations,
    clock: Arc<dyn Clock>,
}

/// How a result counts.
trait Ended {
    fn status(&self) -> Status;
}

impl<T> Ended for Result<T, JournalFault> {
    fn status(&self) -> Status {
        if self.is_ok() { Status::Ok } else { Status::Transient }
    }
}

impl<T> Ended for Result<T, ErrorsFault> {
    fn status(&self) -> Status {
        match self {
            Ok(_) => Status::Ok,
            Err(ErrorsFault::Transient(_)) => Status::Transient,
            Err(ErrorsFault::Unknown(_)) => Status::Unknown,
            Err(ErrorsFault::Denied(_)) => Status::Denied,
        }
    }
}

impl Meter {
    fn timed<T: Ended>(&self, operation: &'static str, call: impl FnOnce() -> T) -> T {
        let begun = self.clock.monotonic();
        let ended = call();
        self.observe(operation, ended.status(), begun);
        ended
    }

    fn observe(&self, operation: &'static str, status: Status, begun: Duration) {
        let took = self.clock.monotonic().saturating_sub(begun);
        self.operations.observe(operation, status, took);
    }
}

/// A backend whose handles are timed.
pub struct Metered {
    backend: Arc<Backend>,
    journal: Meter,
    tables: Meter,
}

impl Metered {
    /// Times `backend` under the names of its stores.
    pub fn new(
        backend: Arc<Backend>,
        registry: &Registry,
        clock: &Arc<dyn Clock>,
    ) -> prometheus::Result<Self> {
        let meter = |operations| Meter { operations, clock: Arc::clone(clock) };
        let asked = [tables::OPERATIONS, queries::OPERATIONS].concat();
        let (journal, tables) = match *backend {
            Backend::Servers { .. } => (
                Operations::new(registry, "redis", journal::OPERATIONS)?,
                Operations::new(registry, "mysql", &asked)?,
            ),
            Backend::Embedded { .. } => {
                let all = [journal::OPERATIONS, &asked].concat();
                let both = Operations::new(registry, "embedded", &all)?;
                (both.clone(), both)
            }
        };
        Ok(Self { backend, journal: meter(journal), tables: meter(tables) })
    }

    /// The backend itself.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// See [`Backend::open`].
    pub fn open(&self) -> Result<Stores, JournalFault> {
        let Stores { journal, .. } = self.backend.open()?;
        let journal = Box::new(MeteredJournal::new(journal, self.journal.clone()));
        Ok(Stores { journal, backlog: self.backlog(), errors: self.errors() })
    }

    /// See [`Backend::backlog`].
    pub fn backlog(&self) -> Box<dyn Backlog> {
        Box::new(MeteredBacklog::new(self.backend.backlog(), self.journal.clone()))
    }

    /// See [`Backend::errors`].
    pub fn errors(&self) -> Arc<dyn Errors> {
        Arc::new(MeteredErrors::new(self.backend.errors(), self.tables.clone()))
    }

    /// See [`Backend::queries`].
    pub fn queries(&self) -> Result<Box<dyn Queries>, ErrorsFault> {
        Ok(Box::new(MeteredQueries::new(self.backend.queries()?, self.tables.clone())))
    }
}
