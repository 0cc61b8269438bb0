//! `GET /health…`, `/livez`, `/readyz` and `/metrics`: how the process and its stores are.
//!
//! Without the journal nothing is acknowledged, so the process is not well; without the tables it
//! is degraded and goes on acknowledging.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Semaphore;

use super::{Front, Operations, answer::Answer, fault::Fault, policy::Door};

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
    away_unless(front, "journal", health.journal)?;
    let (status, errors) = match health.errors {
        Ok(()) => (OK, OK.to_owned()),
        Err(reason) => ("degraded", told(front, reason)),
    };
    Ok(report(front, status, Some(OK.to_owned()), Some(errors)))
}

/// The journal alone.
pub fn journal<I>(front: &Front<I>) -> Result<Answer, Fault> {
    away_unless(front, "journal", front.operations.health().journal)?;
    Ok(report(front, OK, Some(OK.to_owned()), None))
}

/// The tables alone.
pub fn errors<I>(front: &Front<I>) -> Result<Answer, Fault> {
    away_unless(front, "errors", front.operations.health().errors)?;
    Ok(report(front, OK, None, Some(OK.to_owned())))
}

/// Whether the process runs: it does if it answers.
pub fn live<I>(front: &Front<I>) -> Answer {
    report(front, OK, None, None)
}

/// Whether events are acknowledged.
pub fn ready<I>(front: &Front<I>) -> Result<Answer, Fault> {
    let health = front.operations.health();
    if health.ready {
        return Ok(report(front, OK, None, None));
    }
    let reason = health.journal.err().filter(|_| among_us(front));
    let reason = reason.unwrap_or_else(|| "not ready".to_owned());
    Err(Fault::Away { part: "server", reason })
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
    permits: &Arc<Semaphore>,
    part: &'static str,
    call: impl FnOnce(&dyn Operations) -> T + Send + 'static,
) -> Result<T, Fault> {
    let operations = Arc::clone(&front.operations);
    permitted(permits, move || call(&*operations))
        .await
        .map_err(|reason| Fault::Away { part, reason: reason.to_owned() })
}

/// The permit is the call's: it goes on when whoever waits for it has gone.
async fn permitted<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, &'static str> {
    let permit = Arc::clone(permits).try_acquire_owned();
    let permit = permit.map_err(|_| "too many requests at once")?;
    let called = tokio::task::spawn_blocking(move || {
        let answer = call();
        drop(permit);
        answer
    });
    called.await.map_err(|_panicked| "failed")
}

fn away_unless<I>(
    front: &Front<I>,
    part: &'static str,
    state: Result<(), String>,
) -> Result<(), Fault> {
    state.map_err(|reason| Fault::Away { part, reason: told(front, reason) })
}

/// A store's own words may name users and hosts: where strangers may ask, they are kept back.
fn told<I>(front: &Front<I>, reason: String) -> String {
    if among_us(front) { reason } else { "does not answer".to_owned() }
}

fn among_us<I>(front: &Front<I>) -> bool {
    match front.policy.door {
        Door::Admin => true,
        Door::Only => front.policy.keys.is_empty(),
        Door::Public => false,
    }
}

fn report<I>(
    front: &Front<I>,
    status: &'static str,
    journal: Option<String>,
    errors: Option<String>,
) -> Answer {
    Answer::success(Report { status, journal, errors }, front.operations.clock().wall())
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[tokio::test]
    async fn a_call_nobody_waits_for_keeps_its_permit() {
        let permits = Arc::new(Semaphore::new(1));
        let (go, wait) = mpsc::channel::<()>();
        let call = permitted(&permits, move || wait.recv().is_ok());
        tokio::time::timeout(Duration::from_millis(10), call).await.unwrap_err();
        assert_eq!(permitted(&permits, || ()).await, Err("too many requests at once"));
        go.send(()).unwrap();
        drop(permits.acquire().await.unwrap());
        assert_eq!(permitted(&permits, || 7).await, Ok(7));
    }
}
