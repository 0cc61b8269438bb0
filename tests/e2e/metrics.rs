//! What `/metrics` says: well-formed, as documented, true, and bounded.
#![expect(clippy::float_cmp, reason = "whole numbers, which the format shows as floats")]

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use crate::{
    load::{body, post_all},
    stack::Stack,
    support::errsift::sum_of,
    wait,
};

const FLAGS: [&str; 2] = ["--flush-interval", "300ms"];
const EVENTS: u32 = 600;

fn page(stack: &Stack) -> String {
    let (status, page) = stack.errsift.client().get("/metrics");
    assert_eq!(status, 200, "{page}");
    page
}

fn messages(from: u32) -> Vec<String> {
    (from..from + EVENTS).map(|number| format!("distinct error {number}")).collect()
}

/// Every kind of request once, so that all series that can be are there.
fn ask_everything(stack: &Stack) {
    let mut client = stack.errsift.client();
    for path in ["/metrics", "/health", "/livez", "/readyz", "/nowhere"] {
        client.get(path);
    }
    client.get(&format!("/errors/{}", "0".repeat(64)));
    let (status, answer) = client.post("/errors/log", "{}");
    assert_eq!(status, 400, "{answer}");
}

fn assert_promtool_is_content(page: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus");
    promtool.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("promtool reads");
    let said = promtool.wait_with_output().expect("promtool ends");
    let words = [said.stdout, said.stderr].concat();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&words));
}

/// Names of families on a page.
fn shown(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Names in the first column of the document's tables, without those of stores not in use.
fn documented(other_stores: &[&str]) -> BTreeSet<String> {
    let rows = include_str!("../../docs/metrics.md").lines();
    let names = rows.filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let in_use = names.filter(|name| !other_stores.iter().any(|store| name.starts_with(store)));
    in_use.map(str::to_owned).collect()
}

fn series(page: &str) -> usize {
    page.lines().filter(|line| !line.starts_with('#')).count()
}

/// The value of the one series with all these labels.
fn value(page: &str, name: &str, labels: &[&str]) -> f64 {
    let of_name = |line: &&str| line.starts_with(&format!("{name}{{"));
    let found: Vec<_> = page
        .lines()
        .filter(of_name)
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    sum_of(found[0], name).expect("a sample")
}

fn assert_true_of(page: &str, events: f64) {
    let metric = |name: &str| sum_of(page, name).unwrap_or_else(|| panic!("{name} in {page}"));
    let ingest = |name: &str, operator: &str| {
        value(page, name, &["dataflow=\"ingest\"", &format!("operator=\"{operator}\"")])
    };
    assert!(ingest("errsift_operator_records_in_total", "Decode") >= events, "{page}");
    assert!(ingest("errsift_operator_records_out_total", "Decode") >= events, "{page}");
    assert!(ingest("errsift_operator_busy_seconds_total", "Decode") > 0.0);
    assert_eq!(ingest("errsift_operator_queue_records", "Decode"), 0.0);
    assert!(metric("errsift_worker_parked_seconds_total") > 0.0);
    for side in ["acked", "applied"] {
        let label = format!("side=\"{side}\"");
        assert_eq!(value(page, "errsift_ledger_difference", &[&label]), 0.0, "{page}");
    }
    // a fresh journal: all that it holds came from this process
    let resolved: f64 = ["shed_events_total", "invalid_events_total", "dropped_events_total"]
        .iter()
        .map(|name| metric(&format!("errsift_{name}")))
        .sum();
    let moving = metric("errsift_in_flight_events");
    let journaled = metric("errsift_journaled_events");
    assert_eq!(metric("errsift_received_events_total"), resolved + moving + journaled);
    let (counted, dead) = (metric("errsift_counted_events"), metric("errsift_dead_events"));
    let dropped = metric("errsift_dead_dropped_events");
    assert_eq!(journaled, counted + metric("errsift_pending_events") + dead + dropped);
    assert_eq!(metric("errsift_ack_seconds_count"), metric("errsift_acked_events_total"));
    assert_eq!(metric("errsift_flight_events_sum"), journaled);
    assert_eq!(metric("errsift_dead_letters"), 0.0);
    assert!(metric("http_connections_accepted_total") >= 1.0);
    assert_eq!(metric("http_connections_limit"), 10_000.0);
}

fn metrics_are_as_documented(stack: &Stack, other_stores: &[&str]) {
    post_all(stack.errsift.address(), &messages(0), 8);
    ask_everything(stack);
    stack.settle();
    // a worker publishes when it parks, and the frontier's lag follows the next turn
    let first = wait::until("the lag to end", wait::SOON, || {
        let page = page(stack);
        let lag = sum_of(&page, "errsift_frontier_lag_epochs");
        let jobs = sum_of(&page, "errsift_journal_oldest_seconds");
        if lag == Some(0.0) && jobs == Some(0.0) { Ok(page) } else { Err(format!("{lag:?}")) }
    });
    assert_promtool_is_content(&first);
    assert_eq!(shown(&first), documented(other_stores));
    assert_true_of(&first, f64::from(EVENTS));
    assert!(series(&first) < 1_500, "{} series", series(&first));

    post_all(stack.errsift.address(), &messages(EVENTS), 8);
    stack.settle();
    let second = page(stack);
    assert_true_of(&second, f64::from(2 * EVENTS));
    assert_eq!(series(&first), series(&second), "other errors made new series");
    assert!(!second.contains("distinct error"));
}

#[test]
fn metrics_are_as_documented_on_redis_and_mariadb() {
    metrics_are_as_documented(&Stack::servers(&FLAGS), &["embedded_"]);
}

#[test]
fn metrics_are_as_documented_on_the_embedded_store() {
    metrics_are_as_documented(&Stack::embedded(&FLAGS), &["redis_", "mysql_"]);
}

#[test]
fn operators_can_be_left_uncounted() {
    let stack = Stack::embedded(&["--flush-interval", "300ms", "--operator-metrics", "off"]);
    let (status, answer) = stack.errsift.client().post("/errors/log", &body("uncounted"));
    assert_eq!(status, 200, "{answer}");
    let page = page(&stack);
    assert!(!page.contains("errsift_operator_") && !page.contains("errsift_worker_"), "{page}");
    assert!(page.contains("errsift_flight_seconds_bucket"));
}
