//! What is shown before counts reach the tables, and while they do.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
};

use crate::{
    load::{self, LOG, body},
    stack::{DATABASE, Stack, Stores},
    support::client::Client,
    tables::sha256,
    wait,
};

const MESSAGE: &str = "one error, many times";

/// `None` until it is known.
fn live_count(client: &mut Client, message: &str) -> Option<u64> {
    let (status, answer) = client.get(&format!("/errors/{}", sha256(message)));
    if status == 404 {
        return None;
    }
    assert_eq!(status, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("an answer in JSON");
    Some(answer["data"]["count"].as_u64().expect("a count"))
}

fn await_live_count(client: &mut Client, expected: u64) {
    wait::until("the live count", wait::SOON, || match live_count(client, MESSAGE) {
        Some(count) if count == expected => Ok(()),
        Some(count) if count > expected => panic!("{count} shown, {expected} acked"),
        other => Err(format!("{other:?}, {expected} acked")),
    });
}

fn details(stack: &Stack) -> u64 {
    let sql = "SELECT COUNT(*) FROM error_details";
    match &stack.stores {
        Stores::Servers(servers) => {
            let mut rows = servers.mariadb.query(DATABASE, sql);
            mysql_async::from_row(rows.pop().expect("a row"))
        }
        Stores::Embedded => stack
            .sqlite("errsift.db")
            .query_row(sql, [], |row| row.get(0).map(i64::cast_unsigned))
            .expect("a row"),
    }
}

fn first_words_and_live_counts_do_not_wait_for_the_flush(stack: &mut Stack) {
    let messages = vec![MESSAGE.to_owned(); 500];
    load::post_all(stack.errsift.address(), &messages, 8);
    let mut client = stack.errsift.client();
    wait::until_true("the first words", || details(stack) == 1);
    await_live_count(&mut client, 500);
    assert_eq!(stack.tables().sum(), 0, "the flush is an hour away");
    assert!(stack.journal_jobs() > 0);

    // a restart flushes what it finds in the journal
    stack.errsift.process.restart();
    let mut client = stack.errsift.client();
    load::post_all(stack.errsift.address(), &messages, 8);
    await_live_count(&mut client, 1_000);
    stack.errsift.process.sigterm(wait::SOON);
    assert_eq!(stack.tables().count(MESSAGE), 1_000);
}

#[test]
fn nothing_waits_for_the_flush_on_redis_and_mariadb() {
    let mut stack = Stack::servers(&["--flush-interval", "1h"]);
    first_words_and_live_counts_do_not_wait_for_the_flush(&mut stack);
}

#[test]
fn nothing_waits_for_the_flush_on_the_embedded_store() {
    let mut stack = Stack::embedded(&["--flush-interval", "1h"]);
    first_words_and_live_counts_do_not_wait_for_the_flush(&mut stack);
}

/// Counts sent so far, so that a reader has an upper bound.
struct Sent {
    begun: AtomicU64,
    done: AtomicBool,
}

fn send(address: SocketAddr, times: u64, sent: &Sent) {
    let mut client = Client::new(address);
    for _ in 0..times {
        sent.begun.fetch_add(1, SeqCst);
        let (status, answer) = client.post(LOG, &body(MESSAGE));
        assert_eq!(status, 200, "{answer}");
    }
}

/// Reads without pause while events come in and counts move from the journal to the tables: no
/// event may be shown twice at any moment.
fn is_never_above_what_was_sent(stack: &Stack) {
    let sent = Sent { begun: AtomicU64::new(0), done: AtomicBool::new(false) };
    let address = stack.errsift.address();
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let (mut client, mut shown) = (Client::new(address), 0);
            while !sent.done.load(SeqCst) {
                if let Some(count) = live_count(&mut client, MESSAGE) {
                    let begun = sent.begun.load(SeqCst);
                    assert!(count <= begun, "{count} shown, {begun} sent");
                    shown += 1;
                }
            }
            shown
        });
        let senders: Vec<_> = (0..8).map(|_| scope.spawn(|| send(address, 400, &sent))).collect();
        let failed = senders.into_iter().any(|sender| sender.join().is_err());
        if !failed {
            stack.settle();
        }
        sent.done.store(true, SeqCst);
        assert!(!failed, "a sender failed");
        assert!(watching.join().expect("the count holds") > 10);
    });
    await_live_count(&mut Client::new(address), 3_200);
    assert_eq!(stack.tables().count(MESSAGE), 3_200);
}

#[test]
fn a_live_count_is_never_too_high_on_redis_and_mariadb() {
    is_never_above_what_was_sent(&Stack::servers(&["--flush-interval", "100ms"]));
}

#[test]
fn a_live_count_is_never_too_high_on_the_embedded_store() {
    is_never_above_what_was_sent(&Stack::embedded(&["--flush-interval", "100ms"]));
}
