//! What the front end shows: errors, counts over time, health, metrics.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use errsift_ops::{fingerprint::Fingerprint, id::Shard};
use errsift_pipeline::{
    counters::Counters,
    epochs::OpenEpochs,
    live,
    ports::{
        clock::Clock,
        errors::{ErrorRow, ErrorsReader},
        journal::Backlog,
    },
};

use crate::{
    http::{ErrorView, Health, Operations, Page},
    metered::Metered,
    metrics::{Counted, Metrics},
    query::{self, ListQuery, Points, Queries, QueryFault, Span, WindowsQuery},
};

/// How often the stores are asked whether they answer.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// How often the stores' settings are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// When a page of a list has taken this long, no further errors are examined for it.
const WALK_MAX: Duration = Duration::from_millis(80);

/// Handles kept for the next calls.
const IDLE_MAX: usize = 8;

/// What one call reads with; each has a connection of its own, apart from those that write.
struct Handles {
    backlog: Box<dyn Backlog>,
    reader: Box<dyn ErrorsReader>,
    queries: Box<dyn Queries>,
}

/// The running process as its front end sees it.
pub struct Process {
    backend: Arc<Metered>,
    shard: Shard,
    epochs: Arc<OpenEpochs>,
    counters: Arc<Counters>,
    counted: Counted,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    answers: Mutex<Answers>,
    stopping: AtomicBool,
    /// Handles that no call uses now.
    idle: Mutex<Vec<Handles>>,
}

/// What the stores last answered.
struct Answers {
    journal: Result<(), String>,
    errors: Result<(), String>,
}

impl Process {
    /// A view of the pipeline that has `counted`.
    pub fn new(
        backend: Arc<Metered>,
        shard: Shard,
        counted: Counted,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self {
            backend,
            shard,
            epochs: Arc::clone(&counted.epochs),
            counters: Arc::clone(&counted.counters),
            counted,
            metrics,
            clock,
            answers: Mutex::new(Answers { journal: Ok(()), errors: Ok(()) }),
            stopping: AtomicBool::new(false),
            idle: Mutex::default(),
        })
    }

    /// Says that events are no longer taken: the process is not ready any more.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Asks the stores again and again, each on a thread of its own so that one that hangs does
    /// not hide the other. The threads end with the process.
    pub fn watch(self: &Arc<Self>) {
        let (this, mut backlog) = (Arc::clone(self), self.backend.backlog());
        ask_repeatedly("ask-journal", ASK_INTERVAL, move || {
            let answer = backlog.fence().map(drop).map_err(|fault| fault.to_string());
            this.answers().journal = answer;
        });
        let (this, mut errors) = (Arc::clone(self), self.backend.errors().writer());
        ask_repeatedly("ask-errors", ASK_INTERVAL, move || {
            let answer = errors.settled(this.shard).map_err(|fault| fault.to_string());
            let answer = answer.map(|settled| this.counters.settled(&settled));
            this.counters.errors_up.set(u64::from(answer.is_ok()));
            this.answers().errors = answer;
        });
        let this = Arc::clone(self);
        ask_repeatedly("look-at-settings", LOOK_INTERVAL, move || {
            this.metrics.look(this.backend.backend());
        });
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Handles>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ask_repeatedly(name: &str, pause: Duration, mut ask: impl FnMut() + Send + 'static) {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        loop {
            ask();
            thread::sleep(pause);
        }
    });
    drop(thread.expect("the system has room for a thread at start"));
}

impl Process {
    /// Calls with handles that nobody else uses meanwhile.
    fn with_handles<T>(
        &self,
        call: impl FnOnce(&mut Handles) -> Result<T, QueryFault>,
    ) -> Result<T, QueryFault> {
        let idle = self.idle().pop();
        let mut handles = match idle {
            Some(handles) => handles,
            None => Handles {
                backlog: self.backend.backlog(),
                reader: self.backend.errors().reader(),
                queries: self.backend.queries()?,
            },
        };
        let answer = call(&mut handles);
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(handles);
        }
        answer
    }
}

fn view(fingerprint: Fingerprint, row: ErrorRow) -> ErrorView {
    let (rule, payload) = row.details.unzip();
    ErrorView {
        fingerprint,
        rule: rule.map(|rule| rule.0),
        payload,
        count: row.count,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
    }
}

impl Operations for Process {
    fn error(
        &self,
        fingerprint: Fingerprint,
        span: Span,
    ) -> Result<Option<(ErrorView, Points)>, QueryFault> {
        self.with_handles(|Handles { backlog, reader, queries }| {
            let epochs = self.epochs.waiting();
            let row = live::read(self.shard, &fingerprint, &epochs, &mut **backlog, &mut **reader)?;
            if row.details.is_none() && row.count == 0 {
                return Ok(None);
            }
            let windows = match (row.first_seen, row.last_seen) {
                (Some(first), Some(last)) => span.windows(first, last).collect(),
                _ => Vec::new(),
            };
            let points = query::fold(span, queries.windows_of(&fingerprint, &windows)?);
            Ok(Some((view(fingerprint, row), points)))
        })
    }

    fn list(&self, query: &ListQuery) -> Result<Page, QueryFault> {
        self.with_handles(|Handles { backlog, queries, .. }| {
            let (epochs, begun) = (self.epochs.waiting(), self.clock.monotonic());
            let is_late = || self.clock.monotonic() >= begun + WALK_MAX;
            let (backlog, queries) = (&mut **backlog, &mut **queries);
            let found = query::page(query, self.shard, &epochs, backlog, queries, &is_late)?;
            let errors =
                found.rows.into_iter().map(|(fingerprint, row)| view(fingerprint, row)).collect();
            let next_cursor = found.next.map(|next| next.cursor(query.sort));
            Ok(Page { errors, next_cursor })
        })
    }

    fn windows(&self, query: &WindowsQuery) -> Result<Points, QueryFault> {
        self.with_handles(|Handles { queries, .. }| {
            let counts = queries.windows(query.service.as_deref(), &query.span)?;
            Ok(query::fold(query.span, counts))
        })
    }

    fn health(&self) -> Health {
        let answers = self.answers();
        let journal = match &answers.journal {
            Ok(()) if self.counters.journal_up.get() == 0 => {
                Err("flights are not taken".to_owned())
            }
            other => other.clone(),
        };
        let errors = match &answers.errors {
            Ok(()) if self.counters.errors_failing.get() > 0 => Err("writes fail".to_owned()),
            other => other.clone(),
        };
        let ready = journal.is_ok() && !self.stopping.load(Ordering::Relaxed);
        Health { journal, errors, ready }
    }

    fn metrics(&self) -> String {
        self.metrics.text(&self.counted, self.clock.as_ref())
    }

    fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}
