//! The front end over real sockets, byte by byte, with a pipeline and stores made up here.

mod batch;
mod client;
mod connection;
mod cross_origin;
mod doors;
mod guarded;
mod log;
mod show;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use errsift_ops::{
    batch::Batch, body::Fault, decode::Received, event::Payload, fingerprint::Fingerprint,
    timestamp::Timestamp,
};
use errsift_pipeline::{
    ack::{Outcome, Waiter},
    ports::clock::Clock,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use self::client::{Answer, Client};
use super::{
    ErrorView, Health, Intake, Limits, Operations, Page, Policy, Requests, Threads, Untaken,
    Waiting, serve,
};
use crate::query::{ListQuery, Point, Points, Position, QueryFault, Span, WindowsQuery};

/// Long enough for any machine, short enough to see that a test hangs.
const HANG: Duration = Duration::from_secs(30);

struct StoppedClock;

impl Clock for StoppedClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_123)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Answers by what the body says; any other body is stored. A body "hold" is kept here.
#[derive(Clone, Default)]
struct Pipeline {
    batches: Arc<Mutex<Vec<Batch<Waiting>>>>,
    /// Told to each batch; without it a batch is kept.
    batch_outcome: Arc<Mutex<Option<Outcome>>>,
    refused: Arc<Mutex<u64>>,
    held: Arc<Mutex<Vec<Received<Waiting>>>>,
    bodies: Arc<Mutex<Vec<String>>>,
    /// The one that each body's sender may report for.
    services: Arc<Mutex<Vec<Option<Arc<str>>>>>,
}

impl Pipeline {
    fn release(&self, outcome: &Outcome) {
        for received in self.held.lock().unwrap().drain(..) {
            received.waiter.answer(outcome.clone());
        }
    }
}

impl Intake for Pipeline {
    fn offer_batch(&self, batch: Batch<Waiting>) -> Result<(), Untaken> {
        match self.batch_outcome.lock().unwrap().clone() {
            Some(Outcome::Invalid(_)) => Err(Untaken::Full),
            Some(outcome) => {
                batch.waiter.answer(outcome);
                Ok(())
            }
            None => {
                self.batches.lock().unwrap().push(batch);
                Ok(())
            }
        }
    }

    fn refused(&self, events: u64) {
        *self.refused.lock().unwrap() += events;
    }

    fn offer(&self, received: Received<Waiting>) -> Result<(), Untaken> {
        let body = String::from_utf8_lossy(&received.body).into_owned();
        self.bodies.lock().unwrap().push(body.clone());
        self.services.lock().unwrap().push(received.service.clone());
        match body.as_str() {
            "full" => return Err(Untaken::Full),
            "hold" => self.held.lock().unwrap().push(received),
            "drop" => drop(received),
            "invalid" => received.waiter.answer(Outcome::Invalid(Fault {
                field: Some("message".to_owned()),
                reason: "required".to_owned(),
                forbidden: false,
            })),
            "another's" => received.waiter.answer(Outcome::Invalid(Fault {
                field: Some("service".to_owned()),
                reason: "another's".to_owned(),
                forbidden: true,
            })),
            "not stored" => received.waiter.answer(Outcome::NotStored),
            "maybe stored" => received.waiter.answer(Outcome::MaybeStored),
            _ => received.waiter.answer(Outcome::Stored),
        }
        Ok(())
    }
}

/// A fingerprint that takes until the gate opens to look for.
const SLOW: Fingerprint = Fingerprint([0x55; 32]);
const SLOW_LIMIT: usize = 499;

/// Holds those who come until it opens.
#[derive(Default)]
struct Gate(Mutex<(usize, bool)>, Condvar);

impl Gate {
    fn pass(&self) {
        self.0.lock().unwrap().0 += 1;
        drop(self.1.wait_while(self.0.lock().unwrap(), |(_, open)| !*open).unwrap());
    }

    fn waiting(&self) -> usize {
        self.0.lock().unwrap().0
    }

    fn release(&self) {
        self.0.lock().unwrap().1 = true;
        self.1.notify_all();
    }
}

/// Stores whose health and metrics can be set.
struct Stores(Mutex<Health>, Mutex<String>, Gate);

const BOOM: Fingerprint = Fingerprint([0xab; 32]);

impl Stores {
    fn boom(&self) -> Result<ErrorView, QueryFault> {
        self.0.lock().unwrap().errors.clone().map_err(QueryFault::Away)?;
        let payload = Payload { message: "boom".to_owned(), ..Payload::default() };
        Ok(ErrorView {
            fingerprint: BOOM,
            rule: Some(1),
            payload: Some(payload),
            count: 3,
            first_seen: None,
            last_seen: None,
        })
    }
}

impl Operations for Stores {
    fn error(
        &self,
        fingerprint: Fingerprint,
        span: Span,
    ) -> Result<Option<(ErrorView, Points)>, QueryFault> {
        if fingerprint == SLOW {
            self.2.pass();
        }
        let points = vec![Point { start: span.since, count: 3 }];
        let view = ErrorView { fingerprint, ..self.boom()? };
        Ok((fingerprint == BOOM).then_some((view, Points { span, points })))
    }

    fn list(&self, query: &ListQuery) -> Result<Page, QueryFault> {
        if query.limit == SLOW_LIMIT {
            self.2.pass();
        }
        let cursor = Position { key: 3, fingerprint: BOOM }.cursor(query.sort);
        Ok(Page { errors: vec![self.boom()?], next_cursor: Some(cursor) })
    }

    fn windows(&self, query: &WindowsQuery) -> Result<Points, QueryFault> {
        match &query.service {
            Some(_) => Err(QueryFault::TooLong),
            None => Ok(Points { span: query.span, points: Vec::new() }),
        }
    }

    fn health(&self) -> Health {
        self.0.lock().unwrap().clone()
    }

    fn metrics(&self) -> String {
        self.1.lock().unwrap().clone()
    }

    fn clock(&self) -> &dyn Clock {
        &StoppedClock
    }
}

#[derive(Default)]
struct Observed {
    in_flight: Mutex<i32>,
    all: Mutex<Vec<(&'static str, &'static str, u16)>>,
}

impl Requests for Observed {
    fn begun(&self) {
        *self.in_flight.lock().unwrap() += 1;
    }

    fn observe(&self, method: &'static str, route: &'static str, status: u16, _seconds: f64) {
        *self.in_flight.lock().unwrap() -= 1;
        self.all.lock().unwrap().push((method, route, status));
    }
}

struct Server {
    address: SocketAddr,
    pipeline: Pipeline,
    stores: Arc<Stores>,
    observed: Arc<Observed>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        Self::with(Policy { limits, ..Policy::default() }).await
    }

    async fn with(policy: Policy) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pipeline = Pipeline::default();
        let well = Health { journal: Ok(()), errors: Ok(()), ready: true };
        let stores =
            Arc::new(Stores(Mutex::new(well), Mutex::new("up 1\n".to_owned()), Gate::default()));
        let observed = Arc::new(Observed::default());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(
            listener,
            Threads::here(),
            pipeline.clone(),
            Arc::clone(&stores) as Arc<dyn Operations>,
            Arc::clone(&observed) as Arc<dyn Requests>,
            policy,
            async move {
                let _ = stopped.await;
            },
        ));
        Self { address, pipeline, stores, observed, stop, served }
    }

    async fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    async fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect().await;
        client.send(request).await;
        client.answer().await
    }

    /// Waits until what was asked was observed `times` times; a head that is refused is observed
    /// behind its answer.
    async fn observes(&self, asked: (&'static str, &'static str, u16), times: usize) {
        let count =
            || self.observed.all.lock().unwrap().iter().filter(|&one| *one == asked).count();
        let seen = async {
            while count() < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(HANG, seen).await.unwrap();
        assert_eq!(count(), times);
    }

    /// Waits until a held request has arrived.
    async fn holds_one(&self) {
        let arrived = async {
            while self.pipeline.held.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(HANG, arrived).await.unwrap();
    }
}

fn post(body: &str) -> String {
    post_with("Content-Type: application/json\r\n", body)
}

fn post_with(fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /errors/log HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    )
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}
