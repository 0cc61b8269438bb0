//! Keys.

use super::*;
use crate::http::keys::{ApiKey, Grant, Keys};

async fn server() -> Server {
    let service = |name: &str| Grant::Write(Some(name.into()));
    let keys = vec![
        ApiKey::new("w", Grant::Write(None)),
        ApiKey::new("s", service("api")),
        ApiKey::new("r", Grant::Read),
    ];
    Server::with(Policy { keys: Keys::new(keys), ..Policy::default() }).await
}

fn with(field: &str, request: &str) -> String {
    request.replacen("Host: x\r\n", &format!("Host: x\r\n{field}\r\n"), 1)
}

#[tokio::test]
async fn every_answer_has_its_key() {
    let server = server().await;
    let show = format!("/errors/{}", "ab".repeat(32));
    for (request, key, status) in [
        (post("fine"), "", 401),
        (post("fine"), "X-API-Key: x", 401),
        (post("fine"), "Authorization: Bearer x", 401),
        (post("fine"), "Authorization: Basic dzp3", 401),
        (post("fine"), "Authorization: Bearer r", 403),
        (post("fine"), "Authorization: Bearer w", 200),
        (post("fine"), "X-API-Key: s", 200),
        (post("another's"), "X-API-Key: s", 403),
        (get(&show), "", 401),
        (get(&show), "X-API-Key: w", 403),
        (get(&show), "X-API-Key: r", 200),
        (get("/metrics"), "", 401),
        (get("/metrics"), "X-API-Key: r", 200),
        (get("/nowhere"), "", 404),
        (get("/errors/log"), "", 405),
    ] {
        let request = if key.is_empty() { request } else { with(key, &request) };
        let answer = server.ask(&request).await;
        assert_eq!(answer.status, status, "{request}: {}", answer.body);
        assert_eq!(answer.has("www-authenticate: bearer"), status == 401);
        assert!(status != 403 || answer.body.contains(r#""success":false,"statusCode":403"#));
    }
    for path in ["/livez", "/readyz", "/health", "/health/db", "/api/v1/health/redis"] {
        assert_eq!(server.ask(&get(path)).await.status, 200, "{path}");
    }
    assert_eq!(
        *server.pipeline.services.lock().unwrap(),
        [None, Some("api".into()), Some("api".into())]
    );
}

#[tokio::test]
async fn a_refused_body_is_not_read() {
    let server = server().await;
    let mut client = server.connect().await;
    client.send(&post("never read")[..post("never read").len() - 1]).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 401);
    assert!(answer.has("connection: close"));
    assert!(server.pipeline.bodies.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_connection_may_change_its_key() {
    let server = server().await;
    let mut client = server.connect().await;
    for (key, status) in [("w", 200), ("w", 200), ("r", 403), ("x", 401), ("w", 200), ("", 401)] {
        client.send(&with(&format!("X-API-Key: {key}"), &post("fine"))).await;
        // a refused request's body is unread, so the connection closes
        assert_eq!(client.answer().await.status, status, "{key}");
        if status != 200 {
            client = server.connect().await;
        }
    }
}

#[tokio::test]
async fn what_was_sent_is_not_repeated() {
    let server = server().await;
    for request in [
        with("X-API-Key: s3cret", &post("s3cret")),
        with("X-API-Key: r", &get("/errors/s3cret")),
        get("/s3cret?s3cret"),
        with("Content-Encoding: s3cret\r\nX-API-Key: w", &post("x")),
        with("Content-Type: s3cret\r\nX-API-Key: w", &post("x")),
        get("/health").replacen("GET", "S3CRET", 1),
        get("/health").replacen("Host: x", "Host: s3cret/", 1),
        with("X-Request-Id: s3cret/s3cret", &get("/health")),
        with("Origin: https://s3cret.example", &get("/health")),
    ] {
        let answer = server.ask(&request).await;
        let all = format!("{}{}", answer.head, answer.body).to_lowercase();
        assert!(!all.contains("s3cret"), "{request}: {all}");
    }
}
