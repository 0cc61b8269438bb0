//! `errsift export`: every row, every byte, on either store, and no more memory than a page.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    command::{self, Ended, Killed},
    load::LOG,
    stack::{Stack, Stores},
    support::errsift,
    tables::sha256_of,
    wait,
};

const FLAGS: [&str; 2] = ["--flush-interval", "300ms"];

/// `errsift export` of a stack's tables.
fn export(stack: &Stack, arguments: &[&str]) -> Ended {
    command::end(exporting(stack, arguments), b"")
}

fn exporting(stack: &Stack, arguments: &[&str]) -> Command {
    let mut command = errsift::command();
    command.arg("export").args(arguments);
    match &stack.stores {
        Stores::Servers(servers) => {
            // tables are enough
            command.args(["--mysql-url", &servers.mysql_url]);
        }
        Stores::Embedded => {
            command.arg("--data").arg(stack.errsift.process.dir().join("errsift.db"));
        }
    }
    command
}

fn objects(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Texts that formats are wont to spoil.
const NAUGHTY: [&str; 9] = [
    "NUL \0, controls \u{1}\u{8}\u{b}\u{1b}\u{7f}\u{85}",
    "line\nbreaks\r\nand\rreturns",
    "\"quotes\", commas; 'more', and \\ back\\slashes\\n",
    "=1+1",
    " spaces ",
    "emoji 🤦🏽‍♀️ 𝄞 \u{10ffff} \u{2028}\u{2029}",
    "e\u{301} is not \u{e9}",
    "{\"message\":\"in JSON\"}",
    "\u{feff}BOM \u{202e}turned",
];

/// Each text in each field, in two windows; what comes out is what went in.
fn all_is_exported_byte_by_byte(stack: &Stack) {
    let mut client = stack.errsift.client();
    let starts = [1_700_000_010_000_i64, 1_700_000_040_000];
    for (n, text) in (1_i64..).zip(NAUGHTY) {
        for (start, times) in starts.iter().zip([1, n]) {
            for _ in 0..times {
                let event = json!({
                    "message": text, "stackTrace": text, "type": text, "level": text,
                    "service": text, "environment": text, "release": text,
                    "tags": { "k": text, text: "v" }, "timestamp": start + n,
                });
                assert_eq!(client.post(LOG, &event.to_string()).0, 200);
            }
        }
    }
    let bare = json!({ "message": "", "timestamp": starts[0] });
    assert_eq!(client.post(LOG, &bare.to_string()).0, 200);
    stack.settle();

    let mut errors: BTreeMap<String, Value> = BTreeMap::new();
    for row in objects(&export(stack, &[])) {
        let fingerprint = row["fingerprint"].as_str().expect("hex").to_owned();
        assert!(errors.insert(fingerprint, row).is_none(), "twice");
    }
    assert_eq!(errors.len(), NAUGHTY.len() + 1);
    assert!(errors.keys().is_sorted());
    let csv = export(stack, &["errors", "--format", "csv"]);
    assert_eq!(csv.code, Some(0));
    let names = "fingerprint,rule,message,stack_trace,type,level,service,environment,release,tags,count,first_seen,last_seen\r\n";
    assert!(csv.stdout.starts_with(names), "{}", csv.stdout);
    let records: Vec<csv::StringRecord> = csv::Reader::from_reader(csv.stdout.as_bytes())
        .records()
        .collect::<Result<_, _>>()
        .expect("CSV");
    assert_eq!(records.len(), errors.len());
    for (n, text) in (1_u64..).zip(NAUGHTY) {
        let fingerprint = sha256_of(&[text.as_bytes(), b"\0", text.as_bytes()]);
        let row = &errors[&fingerprint];
        for field in
            ["message", "stack_trace", "type", "level", "service", "environment", "release"]
        {
            assert_eq!(row[field], text, "{field}");
        }
        assert_eq!(row["tags"], json!({ "k": text, text: "v" }));
        assert_eq!((&row["count"], &row["rule"]), (&json!(1 + n), &json!(1)));
        assert_eq!(row["first_seen"], format!("2023-11-14T22:13:30.{n:03}Z"));
        assert_eq!(row["last_seen"], format!("2023-11-14T22:14:00.{n:03}Z"));
        let record =
            records.iter().find(|record| record[0] == *fingerprint).expect("the same rows");
        assert!((2..9).all(|column| record[column] == *text), "{record:?}");
        assert_eq!(serde_json::from_str::<Value>(&record[9]).expect("an object"), row["tags"]);
        assert_eq!(record[10], (1 + n).to_string());
    }

    let windows = objects(&export(stack, &["windows"]));
    assert_eq!(windows.len(), 2 * NAUGHTY.len() + 1);
    let tables = stack.tables();
    for row in &windows {
        let fingerprint = row["fingerprint"].as_str().expect("hex").to_owned();
        let start =
            if row["window_start"] == "2023-11-14T22:13:30.000Z" { starts[0] } else { starts[1] };
        let key = (start, fingerprint);
        assert_eq!(row["count"].as_u64(), Some(tables.windows[&key]), "{row}");
    }
    assert_eq!(objects(&export(stack, &["events"])).len(), windows.len());
    filters_choose(stack);
    events_say_all_that_it_takes(stack, &errors);
}

fn filters_choose(stack: &Stack) {
    let rows = |arguments: &[&str]| objects(&export(stack, arguments)).len();
    assert_eq!(rows(&["--service", " spaces "]), 1);
    assert_eq!(rows(&["--service", "spaces"]), 0);
    assert_eq!(rows(&["windows", "--level", "=1+1"]), 2);
    assert_eq!(rows(&["windows", "--level", "=1+1", "--until", "2023-11-14T22:14:00Z"]), 1);
    assert_eq!(rows(&["windows", "--since", "2023-11-14T22:14:00Z"]), NAUGHTY.len());
    // the window that the time is in counts
    assert_eq!(rows(&["windows", "--since", "1700000069"]), NAUGHTY.len());
    assert_eq!(rows(&["windows", "--since", "-1h"]), 0);
    assert_eq!(rows(&["events", "--q", "quotes"]), 2);
    assert_eq!(rows(&["--environment", "=1+1", "--q", "=1*"]), 1);
    export(stack, &["--since", "yesterday"]).assert_says(78, &["--since: expected RFC 3339"]);
    export(stack, &["--since", "-1h", "--until", "-2h"]).assert_says(78, &["--since"]);
    export(stack, &["events", "--format", "csv"]).assert_says(78, &["--format"]);
    export(stack, &["--output", "/nowhere/at/all"]).assert_says(74, &["/nowhere/at/all"]);
}

/// Folds the events as docs/export.md says, and finds the tables.
fn events_say_all_that_it_takes(stack: &Stack, errors: &BTreeMap<String, Value>) {
    let mut folded: BTreeMap<String, (u64, String, String)> = BTreeMap::new();
    for event in objects(&export(stack, &["events"])) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let error = &errors[&text("errorFingerprint")];
        assert_eq!(event["message"], error["message"]);
        assert_eq!(event.get("stackTrace").unwrap_or(&Value::Null), &error["stack_trace"]);
        assert_eq!(event.get("tags").unwrap_or(&json!({})), &error["tags"]);
        let (first, last) = (text("firstSeen"), text("lastSeen"));
        assert!(text("window") <= first && first <= last, "{event}");
        let count = event["count"].as_u64().expect("a number");
        let entry =
            folded.entry(text("errorFingerprint")).or_insert((0, first.clone(), last.clone()));
        *entry = (entry.0 + count, entry.1.clone().min(first), entry.2.clone().max(last));
    }
    for (fingerprint, error) in errors {
        let (count, first, last) = &folded[fingerprint];
        assert_eq!(&json!(count), &error["count"]);
        assert_eq!((&json!(first), &json!(last)), (&error["first_seen"], &error["last_seen"]));
    }
}

#[test]
fn all_of_redis_and_mariadb() {
    all_is_exported_byte_by_byte(&Stack::servers(&FLAGS));
}

#[test]
fn all_of_the_embedded_store() {
    all_is_exported_byte_by_byte(&Stack::embedded(&FLAGS));
}

/// The most memory that a process has had, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    peak.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

const ROWS: usize = 100_000;

/// Reads an export of so many rows, slowly at its end; its peak of memory, and its lines.
fn read_all(mut command: Command) -> (u64, usize) {
    let mut running = Killed(command.stdout(Stdio::piped()).spawn().expect("errsift"));
    let lines = BufReader::new(running.0.stdout.take().expect("piped")).lines();
    let (mut seen, mut peak) = (0, 0);
    for line in lines {
        assert!(line.expect("UTF-8").starts_with("{\"fingerprint\":\""));
        seen += 1;
        // near the end it still runs: a pipe holds 64 KiB
        if seen == ROWS - 1_000 {
            peak = peak_kib(running.0.id());
        }
    }
    assert!(running.0.wait().expect("it ends").success());
    (peak, seen)
}

/// Rows of 2 KiB each, 200 MB in all, and a few of the largest that there are.
#[test]
fn memory_does_not_follow_the_rows() {
    let stack = Stack::embedded(&FLAGS);
    let all = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)";
    let key = "CAST(printf('%032d', n) AS BLOB)";
    let file: Connection = stack.sqlite("errsift.db");
    file.execute_batch(&format!(
        "BEGIN;
         INSERT INTO error_counts (fingerprint, count, first_seen, last_seen)
           {all} SELECT {key}, n, 0, n FROM n;
         INSERT INTO error_details (fingerprint, rule, message, stack_trace, tags)
           {all} SELECT {key}, 1, 'm' || n, printf('%.2000c', 'x'), '{{}}' FROM n;
         COMMIT;"
    ))
    .expect("rows");
    let (peak, rows) = read_all(exporting(&stack, &[]));
    assert_eq!(rows, ROWS);
    assert!(peak < 100 * 1024, "{peak} KiB for 200 MB");
    let mut few = exporting(&stack, &["--format", "csv"]);
    let mut running =
        Killed(few.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("errsift"));
    let mut first = String::new();
    let mut out = BufReader::new(running.0.stdout.take().expect("piped"));
    out.read_line(&mut first).expect("a line");
    // the reader has seen what it wanted
    drop(out);
    wait::until_true("the end of an export that nobody reads", || {
        running.0.try_wait().expect("a child").is_some_and(|status| status.code() == Some(0))
    });
    let mut said = String::new();
    std::io::Read::read_to_string(&mut running.0.stderr.take().expect("piped"), &mut said)
        .expect("UTF-8");
    assert_eq!(said, "");

    let dir = TempDir::new().expect("a directory");
    let output = dir.path().join("out.csv");
    let ended = export(
        &stack,
        &["--q", "m77777", "--format", "csv", "--output", output.to_str().expect("UTF-8")],
    );
    ended.assert_says(0, &[]);
    assert_eq!(std::fs::read_to_string(output).expect("a file").lines().count(), 2);
}
