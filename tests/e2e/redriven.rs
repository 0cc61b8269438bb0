//! Dead jobs that can be read after all: each is counted once, in the parts that lack it, and not
//! before it is known how many events that is.

use std::time::Duration;

use crate::{
    load::body,
    poison::{ask, dead, job, put},
    stack::{Stack, Stores},
    tables::sha256,
    wait,
};

const FLAGS: [&str; 2] = ["--flush-interval", "1h"];
const EVENTS: u32 = 24;
const POSITION: &str = "{es:0}:pos";
/// Where a dead job has its guards, an epoch of 8 bytes for each of 64 parts.
const GUARDS: usize = 32;
/// Parts that had a job's epoch before it was broken: the lower half.
const AHEAD: usize = 32;

fn messages(job: u32) -> Vec<String> {
    (0..EVENTS).map(|n| format!("error {n} of job {job}")).collect()
}

/// All of it is one flight.
fn post(stack: &Stack, messages: &[String]) {
    let lines: Vec<String> = messages.iter().map(|message| body(message)).collect();
    let headers = [("content-type", "application/x-ndjson")];
    let body = lines.join("\n");
    let answer = stack.errsift.client().request("POST", "/errors/batch", &headers, body.as_bytes());
    assert_eq!(answer.expect("an answer").0, 200);
}

/// A number that the journal keeps of its dead jobs together.
fn set(stack: &Stack, name: &str, value: u64) {
    match &stack.stores {
        Stores::Servers(servers) => {
            let (mut set, mut to) = (redis::cmd("HSET"), servers.redis.connection());
            set.arg(POSITION).arg(format!("dead_{name}")).arg(value).exec(&mut to).expect("HSET");
        }
        Stores::Embedded => {
            let update = format!("UPDATE dead_together SET {name} = {value}");
            assert_eq!(stack.sqlite("errsift.journal.db").execute(&update, []), Ok(1));
        }
    }
}

/// Puts this among the dead, in the place of all that is there.
fn put_dead(stack: &Stack, kept: &[Vec<u8>]) {
    match &stack.stores {
        Stores::Servers(servers) => {
            let mut put = redis::pipe();
            put.atomic().cmd("UNLINK").arg("{es:0}:dead");
            put.cmd("RPUSH").arg("{es:0}:dead").arg(kept);
            put.exec(&mut servers.redis.connection()).expect("RPUSH");
        }
        Stores::Embedded => {
            let file = stack.sqlite("errsift.journal.db");
            file.execute("DELETE FROM dead_jobs", []).expect("a table");
            for dead in kept {
                file.execute("INSERT INTO dead_jobs (dead) VALUES (?1)", [dead]).expect("a table");
            }
        }
    }
}

/// Whether an error is in a part that had the job's epoch.
fn is_ahead(message: &str) -> bool {
    let part = u8::from_str_radix(&sha256(message)[..2], 16).expect("hex") >> 2;
    usize::from(part) < AHEAD
}

fn counts(stack: &Stack, messages: &[String]) -> Vec<u64> {
    let tables = stack.tables();
    messages.iter().map(|message| tables.count(message)).collect()
}

fn metrics(stack: &Stack) -> [Option<f64>; 3] {
    ["dead_jobs", "dead_events", "ledger_difference"]
        .map(|name| stack.errsift.metric(&format!("errsift_{name}")))
}

/// Two jobs whose bytes were broken and are whole again, with nobody running: what is dead now.
fn broken_and_mended(stack: &mut Stack) -> Vec<Vec<u8>> {
    for n in [1, 2] {
        post(stack, &messages(n));
    }
    post(stack, &["beside them".to_owned()]);
    let whole = [1, 2].map(|seq| job(stack, seq));
    stack.errsift.process.kill_9();
    for (seq, whole) in (1..).zip(&whole) {
        put(stack, seq, &whole.iter().map(|byte| byte ^ 0xff).collect::<Vec<_>>());
    }
    stack.errsift.process.restart();
    let expected = [2.0, f64::from(2 * EVENTS), 0.0].map(Some);
    wait::until("their events to be known", wait::SOON, || {
        let found = metrics(stack);
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    });
    stack.errsift.process.sigterm(Duration::from_secs(32));
    let mut kept = dead(stack);
    for (kept, whole) in kept.iter_mut().zip(&whole) {
        let rest = kept.len() - whole.len();
        kept[rest..].copy_from_slice(whole);
    }
    // the second was in half of the parts when it was broken
    let epoch = kept[1][16..24].to_vec();
    for part in 0..AHEAD {
        kept[1][GUARDS + 8 * part..][..8].copy_from_slice(&epoch);
    }
    put_dead(stack, &kept);
    kept
}

fn are_counted_once(mut stack: Stack) {
    let kept = broken_and_mended(&mut stack);
    let [first, second] = [1, 2].map(messages);
    let lacking = second.iter().filter(|message| !is_ahead(message)).count();
    let lacking = u32::try_from(lacking).expect("few");
    let events = EVENTS;
    assert!(lacking > 0 && lacking < events, "{lacking} of them would show nothing");

    set(&stack, "counted", 0);
    let refused = ask(&stack, &["dead", "jobs", "redrive", "--all"]);
    refused.assert_says(1, &["not known yet"]);
    assert_eq!(counts(&stack, &first), [0; EVENTS as usize]);
    assert_eq!(dead(&stack), kept);
    set(&stack, "counted", 2);

    let redrive = |seq: &str| ask(&stack, &["dead", "jobs", "redrive", seq]);
    let said = format!("1 dead jobs redriven, {events} events counted");
    redrive("1").assert_says(0, &[&said]);
    assert_eq!(counts(&stack, &first), [1; EVENTS as usize]);
    // as a crash leaves it that comes after the tables and before the journal
    put_dead(&stack, &kept);
    set(&stack, "events", u64::from(2 * events));
    redrive("1").assert_says(0, &[&said]);
    assert_eq!(counts(&stack, &first), [1; EVENTS as usize]);
    assert_eq!(dead(&stack), kept[1..]);

    redrive("2").assert_says(0, &[&format!("1 dead jobs redriven, {lacking} events counted")]);
    let expected: Vec<u64> = second.iter().map(|message| u64::from(!is_ahead(message))).collect();
    assert_eq!(counts(&stack, &second), expected);
    assert!(dead(&stack).is_empty());

    stack.errsift.process.restart();
    post(&stack, &["afterwards".to_owned()]);
    stack.errsift.process.restart();
    // what a hand has taken out of the second stays dead
    let expected = [0.0, f64::from(EVENTS - lacking), 0.0].map(Some);
    wait::until("the ledger", wait::SOON, || {
        let found = metrics(&stack);
        if found == expected { Ok(()) } else { Err(format!("{found:?}, not {expected:?}")) }
    });
    ask(&stack, &["journal", "verify"]).assert_says(0, &["ok       ledger"]);
}

#[test]
fn dead_jobs_on_redis_are_counted_once_where_they_lack() {
    are_counted_once(Stack::servers(&FLAGS));
}

#[test]
fn embedded_dead_jobs_are_counted_once_where_they_lack() {
    are_counted_once(Stack::embedded(&FLAGS));
}
