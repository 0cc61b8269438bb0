//! Lists of errors and counts over time, on both stores: the same events give the same answers.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};

use serde_json::{Value, json};

use crate::{load::LOG, stack::Stack, support::client::Client, tables::sha256, wait};

/// A window's start, long ago.
const START_MS: u64 = 1_700_000_010_000;

fn post(client: &mut Client, event: &Value) {
    let (status, answer) = client.post(LOG, &event.to_string());
    assert_eq!(status, 200, "{answer}");
}

fn get(client: &mut Client, path: &str) -> Value {
    let (status, answer) = client.get(path);
    assert_eq!(status, 200, "{path}: {answer}");
    let answer: Value = serde_json::from_str(&answer).expect("an answer in JSON");
    answer["data"].clone()
}

/// All rows of a list, page by page.
fn walk(client: &mut Client, query: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    for _ in 0..1_000 {
        let page = get(client, &format!("/api/v1/errors?{query}{cursor}"));
        rows.extend(page["errors"].as_array().expect("errors").iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return rows };
        cursor = format!("&cursor={next}");
    }
    panic!("a list without end: {query}");
}

fn messages(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["message"].as_str().expect("a message")).collect()
}

/// The `n`th of the errors: it comes `n / 10 + 2` times, in as many windows.
fn events(n: u64) -> impl Iterator<Item = Value> {
    (0..n / 10 + 2).map(move |time| {
        let at = START_MS + n * 100 + time * 30_000;
        json!({
            "message": format!("{} number {n}", ["Timeout of", "no route to"][(n % 2) as usize]),
            "service": format!("service {}", n % 3),
            "level": if n.is_multiple_of(7) { "fatal" } else { "error" },
            "timestamp": at,
            "stackTrace": "at here",
        })
    })
}

const ERRORS: u64 = 60;

/// Answers that do not depend on when they were asked.
fn transcript(stack: &Stack) -> Vec<Vec<Value>> {
    let mut client = stack.errsift.client();
    for n in 0..ERRORS {
        events(n).for_each(|event| post(&mut client, &event));
    }
    stack.settle();
    let mut lists = Vec::new();
    for sort in ["count", "last_seen", "first_seen"] {
        for filter in [
            "",
            "&service=service+1",
            "&level=fatal&service=service%200",
            "&q=timeout+num",
            "&q=no+route+to+number+5*",
            "&since=1700000012&until=1700000014",
            "&since=1700000130",
            "&environment=none",
        ] {
            let query = format!("sort={sort}&limit=7{filter}");
            let rows = walk(&mut client, &query);
            assert_eq!(rows.is_empty(), filter.contains("none"), "{query}");
            let whole = walk(&mut client, &query.replace("limit=7", "limit=500"));
            assert_eq!(rows, whole, "pages of {query}");
            lists.push(rows);
        }
    }
    let loudest = &lists[0];
    assert_eq!(loudest.len() as u64, ERRORS);
    assert_eq!(loudest[0]["count"], 7);
    assert!(loudest[0].get("stack_trace").is_none());
    let counts: Vec<u64> = loudest.iter().filter_map(|row| row["count"].as_u64()).collect();
    assert!(counts.is_sorted_by(|a, b| a >= b) && counts.len() == loudest.len(), "{counts:?}");
    lists.push(over_time(&mut client, loudest));
    lists
}

/// Points sum to the counts, however coarse they are.
fn over_time(client: &mut Client, loudest: &[Value]) -> Vec<Value> {
    let fingerprint = loudest[0]["fingerprint"].as_str().expect("a fingerprint");
    let sum = |series: &Value| -> u64 {
        let points = series["points"].as_array().expect("points").iter();
        points.map(|point| point["count"].as_u64().expect("a count")).sum()
    };
    let mut answers = Vec::new();
    for (hours, step_s) in [(1, 30), (24, 300), (24 * 7, 3_600), (24 * 31, 10_800)] {
        let span = format!("since={}&until={}", 1_700_000_000, 1_700_000_000 + hours * 3_600);
        let shown = get(client, &format!("/errors/{fingerprint}?{span}"));
        assert_eq!(
            (&shown["windows"]["step_s"], &shown["stack_trace"]),
            (&json!(step_s), &json!("at here"))
        );
        assert_eq!((sum(&shown["windows"]), &shown["count"]), (7, &json!(7)));
        let all = get(client, &format!("/windows?{span}"));
        assert_eq!(
            (&all["step_s"], sum(&all)),
            (&json!(step_s), (0..ERRORS).map(|n| n / 10 + 2).sum::<u64>())
        );
        let one = get(client, &format!("/windows?{span}&service=service+2"));
        let expected: u64 = (0..ERRORS).filter(|n| n % 3 == 2).map(|n| n / 10 + 2).sum();
        assert_eq!(sum(&one), expected);
        answers.extend([shown, all, one]);
    }
    let recent = get(client, &format!("/errors/{fingerprint}"));
    assert_eq!(recent["windows"]["points"], json!([]));
    answers
}

/// While new errors arrive, a walk shows each of the old ones once.
fn pages_hold_while_events_arrive(stack: &Stack) {
    let (address, done) = (stack.errsift.address(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::new(address);
            for n in 0.. {
                if done.load(SeqCst) {
                    break;
                }
                post(&mut client, &json!({ "message": format!("new {n}") }));
            }
        });
        let mut client = Client::new(address);
        for _ in 0..5 {
            for query in ["sort=count&limit=9", "sort=first_seen&limit=9&until=-30d"] {
                let rows = walk(&mut client, query);
                let shown: Vec<&str> = messages(&rows);
                let old = shown.iter().filter(|message| !message.starts_with("new")).count();
                let distinct: BTreeSet<&&str> = shown.iter().collect();
                assert_eq!((old as u64, distinct.len()), (ERRORS, shown.len()), "{query}");
            }
        }
        done.store(true, SeqCst);
    });
}

fn what_is_wrong_is_named(stack: &Stack) {
    let mut client = stack.errsift.client();
    for (path, parameter) in [
        ("/errors?sort=loud", "sort: "),
        ("/errors?limit=0", "limit: "),
        ("/errors?limit=1&limit=1", "limit: given more than once"),
        ("/errors?colour=red", "colour: unknown parameter"),
        ("/errors?cursor=1", "cursor: "),
        ("/errors?since=-1h&until=-2h", "since: "),
        ("/windows?since=-32d", "since: "),
        ("/windows?service=", "service: "),
    ] {
        let (status, answer) = client.get(path);
        assert_eq!(status, 400, "{path}: {answer}");
        assert!(answer.contains(&format!("\"message\":\"{parameter}")), "{path}: {answer}");
    }
}

#[test]
fn both_stores_answer_alike() {
    let flags = ["--flush-interval", "300ms"];
    let mut servers = Stack::servers(&flags);
    let embedded = Stack::embedded(&flags);
    let (left, right) = (transcript(&servers), transcript(&embedded));
    for (at, (left, right)) in left.iter().zip(&right).enumerate() {
        assert_eq!(left, right, "answer {at}");
    }
    for stack in [&servers, &embedded] {
        pages_hold_while_events_arrive(stack);
        what_is_wrong_is_named(stack);
    }
    servers.outside().mariadb.process.kill_9();
    for path in ["/errors", "/windows"] {
        let (status, answer) = servers.errsift.client().get(path);
        assert_eq!(status, 503, "{answer}");
    }
}

/// What was posted is listed, with its count, long before it is in the tables.
fn new_errors_are_listed(stack: &Stack) {
    let mut client = stack.errsift.client();
    for (message, times) in [("quiet", 1), ("loud", 5), ("middling", 3)] {
        (0..times).for_each(|_| post(&mut client, &json!({ "message": message, "service": "s" })));
    }
    wait::until("new errors in the list", wait::SOON, || {
        let rows = walk(&mut client, "sort=count&limit=2");
        let shown: Vec<_> =
            rows.iter().map(|row| (row["message"].as_str(), row["count"].as_u64())).collect();
        let expected =
            [("loud", 5), ("middling", 3)].map(|(message, count)| (Some(message), Some(count)));
        if shown.starts_with(&expected) { Ok(()) } else { Err(format!("{shown:?}")) }
    });
    assert_eq!(stack.tables().sum(), 0, "the flush is an hour away");
    let newest = walk(&mut client, "sort=last_seen&q=quiet");
    assert_eq!(messages(&newest), ["quiet"]);
    assert_eq!(newest[0]["fingerprint"], sha256("s\0quiet"));
    assert_eq!(walk(&mut client, "sort=first_seen&service=s&limit=1").len(), 3);
}

#[test]
fn new_errors_are_listed_before_they_are_counted() {
    let flags = ["--flush-interval", "1h"];
    new_errors_are_listed(&Stack::embedded(&flags));
    new_errors_are_listed(&Stack::servers(&flags));
}
