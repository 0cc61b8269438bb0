//! Senders that mean harm, over raw sockets: requests of which two readers could see different ends,
//! heads and bodies that never end, lengths that lie, more connections than there are seats.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use crate::{
    load::LOG,
    stack::Stack,
    support::{client::Client, errsift::Errsift},
    tables::sha256,
    wait,
};

/// Longer than any of the server's own deadlines.
const PATIENCE: Duration = Duration::from_secs(40);
const EVENT: &str = r#"{"message":"in the open"}"#;
const SMUGGLED: &str = r#"{"message":"smuggled"}"#;

/// Everything that the server sends until it closes the connection.
fn answers_to(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    // the server may have had enough before it has read all
    let _ = stream.write_all(bytes);
    let mut answers = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => answers.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("still open: {error}: {}", String::from_utf8_lossy(bytes)),
        }
    }
    String::from_utf8_lossy(&answers).into_owned()
}

fn statuses(answers: &str) -> Vec<&str> {
    let heads = answers.split("HTTP/1.").skip(1);
    heads.map(|head| head.get(2..5).unwrap_or_default()).collect()
}

/// A whole request that must never be taken for one.
fn second() -> String {
    let length = SMUGGLED.len();
    format!(
        "POST {LOG} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{SMUGGLED}"
    )
}

/// Fields about the body's length of which one reader may heed one and another the other.
fn ambiguous_lengths() -> Vec<String> {
    let length = EVENT.len();
    let fields = [
        "Content-Length: 0\r\nContent-Length: {length}".to_owned(),
        "Content-Length: {length}\r\nContent-Length: 0".to_owned(),
        "Content-Length: {length}, 0".to_owned(),
        "Content-Length: +{length}".to_owned(),
        "Content-Length: -1".to_owned(),
        "Content-Length: 0x10".to_owned(),
        "Content-Length: {length}.0".to_owned(),
        "Content-Length: {length} 0".to_owned(),
        "Content-Length:".to_owned(),
        "Content-Length: 18446744073709551617".to_owned(),
        format!("Content-Length: {}", "9".repeat(100)),
        "Content-Length : {length}".to_owned(),
        "Content-Length\t: {length}".to_owned(),
        " Content-Length: {length}".to_owned(),
        "Transfer-Encoding : chunked".to_owned(),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding: chunked, identity".to_owned(),
        "Transfer-Encoding: gzip".to_owned(),
        "Transfer-Encoding: \x0bchunked".to_owned(),
        "Transfer-Encoding: chunked\x00".to_owned(),
        "Transfer-Encoding:\r\n chunked".to_owned(),
        "X: x\rTransfer-Encoding: chunked".to_owned(),
        "X: x\nTransfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding: \"chunked\"".to_owned(),
        "Transfer-Encoding".to_owned(),
    ];
    fields.iter().map(|fields| fields.replace("{length}", &length.to_string())).collect()
}

/// Chunks that end in different places for different readers.
fn ambiguous_chunks() -> Vec<String> {
    let (size, event) = (format!("{:x}", EVENT.len()), EVENT);
    vec![
        format!("+{size}\r\n{event}\r\n0\r\n\r\n"),
        format!("0x{size}\r\n{event}\r\n0\r\n\r\n"),
        format!("-1\r\n{event}\r\n0\r\n\r\n"),
        format!("{size} {size}\r\n{event}\r\n0\r\n\r\n"),
        format!("fffffffffffffffff\r\n{event}\r\n0\r\n\r\n"),
        format!("10000000000000000\r\n{event}\r\n0\r\n\r\n"),
        format!("{size}\r\n{event}0\r\n\r\n"),
        format!("{size}\r\n{event}XX0\r\n\r\n"),
        format!("{size}\n{event}\n0\n\n"),
        format!("\r\n{size}\r\n{event}\r\n0\r\n\r\n"),
        format!("g\r\n{event}\r\n0\r\n\r\n"),
        format!("{size};{}\r\n{event}\r\n0\r\n\r\n", "x".repeat(64 * 1024)),
        format!("{size}\r\n{event}\r\n0\r\n{}\r\n\r\n", "T: t\r\n".repeat(10_000)),
    ]
}

fn whole_heads() -> Vec<String> {
    let length = EVENT.len();
    let rest = format!(
        "Host: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{EVENT}"
    );
    vec![
        format!("POST {LOG}\r\n{rest}"),
        format!("POST {LOG} HTTP/2.0\r\n{rest}"),
        format!("POST {LOG} HTTP/1.1 \r\n{rest}"),
        format!("POST  {LOG} HTTP/1.1\r\n{rest}"),
        format!("POST {LOG} x HTTP/1.1\r\n{rest}"),
        format!("POST {LOG}\x00 HTTP/1.1\r\n{rest}"),
        format!("PO ST {LOG} HTTP/1.1\r\n{rest}"),
        format!("POST {LOG} HTTP/1.1\r\n: no name\r\n{rest}"),
        format!("POST {LOG} HTTP/1.1\r\nno colon\r\n{rest}"),
        format!("POST {LOG} HTTP/1.1\r\nX Y: a space\r\n{rest}"),
        format!("POST {LOG} HTTP/1.1\r\nX: a\x00b\r\n{rest}"),
        format!("POST {LOG} HTTP/1.1\r\nHost: y\r\n{rest}"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03".to_owned(),
    ]
}

#[test]
fn of_an_ambiguous_request_nothing_is_smuggled() {
    let stack = Stack::embedded(&["--flush-interval", "300ms"]);
    let address = stack.errsift.address();
    let second = second();
    let begin = format!("POST {LOG} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n");
    let lengths = ambiguous_lengths().into_iter().map(|fields| {
        let size = format!("{:x}", EVENT.len());
        format!("{begin}{fields}\r\n\r\n{size}\r\n{EVENT}\r\n0\r\n\r\n{second}")
    });
    let chunks = ambiguous_chunks()
        .into_iter()
        .map(|chunks| format!("{begin}Transfer-Encoding: chunked\r\n\r\n{chunks}{second}"));
    let heads = whole_heads().into_iter().map(|head| format!("{head}{second}"));
    thread::scope(|scope| {
        for request in lengths.chain(chunks).chain(heads) {
            scope.spawn(move || {
                let answers = answers_to(address, request.as_bytes());
                let shown: String = request.chars().take(300).collect();
                let statuses = statuses(&answers);
                // what is no HTTP/1 may be closed without a word
                let least = usize::from(request.starts_with("POST "));
                assert!((least..=1).contains(&statuses.len()), "{shown:?}: {answers}");
                assert!(statuses.iter().all(|status| *status >= "400"), "{shown:?}: {answers}");
            });
        }
    });
    let (status, answer) = stack.errsift.client().post(LOG, EVENT);
    assert_eq!(status, 200, "{answer}");
    stack.settle();
    let tables = stack.tables();
    assert_eq!((tables.count("smuggled"), tables.count("in the open")), (0, 1));
    assert_eq!(tables.errors.len(), 1, "{:?}", tables.errors.keys());
}

/// A length that promises more than comes keeps its sender waiting, not the server; one that promises
/// less ends the body there, and what follows is another request or none.
#[test]
fn a_lying_length_is_its_senders_own_trouble() {
    let stack = Stack::embedded(&["--flush-interval", "300ms"]);
    let address = stack.errsift.address();
    let head = |length: usize| {
        format!(
            "POST {LOG} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let long = answers_to(address, format!("{}{EVENT}", head(EVENT.len() + 1)).as_bytes());
            assert_eq!(statuses(&long), ["408"], "{long}");
        });
        scope.spawn(|| {
            let short = format!("{}{EVENT}", head(EVENT.len() - 1));
            let short = answers_to(address, short.as_bytes());
            // the brace that is left over begins no request
            assert_eq!(statuses(&short), ["400", "400"], "{short}");
        });
        scope.spawn(|| {
            let huge = answers_to(address, head(1 << 40).as_bytes());
            assert_eq!(statuses(&huge), ["413"], "{huge}");
        });
        for _ in 0..200 {
            scope.spawn(|| {
                let slow = answers_to(address, head(1_000).as_bytes());
                assert_eq!(statuses(&slow), ["408"], "{slow}");
            });
        }
        // nobody else has to wait for them
        let (status, answer) = stack.errsift.client().post(LOG, EVENT);
        assert_eq!(status, 200, "{answer}");
    });
    stack.settle();
    let tables = stack.tables();
    assert_eq!((tables.errors.len(), tables.count("in the open")), (1, 1));
}

/// Heads that never end are cut off, all at the same time, and are no trouble to others.
#[test]
fn heads_that_never_end_are_cut_off() {
    let errsift = Errsift::start(&[]);
    let address = errsift.address();
    thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(move || {
                let mut stream = TcpStream::connect(address).expect("a connection");
                stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a time-out");
                let begun = format!("POST {LOG} HTTP/1.1\r\nHost: x\r\n");
                stream.write_all(begun.as_bytes()).expect("the first bytes");
                for line in 0..100 {
                    // one field now and then, for ever
                    if stream.write_all(format!("X-{line}: x\r\n").as_bytes()).is_err() {
                        return;
                    }
                    match stream.read(&mut [0; 1024]) {
                        Ok(0) => return,
                        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
                        _ => {}
                    }
                }
                panic!("still open after {:?}", Duration::from_millis(500) * 100);
            });
        }
        let (status, answer) = errsift.client().post(LOG, EVENT);
        assert_eq!(status, 200, "{answer}");
    });
}

/// More connections than the server has seats for: those who come too late wait, nobody is answered
/// wrongly, and once the others have gone everything is as before.
#[test]
fn a_flood_of_connections_ends_with_the_flood() {
    let stack = Stack::embedded(&["--flush-interval", "300ms"]);
    let address = stack.errsift.address();
    let mut flood = Vec::new();
    // the test's own descriptors may be fewer than the server's seats
    while flood.len() < 12_000 {
        match TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
            Ok(stream) => flood.push(stream),
            Err(_) => break,
        }
    }
    assert!(flood.len() > 500, "{} connections", flood.len());
    // half of them leave a request behind that is never finished
    for stream in flood.iter_mut().step_by(2) {
        let _ = stream.write_all(b"POST /errors/log HTTP/1.1\r\n");
    }
    drop(flood);
    wait::until("a seat", wait::SOON, || {
        let answer = Client::new(address).try_post(LOG, EVENT);
        matches!(answer, Ok((200, _))).then_some(()).ok_or_else(|| format!("{answer:?}"))
    });
    stack.settle();
    let tables = stack.tables();
    assert_eq!(tables.errors.len(), 1);
    assert_eq!(tables.errors[&sha256("in the open")].count, 1);
}
