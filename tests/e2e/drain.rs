//! Being told to stop.

use std::{net::TcpListener, thread, time::Duration};

use tempfile::TempDir;

use crate::{
    load::{Barrage, assert_exactly_once},
    stack::{self, Stack},
    support::{mortal::Mortal, ports},
};

const CONNECTIONS: u64 = 16;
/// The promise is 25 s; the rest is for a machine that is busy.
const DRAINED: Duration = Duration::from_secs(32);

/// An hour between flushes: what is in the tables afterwards, the drain has put there.
const FLAGS: [&str; 2] = ["--flush-interval", "1h"];

fn drains(stack: Stack, signal: &str) {
    drains_and(stack, signal, || {});
}

/// `then` sees what is left, before anybody opens it again.
fn drains_and(mut stack: Stack, signal: &str, then: impl FnOnce()) {
    let barrage = Barrage::start(stack.errsift.address(), CONNECTIONS);
    barrage.await_acks(2_000);
    stack.errsift.process.signal(signal);
    let code = stack.errsift.process.wait(DRAINED).code();
    let attempts = barrage.stop();
    assert_eq!(code, Some(0));
    then();
    assert_eq!(stack.journal_jobs(), 0);
    assert_exactly_once(&stack.tables(), &attempts);
}

#[test]
fn sigterm_under_load_leaves_nothing_behind_in_redis() {
    drains(Stack::servers(&FLAGS), "TERM");
}

#[test]
fn sigterm_under_load_leaves_nothing_behind_in_the_embedded_journal() {
    let stack = Stack::embedded(&FLAGS);
    let dir = stack.errsift.process.dir().to_owned();
    drains_and(stack, "TERM", || {
        // a copy put in a file's place must not meet what was logged for the file before
        for name in ["errsift.db-wal", "errsift.journal.db-wal"] {
            let left = std::fs::metadata(dir.join(name)).map_or(0, |log| log.len());
            assert_eq!(left, 0, "{name}");
        }
    });
}

#[test]
fn sigint_is_the_same() {
    drains(Stack::embedded(&FLAGS), "INT");
}

/// Without the tables it cannot drain: it must leave all the same, and lose nothing.
fn leaves_the_rest_to_the_journal(stop: impl FnOnce(&mut Stack)) {
    let mut stack = Stack::servers(&FLAGS);
    let barrage = Barrage::start(stack.errsift.address(), CONNECTIONS);
    barrage.await_acks(500);
    stack.outside().mariadb.process.kill_9();
    barrage.await_acks(500);
    stop(&mut stack);
    let code = stack.errsift.process.wait(DRAINED).code();
    let attempts = barrage.stop();
    assert_eq!(code, Some(79), "not everything is in the tables, and a script must see it");
    assert!(stack.journal_jobs() > 0);

    stack.outside().mariadb.process.restart();
    let stack::Stores::Servers(servers) = stack.stores else { panic!("made of servers") };
    let errsift = servers.errsift(&["--flush-interval", "300ms"]);
    let stack = Stack::of(errsift, *servers);
    stack.settle();
    assert_exactly_once(&stack.tables(), &attempts);
}

#[test]
fn past_the_deadline_the_journal_holds_the_rest() {
    leaves_the_rest_to_the_journal(|stack| stack.errsift.process.signal("TERM"));
}

#[test]
fn a_second_signal_leaves_at_once() {
    leaves_the_rest_to_the_journal(|stack| {
        stack.errsift.process.signal("TERM");
        thread::sleep(Duration::from_secs(1));
        stack.errsift.process.signal("TERM");
        // well before the deadline of the drain
        stack.errsift.process.wait(Duration::from_secs(12));
    });
}

/// A start waits for its stores; who stops it need not.
#[test]
fn a_signal_ends_a_start_that_waits_for_a_store() {
    // takes connections, and says nothing
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = mute.local_addr().expect("an address");
    let dir = TempDir::new().expect("a directory");
    for take_over in [&[][..], &["--take-over".to_owned()]] {
        let (redis, mysql) = (format!("redis://{address}"), format!("mysql://u@{address}/d"));
        let flags = ["--redis-url", &redis, "--mysql-url", &mysql].map(str::to_owned);
        let flags = [&flags[..], take_over].concat();
        let mut errsift = Mortal::start(dir.path(), "errsift.log", ports::free(), &flags, &[]);
        // it heeds signals before it asks a store anything
        let _asking = mute.accept().expect("a connection");
        errsift.signal("TERM");
        let code = errsift.wait(DRAINED).and_then(|status| status.code());
        assert_eq!(code, Some(79), "{take_over:?}: {}", errsift.log_tail(20));
    }
}
