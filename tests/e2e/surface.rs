//! What the world sees of HTTP: keys, origins, the admin listener, ids; and the log of it.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    command::run,
    load::{LOG, body},
    stack::Stack,
    support::{
        client::Client,
        errsift::{self, Errsift},
        ports,
    },
    tables::sha256_of,
    wait,
};

/// What `errsift key` prints: the key, and the value of `--api-key`.
pub fn key(flags: &[&str]) -> (String, String) {
    let ended = run(&[&["key"], flags].concat(), &[]);
    ended.assert_says(0, &["ERRSIFT_API_KEYS"]);
    let after = |name: &str| {
        let line = ended.stdout.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}: {ended:?}")).to_owned()
    };
    (after("key      "), after("setting  --api-key "))
}

#[test]
fn a_reader_that_has_gone_ends_a_command_quietly() {
    let check = format!("redis://127.0.0.1:{}", ports::free());
    let mysql = format!("mysql://root@127.0.0.1:{}/errors", ports::free());
    let check = ["check", "--redis-url", &check, "--mysql-url", &mysql];
    for arguments in [&["key"][..], &["check"], &check] {
        let dir = TempDir::new().expect("no temporary directory");
        let (gone, output) = std::io::pipe().expect("no pipe");
        drop(gone);
        let mut command = errsift::command();
        command.current_dir(dir.path()).args(arguments);
        let ended = command.stdout(output).output().expect("errsift cannot be run");
        assert_eq!((ended.status.code(), &*ended.stderr), (Some(0), &b""[..]), "{arguments:?}");
    }
}

fn post_with(client: &mut Client, key: &str, event: &Value) -> (u16, String) {
    let headers = [("content-type", "application/json"), ("x-api-key", key)];
    client.request("POST", LOG, &headers, event.to_string().as_bytes()).expect("an answer")
}

#[test]
fn keys_let_in_and_name_the_service() {
    let [(all, may_all), (api, may_api), (reads, may_read)] =
        [key(&[]), key(&["--service", "api"]), key(&["--read"])];
    assert_ne!(all, api);
    for (shown, secret) in [(&may_all, &all), (&may_api, &api), (&may_read, &reads)] {
        assert!(!shown.contains(secret.as_str()));
    }
    run(&["key", "--service", "a,b"], &[]).assert_says(78, &["--service"]);
    run(&["serve", "--api-key", "nonsense"], &[]).assert_says(2, &["--api-key", "SHA256HEX"]);

    let keys = [may_all, may_api, may_read].join(",");
    let admin: SocketAddr = ([127, 0, 0, 1], ports::free()).into();
    let address = admin.to_string();
    let environment = [("ERRSIFT_API_KEYS", keys.as_str()), ("ERRSIFT_ADMIN_LISTEN", &address)];
    let errsift = Errsift::start_with(&["--flush-interval", "100ms"], &environment);
    let mut client = errsift.client();
    assert_eq!(client.post(LOG, &body("nobody's")).0, 401);
    assert_eq!(post_with(&mut client, &reads, &json!({ "message": "m" })).0, 403);
    assert_eq!(post_with(&mut client, &all, &json!({ "message": "m", "service": "web" })).0, 200);
    assert_eq!(post_with(&mut client, &api, &json!({ "message": "m" })).0, 200);
    assert_eq!(post_with(&mut client, &api, &json!({ "message": "m", "service": "api" })).0, 200);
    let (status, answer) =
        post_with(&mut client, &api, &json!({ "message": "m", "service": "web" }));
    assert_eq!(status, 403, "{answer}");
    assert!(answer.contains("service: ") && !answer.contains("web"), "{answer}");

    let fingerprint = sha256_of(&[b"api", b"\0", b"m"]);
    wait::until("the key's service to be shown with both", wait::SOON, || {
        let path = format!("/errors/{fingerprint}");
        assert_eq!(client.get(&path).0, 401);
        let bearer = format!("Bearer {reads}");
        let headers = [("authorization", bearer.as_str())];
        let (status, answer) = client.request("GET", &path, &headers, b"").expect("an answer");
        let right = status == 200
            && answer.contains(r#""service":"api""#)
            && answer.contains(r#""count":2"#);
        if right { Ok(()) } else { Err(format!("{status} {answer}")) }
    });
    let log = errsift.process.log();
    for secret in [&all, &api, &reads] {
        assert!(!log.contains(secret.as_str()), "{log}");
    }
    let page = Client::new(admin).get("/metrics").1;
    assert!(page.contains(r#"status="401""#) && page.contains(r#"status="403""#), "{page}");
}

#[test]
fn the_admin_listener_lives_until_all_is_drained() {
    let admin: SocketAddr = ([127, 0, 0, 1], ports::free()).into();
    let address = admin.to_string();
    let mut stack = Stack::servers(&["--flush-interval", "1h", "--admin-listen", &address]);
    let mut client = stack.errsift.client();
    assert_eq!(client.get("/metrics").0, 404);
    assert_eq!(client.get("/readyz").0, 200);
    let mut watcher = Client::new(admin);
    assert_eq!(watcher.get("/readyz").0, 200);
    assert_eq!(watcher.post(LOG, &body("not here")).0, 404);
    assert_eq!(client.post(LOG, &body("here")).0, 200);
    run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", &address], &[])
        .assert_says(71, &["--admin-listen", &address, "in use"]);

    // the tables are away, so that draining takes its time
    stack.outside().mariadb.process.kill_9();
    stack.errsift.process.signal("TERM");
    wait::until_true("the drain to be seen", || watcher.get("/readyz").0 == 503);
    wait::until_true("the front door to be shut", || {
        Client::new(stack.errsift.address()).try_post(LOG, &body("late")).is_err()
    });
    let (status, page) = watcher.get("/metrics");
    assert_eq!(status, 200);
    assert!(page.contains("errsift_journaled_events 1\n"), "{page}");
    stack.outside().mariadb.process.restart();
    assert_eq!(stack.errsift.process.wait(Duration::from_secs(32)).code(), Some(0));
    assert_eq!(stack.tables().count("here"), 1);
}

fn json_lines(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_fault_is_one_line_with_its_request() {
    let origin = "https://app.example.com";
    let flags =
        ["--log", "info,errsift=debug", "--cors-origin", origin, "--trusted-proxy", "127.0.0.0/8"];
    let errsift = Errsift::start(&flags);
    let mut client = errsift.client();
    let headers = [
        ("x-request-id", "mine-1"),
        ("x-forwarded-for", "6.6.6.6, 203.0.113.9"),
        ("origin", origin),
    ];
    let event = br#"{"message":"m","\u001b[31m\nx":1}"#;
    let answer = client.exchange("POST", LOG, &headers, event).expect("an answer");
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    assert!(!answer.body.contains("mine-1"));
    let line = wait::until("the line", wait::SOON, || {
        let lines = json_lines(&errsift.process.log());
        let found = lines.into_iter().find(|line| line["request_id"] == "mine-1");
        found.ok_or_else(|| errsift.process.log())
    });
    assert_eq!(line["level"], "DEBUG");
    assert_eq!(line["client"], "203.0.113.9");
    assert_eq!((&line["method"], &line["route"]), (&json!("POST"), &json!("/errors/log")));
    assert_eq!(line["status"], 400);
    assert!(line["duration_us"].is_u64(), "{line}");
    assert!(line["fault"].as_str().is_some_and(|fault| fault.contains("unknown field")), "{line}");
}

#[test]
fn people_get_lines_of_their_own() {
    let errsift = Errsift::start(&["--log-format", "human"]);
    let log = errsift.process.log();
    assert!(log.contains(" INFO listening address=127.0.0.1:"), "{log}");
    assert!(json_lines(&log).is_empty(), "{log}");
    assert!(!log.contains('\u{1b}'), "no colours in a file");
    run(&["serve", "--log-format", "xml"], &[])
        .assert_says(2, &["--log-format", "auto, json, human"]);
}

/// Each request fails with a line, and the journal's own attempts as well.
#[test]
fn a_store_that_is_away_does_not_fill_the_log() {
    let mut stack = Stack::servers(&["--flush-interval", "300ms"]);
    let mut client = stack.errsift.client();
    stack.outside().redis.process.kill_9();
    wait::until_true("not to be ready", || client.get("/readyz").0 == 503);
    let before = stack.errsift.process.log().lines().count();
    let asked = 200;
    for _ in 0..asked {
        assert_eq!(client.get("/health/redis").0, 503);
    }
    let counted = wait::until("the count of what was not written", wait::SOON, || {
        let lines = json_lines(&stack.errsift.process.log());
        let count = lines.iter().find(|line| line["line"] == "request failed");
        count.cloned().ok_or_else(|| "not yet".to_owned())
    });
    let log = stack.errsift.process.log();
    let written = log.lines().filter(|line| line.contains(r#""message":"request failed""#)).count();
    let suppressed = counted["suppressed"].as_u64().expect("a number");
    assert_eq!(counted["level"], "WARN");
    assert!((5..=15).contains(&written), "{log}");
    assert!(suppressed >= asked - 15, "{counted}");
    assert!(log.lines().count() - before < 60, "{log}");
}
