//! `GET /health…`, `/livez`, `/readyz` and `/metrics`: how the process and its stores are.
//!
//! Without the journal nothing is acknowledged, so the process is not well; without the tables it
//! is degraded and goes on acknowledging.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Semaphore;

use super::{Front, Operations, answer::Answer, fault::Fault};

/// How the stores are; an `Err` says why one cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The journal.
    pub journal: Result<(), String>,
    /// The tables.
    pub errors: Result<(), String>,
    /// Whether events are acknowledged: the shard is held and not being given up.
    pub ready: bool,
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<String>,
}

const OK: &str = "ok";

/// Both stores: 503 without the journal, "degraded" without the tables.
pub fn health<I>(front: &Front<I>) -> Result<Answer, Fault> {
    let health = front.operations.health();
    away_unless("journal", health.journal)?;
    let (status, errors) = match health.errors {
        Ok(()) => (OK, OK.to_owned()),
        Err(reason) => ("degraded", reason),
    };
    Ok(report(front, status, Some(OK.to_owned()), Some(errors)))
}

/// The journal alone.
pub fn journal<I>(front: &Front<I>) -> Result<Answer, Fault> {
    away_unless("journal", front.operations.health().journal)?;
    Ok(report(front, OK, Some(OK.to_owned()), None))
}

/// The tables alone.
pub fn errors<I>(front: &Front<I>) -> Result<Answer, Fault> {
    away_unless("errors", front.operations.health().errors)?;
    Ok(report(front, OK, None, Some(OK.to_owned())))
}

/// Whether the process runs: it does if it answers.
pub fn live<I>(front: &Front<I>) -> Answer {
    report(front, OK, None, None)
}

/// Whether events are acknowledged.
pub fn ready<I>(front: &Front<I>) -> Result<Answer, Fault> {
    if front.operations.health().ready {
        Ok(report(front, OK, None, None))
    } else {
        Err(Fault::Away { part: "server", reason: "not ready".to_owned() })
    }
}

/// All metrics. They have permits of their own: whoever watches must see when all else is busy.
pub async fn metrics<I>(front: &Front<I>) -> Result<Answer, Fault> {
    let all = Operations::metrics;
    ask_with(front, &front.metrics_calls, "metrics", all).await.map(Answer::metrics)
}

/// Asks the process for something that may block, on a thread that may; `part` is what a client
/// is told cannot be had when [`super::limit::CALLS_MAX`] already wait.
pub async fn ask<I, T: Send + 'static>(
    front: &Front<I>,
    part: &'static str,
    call: impl FnOnce(&dyn Operations) -> T + Send + 'static,
) -> Result<T, Fault> {
    ask_with(front, &front.calls, part, call).await
}

/// As [`ask`], with other permits.
pub async fn ask_with<I, T: Send + 'static>(
    front: &Front<I>,
    permits: &Semaphore,
    part: &'static str,
    call: impl FnOnce(&dyn Operations) -> T + Send + 'static,
) -> Result<T, Fault> {
    let away = |reason: &str| Fault::Away { part, reason: reason.to_owned() };
    let _permit = permits.try_acquire().map_err(|_| away("too many requests at once"))?;
    let operations = Arc::clone(&front.operations);
    tokio::task::spawn_blocking(move || call(&*operations))
        .await
        .map_err(|_panicked| away("failed"))
}

fn away_unless(part: &'static str, state: Result<(), String>) -> Result<(), Fault> {
    state.map_err(|reason| Fault::Away { part, reason })
}

fn report<I>(
    front: &Front<I>,
    status: &'static str,
    journal: Option<String>,
    errors: Option<String>,
) -> Answer {
    Answer::success(Report { status, journal, errors }, front.operations.clock().wall())
}
