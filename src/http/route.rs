//! Which handler answers, and what holds for every answer.

use std::{convert::Infallible, sync::Arc};

use hyper::{HeaderMap, Method, Request, Response, body::Incoming};

use super::{
    Front, Intake,
    answer::{Answer, AnswerBody},
    batch::batch,
    body::Body,
    compress,
    error::error,
    fault::Fault,
    health,
    ingest::ingest,
    keys::Need,
    list::list,
    openapi,
    policy::Door,
    requests::InFlight,
    seat::{Admitted, Answered, INGEST, INGEST_BATCH, Seat},
    standing::Phase,
    windows::windows,
};

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    Log,
    Batch,
    List,
    Error(&'a str),
    Windows,
    OpenApi,
    Health,
    HealthErrors,
    HealthJournal,
    Live,
    Ready,
    Metrics,
    Other,
}

impl<'a> Route<'a> {
    /// The predecessor's paths may have `/api/v1` in front.
    fn of(path: &'a str) -> Self {
        match path {
            "/livez" => return Self::Live,
            "/readyz" => return Self::Ready,
            "/metrics" => return Self::Metrics,
            _ => {}
        }
        match path.strip_prefix("/api/v1").unwrap_or(path) {
            "/errors/log" => Self::Log,
            "/errors/batch" => Self::Batch,
            "/errors" => Self::List,
            "/windows" => Self::Windows,
            "/openapi.json" => Self::OpenApi,
            "/health" => Self::Health,
            "/health/db" => Self::HealthErrors,
            "/health/redis" => Self::HealthJournal,
            path => match path.strip_prefix("/errors/") {
                Some(fingerprint) if !fingerprint.is_empty() && !fingerprint.contains('/') => {
                    Self::Error(fingerprint)
                }
                _ => Self::Other,
            },
        }
    }

    /// Its name in metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Log => INGEST,
            Self::Batch => INGEST_BATCH,
            Self::List => "/errors",
            Self::Error(_) => "/errors/{fingerprint}",
            Self::Windows => "/windows",
            Self::OpenApi => "/openapi.json",
            Self::Health => "/health",
            Self::HealthErrors => "/health/db",
            Self::HealthJournal => "/health/redis",
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Other => "other",
        }
    }

    /// Itself where it is offered.
    fn at(self, door: Door) -> Self {
        let offered = match door {
            Door::Only => true,
            Door::Public => self != Self::Metrics,
            Door::Admin => self == Self::Metrics || self.is_health(),
        };
        if offered { self } else { Self::Other }
    }

    fn is_health(self) -> bool {
        matches!(
            self,
            Self::Health | Self::HealthErrors | Self::HealthJournal | Self::Live | Self::Ready
        )
    }

    /// Its methods, as `Allow` lists them; `None` if nothing is here.
    pub fn methods(self) -> Option<&'static str> {
        match self {
            Self::Other => None,
            Self::Log | Self::Batch => Some("POST, OPTIONS"),
            _ => Some("GET, HEAD, OPTIONS"),
        }
    }

    /// Checks that it has the method.
    pub fn check(self, method: &Method) -> Result<(), Fault> {
        let methods = self.methods().ok_or(Fault::NoSuchPath)?;
        let has = match self {
            Self::Log | Self::Batch => method == Method::POST,
            // hyper keeps the body of an answer to HEAD to itself
            _ => method == Method::GET || method == Method::HEAD,
        };
        if has { Ok(()) } else { Err(Fault::Method(methods)) }
    }

    /// What a key is needed for.
    pub fn need(self) -> Need {
        match self {
            Self::Log | Self::Batch => Need::Write,
            route if route.is_health() => Need::None,
            _ => Need::Read,
        }
    }

    async fn handle<I: Intake>(
        self,
        front: &Front<I>,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &mut Body,
        service: Option<Arc<str>>,
    ) -> Result<Answer, Fault> {
        match self {
            Self::Log => ingest(front, headers, body, service).await,
            // boxed: what they hold is large, and every request would carry the room for it
            Self::Batch => Box::pin(batch(front, headers, body, service)).await,
            _ => Box::pin(self.show(front, query)).await,
        }
    }

    /// What is there to be read.
    async fn show<I: Intake>(self, front: &Front<I>, query: Option<&str>) -> Result<Answer, Fault> {
        match self {
            Self::List => list(front, query).await,
            Self::Error(fingerprint) => error(front, fingerprint, query).await,
            Self::Windows => windows(front, query).await,
            Self::OpenApi => Ok(Answer::document(openapi::DOCUMENT)),
            Self::Health => health::health(front),
            Self::HealthErrors => health::errors(front),
            Self::HealthJournal => health::journal(front),
            Self::Live => Ok(health::live(front)),
            Self::Ready => health::ready(front),
            Self::Metrics => health::metrics(front).await,
            Self::Log | Self::Batch | Self::Other => Err(Fault::NoSuchPath),
        }
    }
}

/// Answers one request. A connection on which part of the request is unread is closed afterwards.
///
/// Not an `async fn`, which would keep its arguments twice: every request in flight has one of these.
pub fn answer<I: Intake>(
    seat: Arc<Seat<I>>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> {
    let (head, incoming) = request.into_parts();
    let mut body = Body::new(incoming);
    async move {
        let Seat { front, standing, .. } = &*seat;
        standing.enter(Phase::Exchange);
        let route = Route::of(head.uri.path()).at(front.policy.door);
        let (method, clock) = (method_name(&head.method), front.operations.clock());
        let in_flight = InFlight::begin(&*front.requests, clock, method, route.name());
        let id = seat.id(&head);
        let handled = match seat.admit(&head, route) {
            Ok(Admitted::Asked(service)) => {
                route.handle(front, head.uri.query(), &head.headers, &mut body, service).await
            }
            Ok(Admitted::Options(methods)) => Ok(Answer::options(methods)),
            Err(fault) => Err(fault),
        };
        let (mut answer, fault) = match handled.and_then(|answer| seat.hold(answer)) {
            Ok(answer) => (answer, None),
            Err(fault) => (Answer::fault(&fault, clock.wall()), Some(fault)),
        };
        let close = !body.is_complete();
        if close {
            standing.leave_unread();
        }
        let status = answer.status.as_u16();
        let elapsed = in_flight.end(status);
        let (route, fault) = (route.name(), fault.as_ref());
        seat.log(&head, &Answered { id: &id, method, route, status, elapsed, fault });
        if compress::is_worth_it(&answer.body) {
            // boxed, as for events it is never made
            answer = Box::pin(seat.packed(answer, &head)).await;
        }
        let response = seat.dress(answer, head, id, close);
        standing.enter(Phase::Idle);
        Ok(response)
    }
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_should() {
        for (path, route) in [
            ("/errors/log", Route::Log),
            ("/api/v1/errors/log", Route::Log),
            ("/errors/batch", Route::Batch),
            ("/api/v1/errors/batch", Route::Batch),
            ("/errors", Route::List),
            ("/api/v1/errors", Route::List),
            ("/api/v1/windows", Route::Windows),
            ("/openapi.json", Route::OpenApi),
            ("/errors/ab", Route::Error("ab")),
            ("/api/v1/errors/ab", Route::Error("ab")),
            ("/health", Route::Health),
            ("/api/v1/health/db", Route::HealthErrors),
            ("/api/v1/health/redis", Route::HealthJournal),
            ("/livez", Route::Live),
            ("/readyz", Route::Ready),
            ("/metrics", Route::Metrics),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
        for path in
            ["", "/", "*", "/errors/", "/windows/", "/errors/a/b", "/api/v1", "/api/v1/livez"]
        {
            assert_eq!(Route::of(path), Route::Other, "{path}");
        }
    }
}
