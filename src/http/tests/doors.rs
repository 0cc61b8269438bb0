//! Which listener has which paths, what every answer has, and who waits for whom.

use std::io::Read;

use flate2::read::GzDecoder;

use super::*;
use crate::http::{Door, limit};

fn with(field: &str, request: &str) -> String {
    request.replacen("Host: x\r\n", &format!("Host: x\r\n{field}\r\n"), 1)
}

#[tokio::test]
async fn each_door_has_its_paths() {
    let paths = ["/metrics", "/livez", "/readyz", "/health", "/health/db", "/errors/ab"];
    for (door, wanted) in [
        (Door::Only, [200, 200, 200, 200, 200, 400]),
        (Door::Public, [404, 200, 200, 200, 200, 400]),
        (Door::Admin, [200, 200, 200, 200, 200, 404]),
    ] {
        let server = Server::with(Policy { door, ..Policy::default() }).await;
        for (path, status) in paths.into_iter().zip(wanted) {
            assert_eq!(server.ask(&get(path)).await.status, status, "{door:?} {path}");
        }
        let status = server.ask(&post("fine")).await.status;
        assert_eq!(status, if door == Door::Admin { 404 } else { 200 }, "{door:?}");
    }
}

#[tokio::test]
async fn every_answer_has_an_id() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    let mut ids = Vec::new();
    for request in [post("fine"), post("invalid"), post("full"), get("/livez"), get("/nowhere")] {
        client.send(&with("X-Request-Id: My_Own-1", &request)).await;
        assert_eq!(client.answer().await.field("x-request-id"), Some("my_own-1"));
        for given in ["X-Request-Id: a b", "X-Request-Id:", "X-Other: x"] {
            client.send(&with(given, &request)).await;
            let answer = client.answer().await;
            ids.push(answer.field("x-request-id").expect("an id").to_owned());
            assert!(!answer.body.contains(&ids[ids.len() - 1]));
        }
    }
    ids.push(server.ask(&get("/livez")).await.field("x-request-id").unwrap().to_owned());
    let made = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), made, "{ids:?}");
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_take_it() {
    let server = Server::start(Limits::default()).await;
    let large = "metric 1\n".repeat(1000);
    server.stores.1.lock().unwrap().clone_from(&large);
    let mut client = server.connect().await;
    client.send(&with("Accept-Encoding: br, gzip;q=0.8", &get("/metrics"))).await;
    let (answer, body) = client.binary_answer().await;
    assert_eq!(answer.field("content-encoding"), Some("gzip"));
    assert_eq!(answer.field("vary"), Some("accept-encoding"));
    assert!(body.len() < large.len() / 5);
    let mut unpacked = String::new();
    GzDecoder::new(&*body).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, large);

    let head = get("/metrics").replacen("GET", "HEAD", 1);
    client.send(&with("Accept-Encoding: br, gzip;q=0.8", &head)).await;
    let answer = client.answer_to_head().await;
    assert_eq!(answer.field("content-length"), Some(body.len().to_string().as_str()));

    for refused in ["Accept-Encoding: gzip;q=0", "Accept: gzip"] {
        client.send(&with(refused, &get("/metrics"))).await;
        let answer = client.answer().await;
        assert_eq!(answer.body, large);
        assert_eq!(answer.field("content-encoding"), None);
        assert_eq!(answer.field("vary"), Some("accept-encoding"));
    }
    for small in [get("/livez"), post("fine")] {
        client.send(&with("Accept-Encoding: gzip", &small)).await;
        let answer = client.answer().await;
        assert_eq!((answer.field("content-encoding"), answer.field("vary")), (None, None));
    }
}

#[tokio::test]
async fn what_is_read_is_not_kept_by_caches() {
    let server = Server::start(Limits::default()).await;
    for (request, expected) in [
        (get("/livez"), true),
        (get("/metrics"), true),
        (get("/nowhere"), true),
        (post("x"), false),
    ] {
        let answer = server.ask(&request).await;
        assert_eq!(answer.has("cache-control: no-store"), expected, "{request}");
        assert!(answer.has("x-content-type-options: nosniff"));
    }
}

#[tokio::test]
async fn neither_health_nor_metrics_wait_for_slow_reads() {
    let server = Server::start(Limits::default()).await;
    let slow = format!("/errors/{SLOW}");
    let mut readers = Vec::new();
    for _ in 0..limit::CALLS_MAX {
        let mut client = server.connect().await;
        client.send(&get(&slow)).await;
        readers.push(client);
    }
    while server.stores.2.waiting() < limit::CALLS_MAX {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(server.ask(&get(&slow)).await.status, 503, "beyond the limit");
    for path in ["/metrics", "/livez", "/readyz", "/health", "/health/db"] {
        assert_eq!(server.ask(&get(path)).await.status, 200, "{path}");
    }
    server.stores.2.release();
    for mut reader in readers {
        assert_eq!(reader.answer().await.status, 404);
    }
}

#[tokio::test]
async fn lists_leave_room_for_other_reads() {
    let server = Server::start(Limits::default()).await;
    let slow = get(&format!("/errors?limit={SLOW_LIMIT}"));
    let mut readers = Vec::new();
    for _ in 0..limit::LIST_CALLS_MAX {
        let mut client = server.connect().await;
        client.send(&slow).await;
        readers.push(client);
    }
    while server.stores.2.waiting() < limit::LIST_CALLS_MAX {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(server.ask(&get("/errors")).await.status, 503, "beyond the limit");
    assert_eq!(server.ask(&get("/windows")).await.status, 200);
    server.stores.2.release();
    for mut reader in readers {
        assert_eq!(reader.answer().await.status, 200);
    }
}

/// Clients that take nothing hold no more than the limit; what they let go is free again.
#[tokio::test]
async fn answers_that_nobody_takes_are_bounded() {
    let server = Server::start(Limits::default()).await;
    let megabytes = 16;
    *server.stores.1.lock().unwrap() = "x".repeat(megabytes * 1024 * 1024);
    let mut holding = Vec::new();
    for _ in 0..limit::HELD_KIB_MAX / 1024 / megabytes {
        let mut client = server.connect().await;
        client.send(&get("/metrics")).await;
        assert!(client.head().await.starts_with("http/1.1 200 "));
        holding.push(client);
    }
    let refused = server.ask(&get("/metrics")).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(server.ask(&get("/livez")).await.status, 200);
    drop(holding.pop());
    loop {
        let mut client = server.connect().await;
        client.send(&get("/metrics")).await;
        let answer = client.binary_answer().await;
        if answer.0.status == 200 {
            assert_eq!(answer.1.len(), megabytes * 1024 * 1024);
            break;
        }
    }
}
