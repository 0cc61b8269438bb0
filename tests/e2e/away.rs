//! MySQL that is away for many epochs, and MySQL that comes back without its last ones.

use std::{fs, path::Path, process::Command, time::Duration};

use crate::{
    load::{self, LOG, body},
    stack::{DATABASE, Servers, Stack},
    support::redis::Redis,
    wait,
};

/// Bytes that Redis holds for jobs.
fn journal_bytes(redis: &Redis) -> u64 {
    let mut ask = redis::cmd("MEMORY");
    let ask = ask.arg(&["USAGE", "{es:0}:journal", "SAMPLES", "0"]);
    ask.query(&mut redis.connection()).expect("the journal is there")
}

/// Sends every message `rounds` times, one flight after the other.
fn send(stack: &Stack, rounds: usize) {
    let messages: Vec<String> = (0..rounds * 20).map(|n| format!("repeated {}", n % 20)).collect();
    load::post_all(stack.errsift.address(), &messages, 1);
}

fn await_merged(stack: &Stack) -> u64 {
    let mut last = u64::MAX;
    wait::until("the jobs to be merged", 2 * wait::SOON, || {
        std::thread::sleep(Duration::from_millis(1_500));
        let merged = stack.errsift.metric("errsift_merged_jobs_total");
        let Stores { redis } = Stores::of(stack);
        let before = std::mem::replace(&mut last, journal_bytes(redis));
        if last == before && merged > Some(0.0) { Ok(last) } else { Err(format!("{last} bytes")) }
    })
}

struct Stores<'a> {
    redis: &'a Redis,
}

impl<'a> Stores<'a> {
    fn of(stack: &'a Stack) -> Self {
        match &stack.stores {
            crate::stack::Stores::Servers(servers) => Self { redis: &servers.redis },
            crate::stack::Stores::Embedded => panic!("no Redis"),
        }
    }
}

#[test]
fn the_journal_grows_with_distinct_errors_while_mysql_is_away() {
    let flags = ["--flush-interval", "1s"];
    let mut stack = Stack::servers(&flags);
    send(&stack, 1);
    stack.outside().mariadb.process.kill_9();
    send(&stack, 40);
    let first = await_merged(&stack);
    stack.errsift.process.kill_9();
    stack.errsift.process.restart();
    send(&stack, 80);
    let second = await_merged(&stack);
    // three times the events: a list element each, and no entry more
    assert!(second < 2 * first + 20_000, "{first} bytes, then {second}");
    let jobs = stack.journal_jobs();
    assert!(second < jobs * 100, "{second} bytes of {jobs} jobs");
    let urls = [Stores::of(&stack).redis.url(), "mysql://root@127.0.0.1:1/none".to_owned()];
    let verified = crate::command::run(
        &["journal", "verify", "--redis-url", &urls[0], "--mysql-url", &urls[1]],
        &[],
    );
    verified.assert_says(0, &["ok       sequence"]);

    stack.outside().mariadb.process.restart();
    stack.settle();
    let tables = stack.tables();
    assert_eq!(tables.errors.len(), 20);
    assert!(tables.errors.values().all(|row| row.count == 121), "{:?}", tables.errors);
    tables.assert_windows_sum_to_counts();
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs");
    assert!(copied.success());
}

/// Takes MariaDB's files as they are and has it go on; returns how to put them back.
fn backup(servers: &mut Servers) -> impl FnOnce(&mut Servers) + use<> {
    let tables = servers.mariadb.process.dir().join("tables");
    let kept = servers.mariadb.process.dir().join("kept");
    servers.mariadb.process.kill_9();
    copy(&tables, &kept);
    servers.mariadb.process.restart();
    move |servers| {
        servers.mariadb.process.kill_9();
        fs::remove_dir_all(&tables).expect("the tables are there");
        copy(&kept, &tables);
        servers.mariadb.process.restart();
    }
}

/// Events in the tables, in one reading: errsift may be writing.
fn counted(stack: &Stack) -> u64 {
    let crate::stack::Stores::Servers(servers) = &stack.stores else { panic!("no MariaDB") };
    let sum = "SELECT CAST(COALESCE(SUM(count), 0) AS UNSIGNED) FROM error_counts";
    servers.mariadb.query(DATABASE, sum)[0].get(0).expect("a sum")
}

/// Waits until `count` events are in the tables.
fn await_counted(stack: &Stack, count: u64) {
    wait::until("the events to be counted", 2 * wait::SOON, || {
        let sum = counted(stack);
        if sum == count { Ok(()) } else { Err(format!("{sum} counted")) }
    });
}

/// As [`await_counted`], and until errsift has heard of it and has nothing else on its way to the
/// tables: a kill that met it there would have it notice by itself that they went back.
fn await_heard(stack: &Stack, count: u32, lags: bool) {
    await_counted(stack, u64::from(count));
    let crate::stack::Stores::Servers(servers) = &stack.stores else { panic!("no MariaDB") };
    wait::until_true("errsift to hear of it", || {
        let words = servers.mariadb.query(DATABASE, "SELECT fingerprint FROM error_details");
        let heard = stack.errsift.metric("errsift_counted_events") == Some(f64::from(count));
        words.len() == 20 && heard && (lags || stack.journal_jobs() == 0)
    });
}

/// Has the tables go back by 60 of 80 events, and errsift notice and start again.
fn tables_that_went_back(flags: &[&str]) -> Stack {
    let lags = flags.contains(&"--trim-lag");
    let mut stack = Stack::servers(flags);
    send(&stack, 1);
    await_heard(&stack, 20, lags);
    let restore = backup(stack.outside());
    send(&stack, 2);
    await_heard(&stack, 60, lags);
    send(&stack, 1);
    await_heard(&stack, 80, lags);
    restore(stack.outside());
    assert_eq!(stack.tables().sum(), 20);
    let (status, answer) = stack.errsift.client().post(LOG, &body("after"));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(stack.errsift.process.wait(Duration::from_secs(60)).code(), Some(74));
    stack.errsift.process.restart();
    stack
}

#[test]
fn what_mysql_lost_is_applied_again_within_the_trim_lag() {
    let stack = tables_that_went_back(&["--flush-interval", "300ms", "--trim-lag", "1h"]);
    await_counted(&stack, 81);
    let tables = stack.tables();
    assert!(tables.errors.iter().all(|(_, row)| row.count == 4 || row.count == 1));
    assert_eq!(tables.count("after"), 1);
    assert_eq!(stack.errsift.metric("errsift_acked_lost_events_total"), Some(0.0));
    assert!(stack.journal_jobs() > 0, "jobs stay for the trim lag");
}

#[test]
fn what_mysql_lost_without_a_trim_lag_is_said_and_counted() {
    let stack = tables_that_went_back(&["--flush-interval", "300ms"]);
    await_counted(&stack, 21);
    wait::until_true("the loss to be counted", || {
        stack.errsift.metric("errsift_acked_lost_events_total") == Some(60.0)
    });
    assert!(stack.errsift.process.log().contains("acknowledged events are lost"));
    assert_eq!(stack.errsift.metric("errsift_ledger_difference"), Some(0.0));
    // and it goes on
    send(&stack, 1);
    await_counted(&stack, 41);
}
