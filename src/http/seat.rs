//! What one connection's requests share, and what holds for each of them whatever is asked.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hyper::{
    Method, Response,
    header::{ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_ENCODING, HeaderValue, VARY},
    http::request::Parts,
};

use super::{
    Front,
    answer::{Answer, AnswerBody},
    compress,
    fault::Fault,
    host,
    keys::LastKey,
    limit,
    request_id::{self, X_REQUEST_ID},
    route::Route,
    standing::Standing,
};

/// A connection's place at the front.
pub struct Seat<I> {
    /// What all connections share.
    pub front: Arc<Front<I>>,
    /// Where the connection stands.
    pub standing: Arc<Standing>,
    peer: IpAddr,
    ids: request_id::Connection,
    last_key: LastKey,
}

/// What a request may have.
pub enum Admitted {
    /// What its path answers to its method; for events, of this one service if it is said.
    Asked(Option<Arc<str>>),
    /// Word on what its path answers to.
    Options(&'static str),
}

/// A request that is answered, as the log tells it.
pub struct Answered<'a> {
    /// Its id.
    pub id: &'a HeaderValue,
    /// Its method, as metrics have it.
    pub method: &'static str,
    /// Its route's name.
    pub route: &'static str,
    /// The answer's status.
    pub status: u16,
    /// From the head to the answer.
    pub elapsed: Duration,
    /// What was wrong.
    pub fault: Option<&'a Fault>,
}

impl Answered<'_> {
    /// A full channel sheds what comes as long as it is full, and who stands by whatever comes: that
    /// is counted, and a line for each would make it worse.
    fn is_shed(&self) -> bool {
        use Fault::{BatchBusy, BatchStandingBy, Busy, StandingBy};
        matches!(self.fault, Some(Busy | BatchBusy | StandingBy | BatchStandingBy))
    }
}

/// The name of the route that events come in by.
pub const INGEST: &str = "/errors/log";

/// The name of the route that batches come in by.
pub const INGEST_BATCH: &str = "/errors/batch";

impl<I> Seat<I> {
    /// For a connection from `peer`.
    pub fn new(front: Arc<Front<I>>, standing: Arc<Standing>, peer: IpAddr) -> Self {
        let ids = front.ids.connection();
        Self { front, standing, peer, ids, last_key: LastKey::default() }
    }

    /// The request's id.
    pub fn id(&self, head: &Parts) -> HeaderValue {
        self.ids.id(&head.headers)
    }

    /// Decides what a request may have, before anything of its body is read.
    pub fn admit(&self, head: &Parts, route: Route) -> Result<Admitted, Fault> {
        host::check(head.version, &head.headers)?;
        if head.method == Method::OPTIONS
            && let Some(methods) = route.methods()
        {
            return Ok(Admitted::Options(methods));
        }
        route.check(&head.method)?;
        let keys = &self.front.policy.keys;
        keys.check(route.need(), &head.headers, &self.last_key).map(Admitted::Asked)
    }

    /// Gives a large answer room, or refuses it: what clients do not take must not fill the memory.
    pub fn hold(&self, mut answer: Answer) -> Result<Answer, Fault> {
        if answer.body.len() >= limit::HELD_BYTES_MIN {
            let kib = u32::try_from(answer.body.len().div_ceil(1024)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.front.room).try_acquire_many_owned(kib);
            let reason = || "too many large answers at once".to_owned();
            answer.room = Some(room.map_err(|_| Fault::Away { part: "server", reason: reason() })?);
        }
        Ok(answer)
    }

    /// One line: a fault of ours is a warning, a client's is its own affair.
    pub fn log(&self, head: &Parts, answered: &Answered) {
        let Answered { id, method, route, status, elapsed, fault } = answered;
        let fault = fault.map(tracing::field::display);
        let client = || self.front.policy.proxies.client(self.peer, &head.headers);
        let id = id.to_str().unwrap_or_default();
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        if answered.is_shed() {
            tracing::debug!(request_id = id, client = %client(), method, route, status, duration_us = micros, fault, "request shed");
        } else if *status >= 500 && [INGEST, INGEST_BATCH].contains(route) {
            // a place of its own, so that reads that fail do not use up what is logged of events
            tracing::warn!(request_id = id, client = %client(), method, route, status, duration_us = micros, fault, "event not taken in");
        } else if *status >= 500 {
            tracing::warn!(request_id = id, client = %client(), method, route, status, duration_us = micros, fault, "request failed");
        } else if *status >= 400 {
            tracing::debug!(request_id = id, client = %client(), method, route, status, duration_us = micros, fault, "request refused");
        } else {
            tracing::trace!(request_id = id, client = %client(), method, route, status, duration_us = micros, "request answered");
        }
    }

    /// Compresses a large answer for those who take it.
    pub async fn packed(&self, mut answer: Answer, head: &Parts) -> Answer {
        let smaller = is_read(head) && compress::is_wanted(&head.headers);
        if smaller && let Some(smaller) = compress::gzip(answer.body.clone()).await {
            answer.body = smaller;
            answer.packed = true;
        }
        answer
    }

    /// Puts on an answer what every answer has, and makes it hyper's. The map of the request's
    /// headers is used again, as hyper will use the answer's for the next request, so that a
    /// kept-alive connection makes no maps.
    pub fn dress(
        &self,
        answer: Answer,
        head: Parts,
        id: HeaderValue,
        close: bool,
    ) -> Response<AnswerBody> {
        let is_read = is_read(&head);
        let grant = self.front.policy.cors.grant(&head.headers);
        let packed = answer.packed;
        let large = packed || (is_read && compress::is_worth_it(&answer.body));
        let asked =
            answer.methods.filter(|_| head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD));
        let mut response = answer.into_response(head.headers, close);
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, id);
        if is_read {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if large {
            headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        if packed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(grant) = grant {
            grant.write(headers, asked);
        }
        response
    }
}

fn is_read(head: &Parts) -> bool {
    matches!(head.method, Method::GET | Method::HEAD)
}
