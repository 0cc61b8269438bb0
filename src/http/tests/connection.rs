//! What holds for a connection, whatever is asked on it.

use super::*;

#[tokio::test]
async fn a_resting_connection_outlives_the_heads_deadline() {
    let head = Duration::from_millis(300);
    let server = Server::start(Limits { head, ..Limits::default() }).await;
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(&get("/livez")).await;
        assert_eq!(client.answer().await.status, 200);
        tokio::time::sleep(head * 3).await;
    }
    client.send(&get("/livez")).await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let idle = Duration::from_millis(50);
    let server = Server::start(Limits { idle, ..Limits::default() }).await;
    let mut client = server.connect().await;
    client.send(&get("/livez")).await;
    assert_eq!(client.answer().await.status, 200);
    client.is_closed().await;
}

#[tokio::test]
async fn a_head_that_stalls_is_closed_without_an_answer() {
    let head = Duration::from_millis(50);
    let server = Server::start(Limits { head, ..Limits::default() }).await;
    let mut silent = server.connect().await;
    silent.is_closed().await;
    let mut stalling = server.connect().await;
    stalling.send("GET /livez HTTP/1.1\r\nHost").await;
    stalling.is_closed().await;
    assert!(server.observed.all.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_slow_exchange_is_not_cut_by_the_connections_deadlines() {
    let short = Duration::from_millis(200);
    let server = Server::start(Limits { head: short, idle: short, ..Limits::default() }).await;
    let mut client = server.connect().await;
    client.send(&post("hold")).await;
    server.holds_one().await;
    tokio::time::sleep(short * 3).await;
    server.pipeline.release(&Outcome::Stored);
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let server = Server::start(Limits::default()).await;
    let with = |fields: &str| format!("GET /livez HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    assert_eq!(server.ask(&with(&"A: b\r\n".repeat(63))).await.status, 200);
    assert_eq!(server.ask(&with(&"A: b\r\n".repeat(64))).await.status, 431);
    let long = |bytes| with(&format!("A: {}\r\n", "b".repeat(bytes)));
    assert_eq!(server.ask(&long(15 * 1024)).await.status, 200);
    assert_eq!(server.ask(&long(17 * 1024)).await.status, 431);
    // and what was sent beyond them does not reset the connection
    let mut client = server.connect().await;
    client.send(&long(512 * 1024)).await;
    assert_eq!(client.answer().await.status, 431);
    client.is_closed().await;
    // a long target is a long head, also where hyper would have a limit for targets
    for bytes in [17, 63, 65, 300] {
        let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "t".repeat(bytes * 1024));
        assert_eq!(server.ask(&target).await.status, 431, "{bytes} KiB");
    }
    server.observes(("other", "other", 431), 7).await;
}

#[tokio::test]
async fn heads_that_are_not_http_are_refused() {
    let server = Server::start(Limits::default()).await;
    let log = "POST /errors/log HTTP/1.1\r\nHost: x\r\n";
    for head in [
        "nonsense\r\n\r\n".to_owned(),
        format!("{log}Content-Length: abc\r\n\r\n"),
        format!("{log}Content-Length: -1\r\n\r\n"),
        format!("{log}Content-Length: +1\r\n\r\n"),
        format!("{log}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        format!("{log}Transfer-Encoding: gzip\r\n\r\n"),
        format!("{log}Transfer-Encoding: chunked, gzip\r\n\r\n"),
        format!("{log}Bad Name: x\r\n\r\n"),
    ] {
        let mut client = server.connect().await;
        client.send(&head).await;
        assert_eq!(client.answer().await.status, 400, "{head}");
        client.is_closed().await;
    }
    assert!(server.pipeline.bodies.lock().unwrap().is_empty());
    server.observes(("other", "other", 400), 8).await;
    assert_eq!(*server.observed.in_flight.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_request_has_one_host() {
    let server = Server::start(Limits::default()).await;
    for (head, status) in [
        ("GET /livez HTTP/1.1\r\n\r\n", 400),
        ("GET /livez HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        ("GET /livez HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
        ("OPTIONS /livez HTTP/1.1\r\n\r\n", 400),
        ("GET /livez HTTP/1.1\r\nHost:\r\n\r\n", 200),
        ("GET /livez HTTP/1.0\r\n\r\n", 200),
    ] {
        let answer = server.ask(head).await;
        assert_eq!(answer.status, status, "{head}");
        assert!(status == 200 || answer.body.contains(r#""message":"Host: expected"#));
    }
}

#[tokio::test]
async fn of_a_length_and_chunks_the_chunks_count_and_nothing_follows() {
    let server = Server::start(Limits::default()).await;
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ] {
        let mut client = server.connect().await;
        let smuggled = get("/livez");
        client
            .send(&format!(
                "POST /errors/log HTTP/1.1\r\nHost: x\r\n{fields}\r\n5\r\nwhole\r\n0\r\n\r\n{smuggled}"
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200);
        assert!(answer.has("connection: close"));
        client.is_closed().await;
    }
    assert_eq!(*server.pipeline.bodies.lock().unwrap(), ["whole", "whole"]);
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_for_a_permit() {
    let server = Server::start(Limits { connections_max: 1, ..Limits::default() }).await;
    let mut first = server.connect().await;
    first.send(&get("/livez")).await;
    assert_eq!(first.answer().await.status, 200);
    let mut second = server.connect().await;
    second.send(&get("/livez")).await;
    let answered = tokio::time::timeout(Duration::from_millis(200), second.read()).await;
    assert!(answered.is_err(), "no permit, no answer");
    first.send(&get("/livez")).await;
    assert_eq!(first.answer().await.status, 200);
    drop(first);
    assert_eq!(second.answer().await.status, 200);
}

#[tokio::test]
async fn shutting_down_finishes_what_is_under_way() {
    let server = Server::start(Limits::default()).await;
    let mut resting = server.connect().await;
    resting.send(&get("/livez")).await;
    assert_eq!(resting.answer().await.status, 200);
    let mut busy = server.connect().await;
    busy.send(&[post("hold"), post("never taken")].concat()).await;
    server.holds_one().await;

    let Server { address, pipeline, stop, served, .. } = server;
    stop.send(()).unwrap();
    resting.is_closed().await;
    assert!(TcpStream::connect(address).await.is_err(), "no longer listening");
    assert!(!served.is_finished());
    pipeline.release(&Outcome::Stored);
    let answer = busy.answer().await;
    assert_eq!(answer.status, 200);
    assert!(answer.has("connection: close"));
    busy.is_closed().await;
    tokio::time::timeout(HANG, served).await.unwrap().unwrap().unwrap();
    assert_eq!(*pipeline.bodies.lock().unwrap(), ["hold"]);
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_a_head_for_ever() {
    let head = Duration::from_millis(100);
    let server = Server::start(Limits { head, ..Limits::default() }).await;
    let mut client = server.connect().await;
    // the start of a second head lies behind the first request, in the same segment
    client.send(&[get("/livez"), "GET /li".to_owned()].concat()).await;
    assert_eq!(client.answer().await.status, 200);
    server.stop.send(()).unwrap();
    tokio::time::timeout(HANG, server.served).await.unwrap().unwrap().unwrap();
}
