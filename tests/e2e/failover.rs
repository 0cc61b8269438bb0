//! One shard, one writer.

use std::time::Duration;

use crate::{
    load::{self, Barrage, Fate, LOG, assert_exactly_once, body},
    stack::{Servers, Stack},
    support::redis::Redis,
};

fn term(redis: &Redis) -> u64 {
    redis::cmd("HGET")
        .arg(&["{es:0}:fence", "term"])
        .query(&mut redis.connection())
        .expect("the shard was taken")
}

#[test]
fn the_second_of_two_processes_wins() {
    let servers = Servers::start();
    let flags = ["--flush-interval", "300ms"];
    let mut first = servers.errsift(&flags);
    let of_first = Barrage::start(first.address(), 8);
    of_first.await_acks(500);
    let second = servers.errsift(&["--flush-interval", "300ms", "--take-over"]);
    let of_second = Barrage::start(second.address(), 8);
    of_second.await_acks(500);

    // its next flight tells the first that it is not the writer any more
    assert_eq!(first.process.wait(Duration::from_secs(30)).code(), Some(75));
    assert!(first.process.log().contains("another process has taken this shard"));
    let mut attempts = of_first.stop();
    of_second.await_acks(500);
    // both send the same messages: the oracle adds up
    attempts.extend(of_second.stop());

    let mut stack = Stack::of(second, servers);
    assert!(stack.errsift.process.is_running());
    stack.settle();
    assert_exactly_once(&stack.tables(), &attempts);
}

#[test]
fn an_idle_predecessor_notices_by_itself() {
    let servers = Servers::start();
    let mut first = servers.errsift(&[]);
    assert_eq!(load::attempt(&mut first.client(), "first"), Fate::Acked);
    let second = servers.errsift(&["--flush-interval", "300ms", "--take-over"]);
    // no event comes to it any more
    assert_eq!(first.process.wait(Duration::from_secs(30)).code(), Some(75));
    assert!(first.process.log().contains("another process has taken this shard"));
    assert_eq!(load::attempt(&mut second.client(), "second"), Fate::Acked);
    let stack = Stack::of(second, servers);
    stack.settle();
    let tables = stack.tables();
    assert_eq!((tables.count("first"), tables.count("second")), (1, 1));
}

#[test]
fn terms_grow_and_counts_go_on_over_restarts() {
    let mut stack = Stack::servers(&["--flush-interval", "300ms"]);
    let mut last = 0;
    for restart in 1..=3_u64 {
        let now = term(&stack.outside().redis);
        assert!(now > last, "term {now} after {last}");
        last = now;
        let (status, answer) = stack.errsift.client().post(LOG, &body("again"));
        assert_eq!(status, 200, "{answer}");
        if restart % 2 == 0 {
            stack.errsift.process.sigterm(Duration::from_secs(32));
        }
        stack.errsift.process.restart();
    }
    stack.settle();
    assert_eq!(stack.tables().count("again"), 3);
}
