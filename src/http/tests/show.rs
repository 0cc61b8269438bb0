//! Everything that is read, and paths and methods that are not there.

use super::*;
use crate::http::{
    Door,
    keys::{ApiKey, Grant, Keys},
};

#[tokio::test]
async fn an_error_is_shown_by_its_fingerprint() {
    let server = Server::start(Limits::default()).await;
    let known = "ab".repeat(32);
    for prefix in ["", "/api/v1"] {
        let answer =
            server.ask(&get(&format!("{prefix}/errors/{known}?since=-5m&until=1700000000"))).await;
        assert_eq!(answer.status, 200);
        let start = format!(
            r#"{{"success":true,"data":{{"fingerprint":"{known}","rule":1,"message":"boom","#
        );
        assert!(answer.body.starts_with(&start), "{}", answer.body);
        let windows = r#""windows":{"since":"2023-11-14T22:08:00.000Z","until":"2023-11-14T22:13:30.000Z","step_s":30,"points":[{"start":"2023-11-14T22:08:00.000Z","count":3}]}}"#;
        assert!(answer.body.contains(windows), "{}", answer.body);
        assert!(answer.body.ends_with(r#""timestamp":"2023-11-14T22:13:20.123Z"}"#));
    }
    let answer = server.ask(&get(&format!("/errors/{}", "cd".repeat(32)))).await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains(r#""message":"fingerprint: no such error is stored""#));
    for wrong in ["ab", &"xy".repeat(32), "batches"] {
        let answer = server.ask(&get(&format!("/errors/{wrong}"))).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains(r#""message":"fingerprint: expected 64 hex digits""#));
    }
    server.stores.0.lock().unwrap().errors = Err("no connection".to_owned());
    let answer = server.ask(&get(&format!("/errors/{known}"))).await;
    assert_eq!(answer.status, 503);
    assert!(answer.has("retry-after: 1"));
    assert!(answer.body.contains(r#""message":"errors: no connection""#));
}

#[tokio::test]
async fn lists_and_windows_are_shown() {
    let server = Server::start(Limits::default()).await;
    let answer = server.ask(&get("/api/v1/errors?sort=last_seen&limit=1")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let known = "ab".repeat(32);
    let start = format!(
        r#"{{"success":true,"data":{{"errors":[{{"fingerprint":"{known}","rule":1,"message":"boom","type":null,"#
    );
    assert!(answer.body.starts_with(&start), "{}", answer.body);
    let cursor = format!(r#"],"next_cursor":"1l0000000000000003{known}"}},"timestamp""#);
    assert!(answer.body.contains(&cursor), "{}", answer.body);

    let answer = server.ask(&get("/windows?until=1700000000&since=1699999980")).await;
    let data = r#""data":{"since":"2023-11-14T22:13:00.000Z","until":"2023-11-14T22:13:30.000Z","step_s":30,"points":[]}"#;
    assert!(answer.body.contains(data), "{}", answer.body);
    let answer = server.ask(&get("/windows?service=large")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("ask for a shorter range"));
    assert!(!answer.has("retry-after: 1"), "the same again would take as long");

    let answer = server.ask(&get("/errors?limit=501")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains(r#""message":"limit: expected a number from 1 to 500""#));
    let answer = server.ask(&get("/openapi.json")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, super::super::openapi::DOCUMENT));
    server.stores.0.lock().unwrap().errors = Err("no connection".to_owned());
    assert_eq!(server.ask(&get("/errors")).await.status, 503);
}

#[tokio::test]
async fn health_follows_the_stores() {
    let server = Server::start(Limits::default()).await;
    let expect = async |journal: Result<(), &str>, errors: Result<(), &str>, wanted: [u16; 5]| {
        *server.stores.0.lock().unwrap() = Health {
            journal: journal.map_err(str::to_owned),
            errors: errors.map_err(str::to_owned),
            ready: journal.is_ok(),
        };
        let paths = ["/health", "/api/v1/health/db", "/health/redis", "/readyz", "/livez"];
        let mut bodies = Vec::new();
        for (path, wanted) in paths.into_iter().zip(wanted) {
            let answer = server.ask(&get(path)).await;
            assert_eq!(answer.status, wanted, "{path} {}", answer.body);
            assert_eq!(answer.has("retry-after: 1"), wanted == 503);
            bodies.push(answer.body);
        }
        bodies
    };
    let bodies = expect(Ok(()), Ok(()), [200; 5]).await;
    assert!(bodies[0].contains(r#""data":{"status":"ok","journal":"ok","errors":"ok"}"#));
    assert!(bodies[4].contains(r#""data":{"status":"ok"}"#));
    let bodies = expect(Ok(()), Err("away"), [200, 503, 200, 200, 200]).await;
    assert!(bodies[0].contains(r#""data":{"status":"degraded","journal":"ok","errors":"away"}"#));
    assert!(bodies[1].contains(r#""statusCode":503,"message":"errors: away""#));
    let bodies = expect(Err("gone"), Ok(()), [503, 200, 503, 503, 200]).await;
    assert!(bodies[0].contains(r#""statusCode":503,"message":"journal: gone""#));
}

#[tokio::test]
async fn strangers_are_not_told_a_stores_words() {
    let keys = Keys::new(vec![ApiKey::new("k", Grant::Read)]);
    for policy in
        [Policy { keys, ..Policy::default() }, Policy { door: Door::Public, ..Policy::default() }]
    {
        let server = Server::with(policy).await;
        server.stores.0.lock().unwrap().errors = Err("denied to app@db".to_owned());
        for path in ["/health", "/health/db"] {
            let answer = server.ask(&get(path)).await;
            assert!(answer.body.contains("does not answer"), "{}", answer.body);
            assert!(!answer.body.contains("app@db"), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let server = Server::start(Limits::default()).await;
    let answer = server.ask(&get("/metrics")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "up 1\n"));
    assert!(answer.has("content-type: text/plain; version=0.0.4"));
    assert!(answer.has("x-content-type-options: nosniff"));
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    for path in ["/health", "/metrics", "/nowhere"] {
        client.send(&get(path).replace("GET", "HEAD")).await;
        let head = client.answer_to_head().await;
        client.send(&get(path)).await;
        let get = client.answer().await;
        assert_eq!(head.status, get.status);
        assert!(head.has(&format!("content-length: {}", get.body.len())), "{}", head.head);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_said_so() {
    let server = Server::start(Limits::default()).await;
    for (method, path, status, allow) in [
        ("GET", "/errors/log", 405, "allow: post, options"),
        ("HEAD", "/errors/log", 405, "allow: post, options"),
        ("DELETE", "/api/v1/errors/log", 405, "allow: post, options"),
        ("PUT", "/health", 405, "allow: get, head, options"),
        ("POST", "/errors/ab", 405, "allow: get, head, options"),
        ("BREW", "/metrics", 405, "allow: get, head, options"),
        ("GET", "/", 404, ""),
        ("POST", "/errors", 405, "allow: get, head, options"),
        ("OPTIONS", "*", 404, ""),
        ("GET", "/errors/log/", 404, ""),
    ] {
        let mut client = server.connect().await;
        client.send(&get(path).replacen("GET", method, 1)).await;
        let answer = client.answer_to_head().await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(allow.is_empty() || answer.has(allow), "{}", answer.head);
    }
    let all = server.observed.all.lock().unwrap().clone();
    assert_eq!(all[0], ("GET", "/errors/log", 405));
    assert_eq!(all[4], ("POST", "/errors/{fingerprint}", 405));
    assert_eq!(all[5], ("other", "/metrics", 405));
    assert_eq!(all[6], ("GET", "other", 404));
}

#[tokio::test]
async fn an_unread_body_ends_its_connection() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 404);
    assert!(answer.has("connection: close"));
    client.is_closed().await;
}
