//! Stores that are away: what is answered meanwhile, and that errsift finds back by itself.

use std::time::{Duration, Instant};

use crate::{
    load::{self, Attempt, Fate, LOG, assert_exactly_once, body},
    stack::{Servers, Stack},
    support::{client::Client, mariadb::Mariadb, redis::Redis},
    wait,
};

/// The answer is due after 5 s; the rest is for a machine that is busy.
const HANG: Duration = Duration::from_secs(12);

#[test]
fn mysql_is_not_needed_to_start_and_to_ack() {
    let mut mariadb = Mariadb::start();
    let mysql_url = mariadb.database(crate::stack::DATABASE);
    mariadb.process.kill_9();
    let servers = Servers { redis: Redis::start(), mariadb, mysql_url };
    let errsift = servers.errsift(&["--flush-interval", "300ms"]);
    let mut stack = Stack::of(errsift, servers);
    let mut client = stack.errsift.client();
    let messages: Vec<String> =
        (0..300).map(|n| format!("while MySQL is away {}", n % 30)).collect();
    load::post_all(stack.errsift.address(), &messages, 8);
    wait::until_true("the tables to be missed", || client.get("/health/db").0 == 503);
    let (status, health) = client.get("/health");
    assert_eq!(status, 200, "{health}");
    assert!(health.contains("\"degraded\""), "{health}");
    assert_eq!(client.get("/readyz").0, 200);
    assert_eq!(client.get("/health/redis").0, 200);
    assert!(stack.journal_jobs() > 0);

    stack.outside().mariadb.process.restart();
    stack.settle();
    let tables = stack.tables();
    assert_eq!(tables.errors.len(), 30);
    assert!(tables.errors.values().all(|row| row.count == 10), "{:?}", tables.errors);
    wait::until_true("the tables to be well", || client.get("/health/db").0 == 200);
    assert!(client.get("/health").1.contains("\"status\":\"ok\""));
}

/// Sends one event to a server that cannot store it; the 503 must come soon and say when to retry.
fn assert_refused(client: &mut Client, message: &str) -> Attempt {
    let start = Instant::now();
    let headers = [("content-type", "application/json")];
    let answer = client.exchange("POST", LOG, &headers, body(message).as_bytes());
    let answer = answer.expect("an answer without the journal");
    assert!(start.elapsed() < HANG, "answered after {:?}", start.elapsed());
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    let fate = if answer.body.contains("may be stored") { Fate::Maybe } else { Fate::Not };
    assert!(fate == Fate::Maybe || answer.body.contains("not stored"), "{}", answer.body);
    Attempt { message: message.to_owned(), fate }
}

fn survives_an_outage(start: impl Fn(&mut Redis), end: impl Fn(&mut Redis)) {
    let mut stack = Stack::servers(&["--flush-interval", "300ms"]);
    let mut client = stack.errsift.client();
    let mut attempts = Vec::new();
    for outage in 0..2 {
        let before = format!("before {outage}");
        let fate = load::attempt(&mut client, &before);
        assert_eq!(fate, Fate::Acked);
        attempts.push(Attempt { message: before, fate });

        start(&mut stack.outside().redis);
        for n in 0..2 {
            attempts.push(assert_refused(&mut client, &format!("in outage {outage}, {n}")));
        }
        wait::until_true("not to be ready", || client.get("/readyz").0 == 503);
        assert_eq!(client.get("/health").0, 503);
        assert_eq!(client.get("/livez").0, 200);

        end(&mut stack.outside().redis);
        wait::until_true("to be ready again", || client.get("/readyz").0 == 200);
    }
    let after = "after".to_owned();
    wait::until_true("acks again", || {
        let fate = load::attempt(&mut client, &after);
        attempts.push(Attempt { message: after.clone(), fate });
        fate == Fate::Acked
    });
    stack.settle();
    assert_exactly_once(&stack.tables(), &attempts);
}

#[test]
fn a_redis_that_is_gone() {
    survives_an_outage(|redis| redis.process.kill_9(), |redis| redis.process.restart());
}

/// Its socket stays open: nothing but time says that it is away.
#[test]
fn a_redis_that_hangs() {
    survives_an_outage(|redis| redis.process.signal("STOP"), |redis| redis.process.signal("CONT"));
}
