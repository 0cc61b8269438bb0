//! Events that are sent again with an `eventId`: answered again, counted once, whatever happens in
//! between.

use std::thread;

use crate::{
    load::{Fate, LOG, assert_is_queued},
    stack::{Servers, Stack},
    support::client::Client,
    tables::sha256,
    wait,
};

/// Epochs that end only when the server is stopped: what is sent stays in the journal.
const LONG: [&str; 2] = ["--flush-interval", "1h"];
const SHORT: [&str; 2] = ["--flush-interval", "300ms"];

fn body(message: &str) -> String {
    // the id follows from the message, so that each message is an event of its own
    serde_json::json!({ "message": message, "eventId": sha256(message)[..32] }).to_string()
}

/// Sends an event and says what is known of it.
fn send(client: &mut Client, message: &str) -> Fate {
    match client.try_post(LOG, &body(message)) {
        Ok((200, answer)) => {
            assert_is_queued(&answer);
            Fate::Acked
        }
        Ok((503, answer)) if answer.contains("may be stored") => Fate::Maybe,
        Ok((503, answer)) if answer.contains("not stored") => Fate::Not,
        Ok((status, answer)) => panic!("answered {status}: {answer}"),
        Err(_) => Fate::Maybe,
    }
}

fn assert_acked(stack: &Stack, message: &str) {
    assert_eq!(send(&mut stack.errsift.client(), message), Fate::Acked, "{message}");
}

fn assert_counted_once(stack: &Stack, messages: &[&str]) {
    // a process that had nothing to apply does not know what is counted: the tables do
    wait::until_true("all to be applied", || stack.journal_jobs() == 0);
    let tables = stack.tables();
    for message in messages {
        let row = tables.errors.get(&sha256(message));
        assert_eq!(row.map(|row| row.count), Some(1), "{message}");
    }
    assert_eq!(tables.errors.len(), messages.len(), "{:?}", tables.errors);
    assert_eq!(stack.errsift.metric("errsift_ledger_difference"), Some(0.0));
}

fn duplicates(stack: &Stack) -> Option<f64> {
    stack.errsift.metric("errsift_duplicates_total")
}

/// After a 200; many at once; after a `kill -9` while the job lies in the journal; and after one
/// when it is applied and trimmed.
fn is_counted_once(mut journaled: Stack, mut applied: Stack) {
    assert_acked(&journaled, "one");
    assert_acked(&journaled, "one");
    assert_eq!(duplicates(&journaled), Some(1.0));
    let address = journaled.errsift.address();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = Client::new(address);
                for n in 0..8 {
                    let message = if n % 2 == 0 { "two" } else { "three" };
                    assert_eq!(send(&mut client, message), Fate::Acked);
                }
            });
        }
    });
    assert_eq!(duplicates(&journaled), Some(127.0));
    assert!(journaled.journal_jobs() > 0);
    // the second time what the first has recovered is applied, or is not, or is in between
    for _ in 0..2 {
        journaled.errsift.process.restart();
        for message in ["one", "two", "three", "one"] {
            assert_acked(&journaled, message);
        }
        assert_eq!(duplicates(&journaled), Some(4.0));
        assert_eq!(journaled.errsift.metric("errsift_event_ids"), Some(3.0));
    }
    assert_counted_once(&journaled, &["one", "two", "three"]);

    assert_acked(&applied, "applied");
    applied.settle();
    for _ in 0..2 {
        applied.errsift.process.restart();
        assert_acked(&applied, "applied");
        assert_eq!(duplicates(&applied), Some(1.0));
    }
    assert_counted_once(&applied, &["applied"]);
    assert_eq!(applied.errsift.process.sigterm(wait::SOON), Some(0));
}

#[test]
fn an_event_sent_again_is_counted_once_on_redis_and_mariadb() {
    is_counted_once(Stack::servers(&LONG), Stack::servers(&SHORT));
}

#[test]
fn an_event_sent_again_is_counted_once_on_the_embedded_store() {
    is_counted_once(Stack::embedded(&LONG), Stack::embedded(&SHORT));
}

/// Sends until the answer is 200: what a client does.
fn insist(stack: &Stack, message: &str) {
    let mut client = stack.errsift.client();
    wait::until_true("an ack", || send(&mut client, message) == Fate::Acked);
}

/// Redis has the request, and its answer comes when nobody waits any more.
#[test]
fn what_may_be_stored_is_counted_once_when_it_is_sent_again() {
    let mut stack = Stack::servers(&SHORT);
    assert_acked(&stack, "before");
    let Servers { redis, .. } = stack.outside();
    redis.process.signal("STOP");
    assert_eq!(send(&mut stack.errsift.client(), "frozen"), Fate::Maybe);
    // while it is still frozen nobody knows more
    assert_ne!(send(&mut stack.errsift.client(), "frozen"), Fate::Acked);
    stack.outside().redis.process.signal("CONT");
    insist(&stack, "frozen");

    stack.outside().redis.process.signal("STOP");
    let waiting = {
        let mut client = stack.errsift.client();
        thread::spawn(move || send(&mut client, "killed"))
    };
    wait::until_true("a flight", || stack.errsift.metric("errsift_in_flight_events") == Some(1.0));
    stack.outside().redis.process.restart();
    assert_ne!(waiting.join().expect("an answer"), Fate::Not);
    insist(&stack, "killed");
    assert_counted_once(&stack, &["before", "frozen", "killed"]);
}
