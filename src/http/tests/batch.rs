//! `POST /errors/batch`.

use super::*;

fn batch(fields: &str, body: &str) -> String {
    post_with(fields, body).replace("/errors/log", "/errors/batch")
}

fn told(server: &Server, outcome: Option<Outcome>) {
    *server.pipeline.batch_outcome.lock().unwrap() = outcome;
}

#[tokio::test]
async fn every_outcome_has_its_answer() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    let full = Fault { field: None, reason: "full".to_owned(), forbidden: false };
    for (outcome, message) in [
        (Outcome::Invalid(full), "the server is busy; nothing of the batch was stored, try again"),
        (
            Outcome::NotStored,
            "the journal cannot be written; nothing of the batch was stored, try again",
        ),
        (Outcome::MaybeStored, "the journal's answer is missing; the batch's events may be stored"),
    ] {
        told(&server, Some(outcome));
        client.send(&batch("", "{\"message\":\"m\"}\n{}\n")).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains(&format!(r#""message":"{message}""#)), "{}", answer.body);
        assert!(answer.has("retry-after: 1"));
    }
    told(&server, Some(Outcome::Stored));
    client.send(&batch("", "{\"message\":\"m\"}\n{}\n{\"message\":\"m\"}")).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (
            200,
            r#"{"success":true,"data":{"accepted":2,"duplicates":0,"rejectedCount":1,"rejected":[{"index":1,"field":"message","message":"required"}]},"timestamp":"2023-11-14T22:13:20.123Z"}"#
        )
    );
    client.send(&batch("", "[{}]")).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (
            400,
            r#"{"success":false,"statusCode":400,"message":"events: none was taken","data":{"accepted":0,"duplicates":0,"rejectedCount":1,"rejected":[{"index":0,"field":"message","message":"required"}]},"timestamp":"2023-11-14T22:13:20.123Z"}"#
        )
    );
    assert_eq!(*server.pipeline.refused.lock().unwrap(), 5);
    assert_eq!(server.observed.all.lock().unwrap()[0], ("POST", "/errors/batch", 503));
}

#[tokio::test]
async fn a_batch_arrives_folded_however_it_came() {
    let server = Server::start(Limits::default()).await;
    let body = "{\"message\":\"a\"}\n{\"message\":\"b\"}\n{\"message\":\"a\"}\n".repeat(2_000);
    let mut client = server.connect().await;
    client.send(&batch("Content-Type: application/x-ndjson\r\n", &body)).await;
    let arrived = async {
        while server.pipeline.batches.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(HANG, arrived).await.unwrap();
    let batch = server.pipeline.batches.lock().unwrap().pop().unwrap();
    assert_eq!((batch.folded.errors.len(), batch.folded.entries.len()), (2, 2));
    assert_eq!(batch.folded.events(), 6_000);
    drop(batch);
    let answer = client.answer().await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("may be stored"), "{}", answer.body);
}

#[tokio::test]
async fn headers_that_announce_no_batch_are_refused_by_name() {
    let server = Server::start(Limits::default()).await;
    told(&server, Some(Outcome::Stored));
    for (fields, status, name) in [
        ("Content-Type: text/plain\r\nContent-Length: 2\r\n", 415, "Content-Type: "),
        ("Content-Encoding: compress\r\nContent-Length: 2\r\n", 415, "Content-Encoding: "),
        ("Content-Encoding: gzip, br\r\nContent-Length: 2\r\n", 415, "Content-Encoding: "),
        ("Content-Type: application/json\r\n", 411, "Content-Length: "),
        ("Content-Length: 8388609\r\n", 413, "Content-Length: "),
    ] {
        let request = format!("POST /errors/batch HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        let answer = server.ask(&request).await;
        assert_eq!(answer.status, status, "{fields}");
        assert!(answer.body.contains(&format!(r#""message":"{name}"#)), "{}", answer.body);
    }
    for fields in ["", "Content-Type: application/jsonl\r\n", "Content-Encoding: identity\r\n"] {
        assert_eq!(server.ask(&batch(fields, "{\"message\":\"m\"}")).await.status, 200, "{fields}");
    }
}

#[tokio::test]
async fn a_batch_beyond_the_limit_or_that_stalls_is_not_taken() {
    let limits =
        Limits { batch_bytes_max: 1_000, body: Duration::from_millis(50), ..Limits::default() };
    let server = Server::start(limits).await;
    told(&server, Some(Outcome::Stored));
    let head = "POST /errors/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let longest = format!("{{\"message\":\"{}\"}}", "x".repeat(1_000 - 14));
    assert_eq!(server.ask(&format!("{head}3e8\r\n{longest}\r\n0\r\n\r\n")).await.status, 200);
    let answer = server.ask(&format!("{head}3e9\r\n{longest} \r\n0\r\n\r\n")).await;
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("body: at most 1000 bytes"), "{}", answer.body);
    let answer = server.ask(&format!("{head}3e8\r\n")).await;
    assert_eq!(answer.status, 408);
}
