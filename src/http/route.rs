//! Which handler answers, and what holds for every answer.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Method, Request, Response, body::Incoming};

use super::{
    Front, Intake,
    answer::Answer,
    body::Body,
    error::error,
    fault::Fault,
    health,
    ingest::ingest,
    list::list,
    openapi,
    requests::InFlight,
    standing::{Phase, Standing},
    windows::windows,
};

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Log,
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
            Self::Log => "/errors/log",
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

    /// Checks that it has the method.
    fn check(self, method: &Method) -> Result<(), Fault> {
        let (allowed, has) = match self {
            Self::Other => return Err(Fault::NoSuchPath),
            Self::Log => ("POST", method == Method::POST),
            // hyper keeps the body of an answer to HEAD to itself
            _ => ("GET, HEAD", method == Method::GET || method == Method::HEAD),
        };
        if has { Ok(()) } else { Err(Fault::Method(allowed)) }
    }

    async fn handle<I: Intake>(
        self,
        front: &Front<I>,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Result<Answer, Fault> {
        match self {
            Self::Log => ingest(front, headers, body).await,
            Self::List => list(front, query).await,
            Self::Error(fingerprint) => error(front, fingerprint, query).await,
            Self::Windows => windows(front, query).await,
            Self::OpenApi => Ok(Answer::document(openapi::DOCUMENT)),
            Self::Health => health::health(front),
            Self::HealthErrors => health::errors(front),
            Self::HealthJournal => health::journal(front),
            Self::Live => Ok(health::live(front)),
            Self::Ready => health::ready(front),
            Self::Metrics => Ok(health::metrics(front)),
            Self::Other => Err(Fault::NoSuchPath),
        }
    }
}

/// Answers one request. A connection on which part of the request is unread is closed afterwards.
pub async fn answer<I: Intake>(
    front: &Front<I>,
    standing: &Standing,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    standing.enter(Phase::Exchange);
    let (head, incoming) = request.into_parts();
    let mut body = Body::new(incoming);
    let route = Route::of(head.uri.path());
    let clock = front.operations.clock();
    let in_flight =
        InFlight::begin(&*front.requests, clock, method_name(&head.method), route.name());
    let handled = match route.check(&head.method) {
        Ok(()) => route.handle(front, head.uri.query(), &head.headers, &mut body).await,
        Err(fault) => Err(fault),
    };
    let answer = handled.unwrap_or_else(|fault| Answer::fault(&fault, clock.wall()));
    let close = !body.is_complete();
    if close {
        standing.leave_unread();
    }
    in_flight.end(answer.status.as_u16());
    standing.enter(Phase::Idle);
    answer.into_response(head.headers, close)
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
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
