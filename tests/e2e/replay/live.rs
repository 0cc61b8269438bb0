//! A replay counts as posting does, once, and beside a server.

use std::thread;

use crate::{
    load,
    stack::{DATABASE, Servers, Stack},
    support::mariadb::Mariadb,
    tables::sha256,
};

use super::place::{Place, SMALL, assert_same, log, sqlite, summary, words};

/// Events with something odd about each.
fn odd() -> String {
    let long = "x\u{e9}".repeat(5_000);
    let tags: serde_json::Map<String, serde_json::Value> =
        (0..40).map(|n| (format!("key {n}"), format!("{n}").into())).collect();
    let events = [
        serde_json::json!({"message": "", "timestamp": 0}),
        serde_json::json!({"message": long, "timestamp": "2023-02-28T23:59:59.999Z"}),
        serde_json::json!({"message": format!("{long}."), "timestamp": "2023-03-01T00:00:00+14:00"}),
        serde_json::json!({"message": "own", "fingerprint": ["a", "b"], "timestamp": 1.5e9}),
        serde_json::json!({"message": "other", "fingerprint": ["a", "b"], "timestamp": 1_500_000_030}),
        serde_json::json!({"message": "in a service", "service": "shop", "timestamp": 1e12}),
        serde_json::json!({"message": "in a service", "service": "", "timestamp": 1e12}),
        serde_json::json!({"message": "in a service", "service": null, "timestamp": 1e12}),
        serde_json::json!({"message": "all", "stackTrace": "a\n".repeat(40_000), "type": "T".repeat(300),
            "level": "fatal", "environment": "prod", "release": "1", "tags": tags,
            "timestamp": 1_600_000_000_123_u64}),
        serde_json::json!({"message": "nul \u{0} and \u{1f600}", "timestamp": 1_700_000_000.25}),
        serde_json::json!({"message": "an id", "eventId": "0123456789abcdef0123456789abcdef",
            "timestamp": 1_700_000_000}),
    ];
    let mut lines = events.map(|event| format!("{event}\n")).concat();
    lines += "{ \"message\" : \"\\u00e9\\ud83d\\ude00\\/\" , \"timestamp\" : 1700000000 }  \r\n";
    lines += &log(200, 20);
    lines
}

fn post_all(stack: &Stack, lines: &str) {
    let mut client = stack.errsift.client();
    for line in lines.lines() {
        assert_eq!(client.post(load::LOG, line).0, 200, "{line}");
    }
    stack.settle();
}

#[test]
fn a_replay_gives_the_rows_of_posting_live() {
    let lines = odd();
    let stack = Stack::embedded(&["--flush-interval", "100ms"]);
    post_all(&stack, &lines);
    let expected = stack.tables();
    let file = stack.sqlite("errsift.db");
    let mariadb = Mariadb::start();
    for (place, server) in
        [(Place::embedded(), None), (Place::on(&mariadb, "same"), Some(&mariadb))]
    {
        let log = place.write("odd.ndjson", &lines);
        // one worker: the first event's words are stored
        place.replay(&["--workers", "1", &log]).assert_says(0, &["212 counted"]);
        assert_same(&place.tables(server), &expected);
        if server.is_none() {
            assert_eq!(place.words(server), words(&file));
        }
        let many = [&SMALL[..], &["--workers", "3", "--source", "again", &log]].concat();
        place.replay(&many).assert_says(0, &["212 counted"]);
        assert_eq!(place.tables(server).sum(), 2 * 212);
    }
}

fn twice_changes_nothing(place: &Place, server: Option<&Mariadb>) {
    let log = place.write("log", log(3_000, 200));
    let small = [&SMALL[..], &["--workers", "2", &log]].concat();
    place.replay(&small).assert_says(0, &["3000 counted", "distinct            200"]);
    let once = place.tables(server);
    assert_eq!((once.errors.len(), once.sum()), (200, 3_000));
    let again = place.summary(0, &[&log]);
    assert_eq!((again["events"].as_u64(), again["logs_done_before"].as_u64()), (Some(0), Some(1)));
    assert_same(&place.tables(server), &once);
}

#[test]
fn a_log_is_counted_once() {
    twice_changes_nothing(&Place::embedded(), None);
    let mariadb = Mariadb::start();
    twice_changes_nothing(&Place::on(&mariadb, "once"), Some(&mariadb));
}

#[test]
fn a_log_that_has_grown_goes_on_where_it_ended() {
    let lines = log(3_000, 100);
    let place = Place::embedded();
    let expected = Place::embedded();
    expected.replay(&[&expected.write("log", &lines)]).assert_says(0, &[]);
    // short, then longer than what it is known by; each time in the middle of a record
    let mut counted = 0;
    for bytes in [100, 1_000, 50_000, 70_000, 300_000, lines.len()] {
        let log = place.write("log", &lines[..lines.floor_char_boundary(bytes)]);
        counted +=
            place.summary(0, &[&SMALL[..], &[log.as_str()]].concat())["events"].as_u64().unwrap();
        let whole = lines[..lines.floor_char_boundary(bytes)].matches('\n').count();
        assert_eq!(counted, whole as u64);
    }
    assert_same(&place.tables(None), &expected.tables(None));
    let sources: u64 = sqlite(&place.path("errsift.db"))
        .query_row("SELECT count(*) FROM replay_sources", [], |row| {
            row.get(0).map(i64::cast_unsigned)
        })
        .unwrap();
    assert_eq!(sources, 1);
}

#[test]
fn a_record_that_does_not_end_is_held_back() {
    let place = Place::embedded();
    let log = place
        .write("log", "{\"message\":\"a\",\"timestamp\":1}\n{\"message\":\"b\",\"timestamp\":2}");
    assert_eq!(place.summary(0, &[&log])["events"], 1);
    assert_eq!(place.summary(0, &["--final", &log])["events"], 1);
    assert_eq!(place.summary(0, &["--final", &log])["events"], 0);
    let tables = place.tables(None);
    assert_eq!((tables.count("a"), tables.count("b"), tables.sum()), (1, 1, 2));
}

fn beside_a_server(stack: &Stack, flags: &[&str]) {
    let place = Place::embedded();
    let log = place.write("log", log(4_000, 300));
    let posted: Vec<String> = (0..300).map(|n| format!("posted {}", n % 30)).collect();
    let address = stack.errsift.address();
    let posting = thread::spawn(move || load::post_all(address, &posted, 4));
    let mut command = crate::support::errsift::command();
    command.arg("replay").args(flags).args(SMALL).args(["--json", &log]);
    assert_eq!(summary(&crate::command::end(command, b""), 0)["events"], 4_000);
    posting.join().expect("all posted");
    stack.settle();
    let tables = stack.tables();
    assert_eq!(tables.sum(), 4_300);
    assert_eq!(tables.errors[&sha256("posted 3")].count, 10);
    tables.assert_windows_sum_to_counts();
    // and the server's own books are its own
    assert_eq!(stack.errsift.metric("errsift_counted_events"), Some(300.0));
}

#[test]
fn a_replay_runs_beside_a_server() {
    let stack = Stack::embedded(&["--flush-interval", "100ms"]);
    let data = stack.errsift.process.dir().join("errsift.db").display().to_string();
    beside_a_server(&stack, &["--data", &data]);
    let servers = Servers::start();
    let url = servers.mysql_url.clone();
    assert!(url.ends_with(DATABASE));
    let stack = Stack::of(servers.errsift(&["--flush-interval", "100ms"]), servers);
    beside_a_server(&stack, &["--mysql-url", &url]);
}

#[test]
fn an_error_is_new_to_the_tables_once() {
    let mariadb = Mariadb::start();
    for place in [Place::embedded(), Place::on(&mariadb, "new")] {
        let [few, more] =
            [30, 50].map(|distinct| place.write(&distinct.to_string(), log(400, distinct)));
        for (file, distinct, new) in [(&few, 30, 30), (&more, 50, 20), (&more, 0, 0)] {
            let arguments = [&SMALL[..], &["--workers", "2", file.as_str()]].concat();
            let summary = place.summary(0, &arguments);
            let found = [&summary["distinct"], &summary["new"]];
            assert_eq!(found.map(serde_json::Value::as_u64), [Some(distinct), Some(new)]);
        }
        let named = place.replay(&["--source", "again", &more]);
        let words: Vec<_> = named.stdout.split_whitespace().collect();
        assert!(words.windows(2).any(|pair| pair == ["new", "0"]), "{named:?}");
        // nobody has asked the tables
        assert!(place.summary(0, &["--dry-run", &more])["new"].is_null());
    }
}
