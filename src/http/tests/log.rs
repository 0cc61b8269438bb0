//! `POST /errors/log`.

use tokio::io::AsyncWriteExt;

use super::*;

const STORED: &str = r#"{"success":true,"status":"queued","data":{"status":"queued"},"timestamp":"2023-11-14T22:13:20.123Z"}"#;

fn fault(status: u16, message: &str) -> String {
    format!(
        r#"{{"success":false,"statusCode":{status},"message":"{message}","timestamp":"2023-11-14T22:13:20.123Z"}}"#
    )
}

#[tokio::test]
async fn every_outcome_has_its_answer() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    for (body, status, message) in [
        ("invalid", 400, "message: required"),
        ("full", 503, "the server is busy; the event was not stored, try again"),
        ("not stored", 503, "the journal cannot be written; the event was not stored, try again"),
        ("maybe stored", 503, "the journal's answer is missing; the event may be stored"),
        ("drop", 503, "the journal's answer is missing; the event may be stored"),
    ] {
        client.send(&post(body)).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(answer.body, fault(status, message));
        assert_eq!(answer.has("retry-after: 1"), status == 503);
        assert!(answer.has("x-content-type-options: nosniff"));
        assert!(answer.has("content-type: application/json"));
        assert!(!answer.has("connection: close"));
    }
    client.send(&post("fine").replace("/errors", "/api/v1/errors")).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, STORED));
    assert!(answer.has("x-content-type-options: nosniff"));
    assert_eq!(server.observed.all.lock().unwrap().last(), Some(&("POST", "/errors/log", 200)));
    assert_eq!(*server.observed.in_flight.lock().unwrap(), 0);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    let requests = [post("first"), post("invalid"), get("/livez"), post("hold"), post("last")];
    client.send(&requests.concat()).await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(client.answer().await.status, 200);
    server.holds_one().await;
    assert_eq!(*server.pipeline.bodies.lock().unwrap(), ["first", "invalid", "hold"]);
    server.pipeline.release(&Outcome::MaybeStored);
    assert_eq!(client.answer().await.status, 503);
    assert_eq!(client.answer().await.body, STORED);
}

#[tokio::test]
async fn a_body_may_come_in_pieces_chunks_and_after_half_closing() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    let request = post("in three pieces");
    let (head, body) = request.split_at(request.len() - 10);
    for piece in [head, &body[..5], &body[5..]] {
        client.send(piece).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.answer().await.status, 200);
    let chunked = "POST /errors/log HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nchu\r\n4;x=y\r\nnked\r\n0\r\nTrailer: t\r\n\r\n";
    client.send(chunked).await;
    assert_eq!(client.answer().await.status, 200);
    client.send(&post("half closed")).await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.answer().await.status, 200);
    client.is_closed().await;
    let bodies = server.pipeline.bodies.lock().unwrap().clone();
    assert_eq!(bodies, ["in three pieces", "chunked", "half closed"]);
}

#[tokio::test]
async fn a_client_may_ask_before_it_sends_its_body() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    let request = post_with("Expect: 100-continue\r\n", "asked");
    let (head, body) = request.split_at(request.len() - 5);
    client.send(head).await;
    assert_eq!(client.head().await, "http/1.1 100 continue\r\n\r\n");
    client.send(body).await;
    assert_eq!(client.answer().await.status, 200);

    let head = "POST /errors/log HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n";
    for (length, status) in
        [("Content-Length: 262145\r\n", 413), ("Content-Encoding: compress\r\n", 415)]
    {
        let mut client = server.connect().await;
        let rest = if status == 413 { "" } else { "Content-Length: 5\r\n" };
        client.send(&format!("{head}{length}{rest}\r\n")).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "and no 100 before it");
        assert!(answer.has("connection: close"));
        client.is_closed().await;
    }
    assert_eq!(*server.pipeline.bodies.lock().unwrap(), ["asked"]);
}

#[tokio::test]
async fn headers_that_announce_no_readable_body_are_refused_by_name() {
    let server = Server::start(Limits::default()).await;
    for (fields, status, name) in [
        ("Content-Type: text/plain\r\nContent-Length: 2\r\n", 415, "Content-Type: "),
        ("Content-Encoding: compress\r\nContent-Length: 2\r\n", 415, "Content-Encoding: "),
        ("Content-Type: text/plain\r\nContent-Encoding: compress\r\n", 415, "Content-Type: "),
        ("Content-Type: application/json\r\n", 411, "Content-Length: "),
        ("Content-Length: 262145\r\n", 413, "Content-Length: "),
    ] {
        let request = format!("POST /errors/log HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        let answer = server.ask(&request).await;
        assert_eq!(answer.status, status, "{fields}");
        assert!(answer.body.contains(&format!(r#""message":"{name}"#)), "{}", answer.body);
        assert_eq!(answer.has("connection: close"), fields.contains("Content-Length"));
    }
    for fields in ["", "Content-Encoding: identity\r\n", "Content-Type: application/x+json\r\n"] {
        assert_eq!(server.ask(&post_with(fields, "fine")).await.status, 200);
    }
    assert_eq!(server.ask(&post("")).await.status, 200, "an empty body is the decoder's to judge");
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken_and_one_beyond_is_not() {
    let server = Server::start(Limits::default()).await;
    let longest = "x".repeat(256 * 1024);
    assert_eq!(server.ask(&post(&longest)).await.status, 200);
    let chunked = "POST /errors/log HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole = format!("{chunked}40000\r\n{longest}\r\n0\r\n\r\n");
    assert_eq!(server.ask(&whole).await.status, 200);
    let mut client = server.connect().await;
    client.send(&format!("{chunked}40000\r\n{longest}\r\n1\r\nx\r\n")).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("body: at most 262144 bytes"));
    assert!(answer.has("connection: close"));
    client.is_closed().await;
}

#[tokio::test]
async fn a_client_that_sends_on_still_gets_its_answer() {
    let server = Server::start(Limits { linger: HANG, ..Limits::default() }).await;
    let mut client = server.connect().await;
    // more than sockets hold: the client is still writing when it is refused
    client.send(&post(&"x".repeat(16 * 1024 * 1024))).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("Content-Length: at most 262144 bytes"));
    client.is_closed().await;
}

#[tokio::test]
async fn a_body_that_stalls_or_breaks_off_is_not_an_event() {
    let limits = Limits { body: Duration::from_millis(50), ..Limits::default() };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    client.send(&post("slow")[..post("slow").len() - 1]).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 408);
    assert!(answer.body.contains("body: not complete in time"));
    assert!(answer.has("connection: close"));
    client.is_closed().await;

    let server = Server::start(Limits::default()).await;
    let chunked = "POST /errors/log HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = server.ask(&format!("{chunked}zz\r\n")).await;
    assert_eq!(answer.status, 400);
    let mut client = server.connect().await;
    client.send(&post("cut")[..post("cut").len() - 1]).await;
    client.stream.shutdown().await.unwrap();
    let answer = client.answer().await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("body: ended early"));
    assert!(server.pipeline.bodies.lock().unwrap().is_empty());
}
