//! What pages of other origins are told.

use super::*;
use crate::http::cors::Cors;

const APP: &str = "https://app.example.com";

async fn server(allowed: &[&str]) -> Server {
    let allowed: Vec<_> = allowed.iter().map(|origin| origin.parse().unwrap()).collect();
    Server::with(Policy { cors: Cors::new(&allowed), ..Policy::default() }).await
}

fn from(origin: &str, request: &str) -> String {
    request.replacen("Host: x\r\n", &format!("Host: x\r\nOrigin: {origin}\r\n"), 1)
}

fn preflight(path: &str, origin: &str) -> String {
    let asked =
        "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-api-key\r\n";
    let request = get(path).replacen("GET", "OPTIONS", 1);
    from(origin, &request).replacen("Host: x\r\n", &format!("Host: x\r\n{asked}"), 1)
}

#[tokio::test]
async fn browsers_are_answered_before_they_ask() {
    let server = server(&[APP]).await;
    let mut client = server.connect().await;
    for (path, methods) in [("/errors/log", "post, options"), ("/health", "get, head, options")] {
        client.send(&preflight(path, APP)).await;
        let answer = client.answer_to_head().await;
        assert_eq!(answer.status, 204);
        for (name, value) in [
            ("access-control-allow-origin", APP),
            ("access-control-allow-methods", methods),
            ("access-control-max-age", "7200"),
            ("vary", "origin"),
            ("allow", methods),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.field(name), Some(value), "{}", answer.head);
        }
        let allowed = answer.field("access-control-allow-headers").unwrap();
        for name in ["authorization", "content-type", "x-api-key", "x-request-id"] {
            assert!(allowed.split(", ").any(|known| known == name), "{allowed}");
        }
        assert_eq!(answer.field("content-length"), None);
        assert_eq!(answer.field("content-type"), None);
    }
    client.send(&preflight("/nowhere", APP)).await;
    assert_eq!(client.answer().await.status, 404);
    assert!(server.pipeline.bodies.lock().unwrap().is_empty());
    server.observes(("OPTIONS", "/errors/log", 204), 1).await;
}

#[tokio::test]
async fn answers_and_faults_can_be_read_by_the_pages_allowed() {
    let server = server(&[APP, "http://localhost:3000"]).await;
    for (request, status) in [
        (post("fine"), 200),
        (post("invalid"), 400),
        (post("full"), 503),
        (get("/health"), 200),
        (get("/nowhere"), 404),
        (get("/errors/log"), 405),
    ] {
        let answer = server.ask(&from(APP, &request)).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.field("access-control-allow-origin"), Some(APP));
        let exposed = answer.field("access-control-expose-headers");
        assert_eq!(exposed, Some("x-request-id, retry-after"));
        assert_eq!(answer.field("vary"), Some("origin"));
        for origin in ["https://evil.example", "null"] {
            let answer = server.ask(&from(origin, &request)).await;
            assert_eq!(answer.status, status, "the server does not judge, browsers do");
            assert!(!answer.head.contains("access-control"), "{}", answer.head);
            assert_eq!(answer.field("vary"), Some("origin"));
        }
    }
}

#[tokio::test]
async fn any_origin_is_one_answer_for_all() {
    let server = server(&["*"]).await;
    let answer = server.ask(&from("https://a.example", &get("/health"))).await;
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.field("vary"), None);
    assert!(!server.ask(&get("/health")).await.head.contains("access-control"));
}

#[tokio::test]
async fn without_origins_a_path_says_its_methods_and_no_more() {
    let server = server(&[]).await;
    let mut client = server.connect().await;
    client.send(&preflight("/errors/log", APP)).await;
    let answer = client.answer_to_head().await;
    assert_eq!((answer.status, answer.field("allow")), (204, Some("post, options")));
    assert!(!answer.head.contains("access-control"), "{}", answer.head);
    assert_eq!(answer.field("vary"), None);
}
