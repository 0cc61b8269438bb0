//! Jobs that cannot be read: each is set aside, and everything else counted.

use crate::{
    command::{Ended, run},
    load,
    stack::{Stack, Stores},
    tables::sha256,
    wait,
};

const FLAGS: [&str; 2] = ["--flush-interval", "1h"];
const JOBS: u32 = 40;

/// Puts other bytes in the place of jobs; returns what lies there then.
fn damage(stack: &Stack, damaged: impl Fn(u64, Vec<u8>) -> Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut broken = Vec::new();
    for seq in 1..=u64::from(JOBS) {
        if let Some(bytes) = damaged(seq, job(stack, seq)) {
            put(stack, seq, &bytes);
            broken.push(bytes);
        }
    }
    broken
}

pub fn job(stack: &Stack, seq: u64) -> Vec<u8> {
    match &stack.stores {
        Stores::Servers(servers) => {
            let index = seq.cast_signed() - 1;
            let mut connection = servers.redis.connection();
            redis::cmd("LINDEX")
                .arg("{es:0}:journal")
                .arg(index)
                .query(&mut connection)
                .expect("a job")
        }
        Stores::Embedded => stack
            .sqlite("errsift.journal.db")
            .query_row("SELECT job FROM jobs WHERE seq = ?1", [seq.cast_signed()], |row| row.get(0))
            .expect("a job"),
    }
}

pub fn put(stack: &Stack, seq: u64, bytes: &[u8]) {
    let seq = seq.cast_signed();
    match &stack.stores {
        Stores::Servers(servers) => {
            let mut connection = servers.redis.connection();
            let mut set = redis::cmd("LSET");
            set.arg("{es:0}:journal").arg(seq - 1).arg(bytes).exec(&mut connection).expect("LSET");
        }
        Stores::Embedded => {
            let update = "UPDATE jobs SET job = ?1 WHERE seq = ?2";
            let changed = stack.sqlite("errsift.journal.db").execute(update, (bytes, seq));
            assert_eq!(changed, Ok(1));
        }
    }
}

/// What is kept of the jobs that were set aside, by plain commands of their store.
pub fn dead(stack: &Stack) -> Vec<Vec<u8>> {
    match &stack.stores {
        Stores::Servers(servers) => {
            let mut connection = servers.redis.connection();
            redis::cmd("LRANGE")
                .arg("{es:0}:dead")
                .arg(0)
                .arg(-1)
                .query(&mut connection)
                .expect("a list")
        }
        Stores::Embedded => {
            let file = stack.sqlite("errsift.journal.db");
            let mut select =
                file.prepare("SELECT dead FROM dead_jobs ORDER BY id").expect("a table");
            let rows = select.query_map([], |row| row.get(0)).expect("rows");
            rows.collect::<Result<_, _>>().expect("bytes")
        }
    }
}

/// Where the stack's stores are, for a command.
fn flags(stack: &Stack) -> Vec<String> {
    let file = match &stack.stores {
        Stores::Servers(servers) => {
            let urls = [servers.redis.url(), servers.mysql_url.clone()];
            return ["--redis-url", &urls[0], "--mysql-url", &urls[1]].map(str::to_owned).to_vec();
        }
        Stores::Embedded => stack.errsift.process.dir().join("errsift.db"),
    };
    vec!["--data".to_owned(), file.display().to_string()]
}

/// Runs a command on the stack's stores.
pub fn ask(stack: &Stack, words: &[&str]) -> Ended {
    let flags = flags(stack);
    let words = words.iter().copied().chain(flags.iter().map(String::as_str));
    run(&words.collect::<Vec<_>>(), &[])
}

fn verify(stack: &Stack, said: &[&str]) {
    ask(stack, &["journal", "verify"]).assert_says(0, said);
}

fn metrics(stack: &Stack) -> [Option<f64>; 5] {
    ["journaled_events", "counted_events", "dead_jobs", "dead_events", "ledger_difference"]
        .map(|name| stack.errsift.metric(&format!("errsift_{name}")))
}

fn are_set_aside(mut stack: Stack) {
    let messages: Vec<String> = (0..JOBS).map(|n| format!("error {n}")).collect();
    // one after the other: a flight each
    load::post_all(stack.errsift.address(), &messages, 1);
    assert_eq!(stack.journal_jobs(), u64::from(JOBS));
    stack.errsift.process.kill_9();
    let broken = damage(&stack, |seq, mut job| match seq {
        1 => {
            job[60] ^= 1;
            Some(job)
        }
        2 => Some(Vec::new()),
        7 => Some(job[..job.len() / 2].to_vec()),
        20 => Some(b"\0not a job at all\r\n".to_vec()),
        40 => Some(job.iter().map(|byte| byte ^ 0xff).collect()),
        _ => None,
    });
    for start in 0..3 {
        stack.errsift.process.restart();
        if start == 0 {
            // in the middle of it, perhaps
            continue;
        }
        // the counts of what was applied go on when something more is
        load::post_all(stack.errsift.address(), &[format!("after start {start}")], 1);
        stack.errsift.process.restart();
        let events = f64::from(JOBS + start);
        let expected = [events, events - 5.0, 5.0, 5.0, 0.0].map(Some);
        wait::until("the ledger with the dead", wait::SOON, || {
            let found = metrics(&stack);
            if found == expected { Ok(()) } else { Err(format!("{found:?}, not {expected:?}")) }
        });
        wait::until_true("the journal to be trimmed", || stack.journal_jobs() == 0);
        let kept = dead(&stack);
        assert_eq!(kept.len(), broken.len(), "each once");
        for (kept, broken) in kept.iter().zip(&broken) {
            assert!(kept.ends_with(broken), "the bytes as they lay there");
        }
        verify(&stack, &["ok       ledger", "5 in 5 jobs set aside"]);
    }
    let tables = stack.tables();
    for (n, message) in messages.iter().enumerate() {
        let lost = [1, 2, 7, 20, 40].contains(&(n + 1));
        assert_eq!(tables.count(message), u64::from(!lost), "{message} {}", sha256(message));
    }
}

#[test]
fn jobs_on_redis_that_cannot_be_read_are_set_aside() {
    are_set_aside(Stack::servers(&FLAGS));
}

#[test]
fn embedded_jobs_that_cannot_be_read_are_set_aside() {
    are_set_aside(Stack::embedded(&FLAGS));
}

/// MySQL away: nothing is set aside, and acks go on; when it is back, the rest is counted.
#[test]
fn a_job_that_cannot_be_read_waits_for_mysql() {
    let mut stack = Stack::servers(&FLAGS);
    let messages: Vec<String> = (0..JOBS).map(|n| format!("error {n}")).collect();
    load::post_all(stack.errsift.address(), &messages, 1);
    stack.errsift.process.kill_9();
    stack.outside().mariadb.process.kill_9();
    damage(&stack, |seq, _| (seq == 3).then(|| b"?".to_vec()));
    stack.errsift.process.restart();
    load::post_all(stack.errsift.address(), &["while it is away".to_owned()], 1);
    assert_eq!(stack.errsift.metric("errsift_dead_jobs"), Some(0.0));
    assert!(dead(&stack).is_empty());
    stack.outside().mariadb.process.restart();
    wait::until_true("the job to be set aside", || dead(&stack).len() == 1);
    wait::until_true("the rest to be counted", || {
        stack.errsift.metric("errsift_counted_events") == Some(f64::from(JOBS) - 1.0)
    });
}
