//! Redis comes back without what it had acknowledged, or keeps less than was asked, under a server
//! that goes on.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    load::{self, Attempt, Barrage, Fate, assert_exactly_once},
    stack::{Servers, Stack},
    support::{mariadb::Mariadb, redis::Redis},
    wait,
};

const CONNECTIONS: u64 = 16;
const ACKS: u64 = 500;
const BATCH: &str = "/errors/batch";

fn servers(redis: Redis) -> Servers {
    let mariadb = Mariadb::start();
    let mysql_url = mariadb.database(crate::stack::DATABASE);
    Servers { redis, mariadb, mysql_url }
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("Redis keeps files") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// Redis's files as they are at one instant.
fn keep_copy(redis: &mut Redis) -> PathBuf {
    let (files, kept) = files(redis);
    redis.process.signal("STOP");
    copy(&files, &kept);
    redis.process.signal("CONT");
    kept
}

fn files(redis: &Redis) -> (PathBuf, PathBuf) {
    let dir = redis.process.dir();
    (dir.join("appendonlydir"), dir.join("kept"))
}

/// A power cut that takes all that was written after the copy.
fn cut_back(redis: &mut Redis) {
    redis.process.kill_9();
    let (files, kept) = files(redis);
    copy(&kept, &files);
    redis.process.restart();
}

fn healed(stack: &Stack) -> f64 {
    stack.errsift.metric("errsift_journal_healed_jobs_total").unwrap_or(0.0)
}

/// The same process has carried on and lost nothing, and so does the next one after a kill.
fn assert_carried_on(mut stack: Stack, barrage: Barrage, pid: u32, before: Vec<Attempt>) {
    assert!(healed(&stack) > 0.0);
    assert_eq!(stack.errsift.metric("errsift_acked_lost_events_total"), Some(0.0));
    assert_eq!(stack.errsift.process.pid(), pid);
    assert!(stack.errsift.process.is_running());
    stack.errsift.process.kill_9();
    stack.errsift.process.restart();
    barrage.await_acks(ACKS / 5);
    let mut attempts = barrage.stop();
    attempts.extend(before);
    stack.settle();
    assert_exactly_once(&stack.tables(), &attempts);
}

/// Flights are cut off within an epoch, and with several epochs that were applied and trimmed.
fn survives_a_power_cut(flush_interval: &str) {
    let redis = Redis::start_with(&["--appendfsync", "everysec"]);
    let servers = servers(redis);
    let flags = ["--flush-interval", flush_interval, "--durability", "everysec"];
    let errsift = servers.errsift(&flags);
    let pid = errsift.process.pid();
    let mut stack = Stack::of(errsift, servers);
    let barrage = Barrage::start(stack.errsift.address(), CONNECTIONS);
    barrage.await_acks(ACKS);
    for _ in 0..2 {
        keep_copy(&mut stack.outside().redis);
        barrage.await_acks(ACKS);
        cut_back(&mut stack.outside().redis);
        barrage.await_acks(ACKS);
    }
    assert!(stack.errsift.metric("errsift_journal_regressions_total") >= Some(2.0));
    assert_carried_on(stack, barrage, pid, Vec::new());
}

#[test]
fn a_redis_that_lost_power_within_an_epoch() {
    survives_a_power_cut("3s");
}

#[test]
fn a_redis_that_lost_power_after_several_epochs() {
    survives_a_power_cut("200ms");
}

#[test]
fn a_redis_that_comes_back_empty() {
    let mut stack = Stack::servers(&["--flush-interval", "300ms"]);
    // a second term, with numbers that go on from the first's
    let first = "counted before".to_owned();
    load::post_all(stack.errsift.address(), std::slice::from_ref(&first), 1);
    stack.settle();
    stack.errsift.process.restart();
    let pid = stack.errsift.process.pid();
    let barrage = Barrage::start(stack.errsift.address(), CONNECTIONS);
    for _ in 0..2 {
        barrage.await_acks(ACKS);
        let mut connection = stack.outside().redis.connection();
        redis::cmd("FLUSHALL").exec(&mut connection).expect("FLUSHALL");
        barrage.await_acks(ACKS);
    }
    let regressions = stack.errsift.metric("errsift_journal_regressions_total");
    assert!(regressions >= Some(2.0), "{regressions:?}");
    let before = vec![Attempt { message: first, fate: Fate::Acked }];
    assert_carried_on(stack, barrage, pid, before);
}

/// Batches that are more than the flights of the last seconds may take in memory: 64 MiB.
const BATCHES: u32 = 11;
const EVENTS_OF_BATCH: u32 = 100;
const TRACE_BYTES: usize = 64_000;

fn post_batch(stack: &Stack, batch: u32) -> Vec<Attempt> {
    let messages = (0..EVENTS_OF_BATCH).map(|n| format!("event {n} of batch {batch}"));
    let attempts: Vec<Attempt> =
        messages.map(|message| Attempt { message, fate: Fate::Acked }).collect();
    let trace = "x".repeat(TRACE_BYTES);
    let lines = attempts.iter().map(|Attempt { message, .. }| {
        serde_json::json!({ "message": message, "stackTrace": trace }).to_string()
    });
    let body = lines.collect::<Vec<_>>().join("\n");
    let headers = [("content-type", "application/x-ndjson")];
    let answer = stack.errsift.client().request("POST", BATCH, &headers, body.as_bytes());
    let (status, answer) = answer.expect("an answer");
    assert_eq!(status, 200, "{answer}");
    attempts
}

/// What neither Redis nor the tables nor the ring has cannot be given back: the process says so, has
/// the tables take what it holds elsewhere, and does not go on.
#[test]
fn a_redis_without_more_than_can_be_given_back() {
    let mut stack = Stack::servers(&["--flush-interval", "300ms"]);
    let send = |stack: &Stack, message: &str| {
        let fate = load::attempt(&mut stack.errsift.client(), message);
        Attempt { message: message.to_owned(), fate }
    };
    let mut attempts = vec![send(&stack, "counted before")];
    stack.settle();
    stack.outside().mariadb.process.signal("STOP");
    attempts.extend((0..BATCHES).flat_map(|batch| post_batch(&stack, batch)));
    let mut connection = stack.outside().redis.connection();
    redis::cmd("FLUSHALL").exec(&mut connection).expect("FLUSHALL");
    attempts.push(send(&stack, "after the loss"));
    assert_ne!(attempts.last().map(|attempt| attempt.fate), Some(Fate::Acked));
    stack.outside().mariadb.process.signal("CONT");
    assert_eq!(stack.errsift.process.wait(wait::SOON).code(), Some(74));
    let log = stack.errsift.process.log();
    for said in ["journal went back from flight ", " to 0: it has lost acknowledged flights"] {
        assert!(log.contains(said), "{said:?} is not in {log}");
    }
    assert!(!log.contains("giving it its flights"), "{log}");
    // the next one goes on from the tables
    stack.errsift.process.restart();
    attempts.push(send(&stack, "started again"));
    assert_eq!(attempts.last().map(|attempt| attempt.fate), Some(Fate::Acked));
    stack.settle();
    assert_exactly_once(&stack.tables(), &attempts);
}

fn set_appendfsync(redis: &Redis, value: &str) {
    let mut connection = redis.connection();
    redis::cmd("CONFIG")
        .arg(&["SET", "appendfsync", value])
        .exec(&mut connection)
        .expect("CONFIG SET");
}

fn await_refusal(stack: &Stack) {
    let mut client = stack.errsift.client();
    wait::until_true("no more acks", || load::attempt(&mut client, "too weak") == Fate::Not);
    wait::until_true("not to be ready", || client.get("/readyz").0 == 503);
    // and it stays so
    thread::sleep(Duration::from_millis(300));
    assert_eq!(load::attempt(&mut client, "too weak"), Fate::Not);
    let log = stack.errsift.process.log();
    assert!(log.contains("appendfsync") && log.contains("everysec"), "{log}");
}

/// A setting that is made weaker while all goes well is found out, and nothing is acked on it.
#[test]
fn a_redis_that_is_set_weaker() {
    let mut stack = Stack::servers(&["--flush-interval", "300ms"]);
    let mut client = stack.errsift.client();
    assert_eq!(load::attempt(&mut client, "before"), Fate::Acked);
    set_appendfsync(&stack.outside().redis, "everysec");
    await_refusal(&stack);
    set_appendfsync(&stack.outside().redis, "always");
    wait::until_true("acks again", || load::attempt(&mut client, "after") == Fate::Acked);
    stack.settle();
    assert_eq!(stack.tables().count("before"), 1);
}

/// The command line of this one says everysec; it was mended by hand until it was restarted.
#[test]
fn a_redis_that_restarts_weaker() {
    let redis = Redis::start_with(&["--appendfsync", "everysec"]);
    set_appendfsync(&redis, "always");
    let servers = servers(redis);
    let errsift = servers.errsift(&["--flush-interval", "300ms"]);
    let mut stack = Stack::of(errsift, servers);
    let mut client = stack.errsift.client();
    assert_eq!(load::attempt(&mut client, "before"), Fate::Acked);
    stack.outside().redis.process.restart();
    await_refusal(&stack);
    set_appendfsync(&stack.outside().redis, "always");
    wait::until_true("acks again", || load::attempt(&mut client, "after") == Fate::Acked);
    stack.settle();
    assert_eq!(stack.tables().count("before"), 1);
}
