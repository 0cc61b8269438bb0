//! 16,000 real log lines over 64 connections: every one of them counted, and counted once.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    load,
    stack::Stack,
    support::loghub,
    tables::{Tables, WINDOW_MS, sha256},
};

const CONNECTIONS: usize = 64;

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970");
    i64::try_from(since.as_millis()).expect("a clock before the year 9999")
}

/// `sort | uniq -c`.
fn uniq(messages: &[String]) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for message in messages {
        *counts.entry(message.as_str()).or_default() += 1;
    }
    counts
}

fn assert_holds(tables: &Tables, messages: &[String], (start, end): (i64, i64)) {
    let expected = uniq(messages);
    assert_eq!(tables.errors.len(), expected.len(), "rows and distinct messages");
    for (message, count) in expected {
        let row = tables.errors.get(&sha256(message));
        let row = row.unwrap_or_else(|| panic!("not stored: {message}"));
        assert_eq!(row.message, message);
        assert_eq!(row.count, count, "{message}");
        assert!(row.first_seen >= start && row.last_seen <= end, "{start}..{end}: {row:?}");
        assert!(row.first_seen <= row.last_seen, "{row:?}");
    }
    assert_eq!(tables.sum(), 16_000);
    assert_eq!(tables.windows.values().sum::<u64>(), 16_000);
    tables.assert_windows_sum_to_counts();
    for (window, _) in tables.windows.keys() {
        assert!(*window <= end && start < window + WINDOW_MS, "window {window} of {start}..{end}");
    }
}

fn every_line_is_counted_once(stack: &Stack) {
    let messages = loghub::contents_or_synthetic();
    assert_eq!(messages.len(), 16_000);
    let start = now_ms();
    load::post_all(stack.errsift.address(), &messages, CONNECTIONS);
    let end = now_ms();
    stack.settle();
    assert_holds(&stack.tables(), &messages, (start, end));
    assert_eq!(stack.errsift.metric("errsift_acked_events_total"), Some(16_000.0));
}

#[test]
fn every_line_is_counted_once_on_redis_and_mariadb() {
    every_line_is_counted_once(&Stack::servers(&["--flush-interval", "1s"]));
}

#[test]
fn every_line_is_counted_once_on_the_embedded_store() {
    every_line_is_counted_once(&Stack::embedded(&["--flush-interval", "1s"]));
}

#[test]
fn every_line_is_counted_once_by_several_workers() {
    every_line_is_counted_once(&Stack::servers(&["--flush-interval", "300ms", "--workers", "3"]));
}
