//! The ground that the other integration tests stand on must hold by itself: servers are started,
//! killed and started again as they say, and the lines they are fed are what they claim.

mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use support::client::Client;
use support::proxy::{Proxy, Way};
use support::redis::Redis;
use support::{errsift, loghub, ports};

fn set(redis: &Redis, key: &str, value: u64) {
    let reply: String = redis::cmd("SET")
        .arg(key)
        .arg(value)
        .query(&mut redis.connection())
        .expect("SET is answered");
    assert_eq!(reply, "OK");
}

fn get(redis: &Redis, key: &str) -> Option<u64> {
    redis::cmd("GET").arg(key).query(&mut redis.connection()).expect("GET is answered")
}

#[test]
fn redis_keeps_what_it_answered_over_kill_9() {
    let mut redis = Redis::start();
    let (port, pid) = (redis.process.port(), redis.process.pid());
    set(&redis, "kept", 41);

    redis.process.kill_9();
    assert!(!redis.process.is_running());
    assert!(!ports::listens(pid, port));

    redis.process.restart();
    assert_eq!(redis.process.port(), port);
    assert_ne!(redis.process.pid(), pid);
    assert_eq!(get(&redis, "kept"), Some(41));

    // A restart of a running server kills it first.
    set(&redis, "kept", 42);
    redis.process.restart();
    assert_eq!(get(&redis, "kept"), Some(42));
}

#[test]
fn redis_ends_at_sigterm_and_logs() {
    let mut redis = Redis::start_with(&["--maxmemory", "8mb"]);
    assert_eq!(redis.process.sigterm(Duration::from_secs(10)), Some(0));
    let log = redis.process.log();
    assert!(log.contains("Ready to accept connections"), "{log}");
    assert!(log.contains("ready to exit"), "{log}");
}

#[test]
fn two_servers_share_nothing() {
    let (one, other) = (Redis::start(), Redis::start());
    set(&one, "mine", 1);
    assert_ne!(one.process.port(), other.process.port());
    assert_ne!(one.process.dir(), other.process.dir());
    assert_eq!(get(&other, "mine"), None);
}

#[test]
fn a_dropped_server_is_gone_with_its_directory() {
    let redis = Redis::start();
    let (address, dir) = (redis.process.address(), redis.process.dir().to_owned());
    drop(redis);
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(!dir.exists());
}

#[test]
fn a_server_that_cannot_start_fails_the_test_with_its_words() {
    let started = std::panic::catch_unwind(|| Redis::start_with(&["--no-such-setting", "1"]));
    let panic = started.err().expect("redis refuses the setting");
    let words = panic.downcast_ref::<String>().expect("a message");
    assert!(words.contains("ended before it was ready"), "{words}");
}

#[test]
fn a_frozen_server_is_thawed_with_its_data() {
    let mut redis = Redis::start();
    set(&redis, "kept", 7);
    redis.process.signal("STOP");
    assert!(redis.process.is_running());
    redis.process.signal("CONT");
    assert_eq!(get(&redis, "kept"), Some(7));
}

#[test]
fn a_listening_port_has_one_owner() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    assert!(ports::listens(std::process::id(), port));
    drop(listener);
    let redis = Redis::start();
    assert!(ports::listens(redis.process.pid(), redis.process.port()));
    assert!(!ports::listens(std::process::id(), redis.process.port()));
}

/// Answers one connection with the given bytes for each request, then closes it.
fn scripted_server(answers: &'static [&'static str]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut buffer = [0; 4096];
        for answer in answers {
            let read = stream.read(&mut buffer).expect("a request");
            assert!(read > 0, "the client closed");
            stream.write_all(answer.as_bytes()).expect("the client reads");
        }
    });
    address
}

#[test]
fn a_client_keeps_its_connection_and_sends_nothing_twice() {
    let mut client = Client::new(scripted_server(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
    ]));
    assert_eq!(client.post("/a", "{}"), (200, "ok".to_owned()));
    assert_eq!(client.post("/b", "{}"), (503, String::new()));
    assert_eq!(client.get("/c"), (200, "abcde".to_owned()));
    // The answer breaks off, and the server takes no other connection: an error, not a retry.
    assert!(client.try_post("/d", "{}").is_err());
    assert!(client.try_post("/e", "{}").is_err());
}

#[test]
fn a_metric_is_summed_over_its_labels() {
    let page = "# TYPE a counter\na{x=\"1 2\"} 3\na{x=\"b\"} 4\nab 9\nc 1.5\n";
    assert_eq!(errsift::sum_of(page, "a"), Some(7.0));
    assert_eq!(errsift::sum_of(page, "c"), Some(1.5));
    assert_eq!(errsift::sum_of(page, "d"), None);
}

#[test]
fn csv_fields_may_hold_anything() {
    let rows = loghub::csv("a,Content,b\r\n1,\"x, \"\"y\"\"\r\nz\",\n2,plain,\"\"\n\n3,é");
    let expected = [
        vec!["a", "Content", "b"],
        vec!["1", "x, \"y\"\r\nz", ""],
        vec!["2", "plain", ""],
        vec!["3", "é"],
    ];
    assert_eq!(rows, expected);
}

/// (lines, distinct, occurring once, occurrences of the most frequent)
fn shape(messages: &[String]) -> (usize, usize, usize, usize) {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for message in messages {
        *counts.entry(message).or_default() += 1;
    }
    let once = counts.values().filter(|&&count| count == 1).count();
    let top = counts.values().copied().max().unwrap_or_default();
    (messages.len(), counts.len(), once, top)
}

#[test]
fn synthetic_lines_have_the_shape_of_the_real_ones() {
    let messages = loghub::synthetic();
    assert_eq!(shape(&messages), (16_000, 9_217, 8_628, 569));
    assert_eq!(messages, loghub::synthetic());
    if let Some(real) = loghub::contents() {
        assert_eq!(shape(&real), shape(&messages));
    }
}

/// A server that says what it has read, line by line, and keeps all of it.
fn echo() -> (std::net::SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, lines) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut answers = stream.try_clone().expect("a second handle");
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // either may be gone
                    let _ = writeln!(answers, "{line}!");
                    let _ = sender.send(line);
                }
            });
        }
    });
    (address, lines)
}

fn through(proxy: &Proxy) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", proxy.port())).expect("a proxy");
    stream.set_read_timeout(Some(PATIENT)).expect("a time-out");
    BufReader::new(stream)
}

/// What comes back; nothing when the connection ends first.
fn say(stream: &mut BufReader<TcpStream>, word: &str) -> Option<String> {
    writeln!(stream.get_mut(), "{word}").ok()?;
    let mut answer = String::new();
    stream.read_line(&mut answer).ok().filter(|read| *read > 0)?;
    Some(answer.trim().to_owned())
}

const PATIENT: Duration = Duration::from_secs(10);

/// Says a word to which nothing comes back, for as long as anybody cares to wait.
fn say_in_vain(stream: &mut BufReader<TcpStream>, word: &str) {
    let short = Some(Duration::from_millis(300));
    stream.get_ref().set_read_timeout(short).expect("a time-out");
    assert_eq!(say(stream, word), None);
    stream.get_ref().set_read_timeout(Some(PATIENT)).expect("a time-out");
}

#[test]
fn a_proxy_delivers_after_the_client_has_come_back() {
    let (address, lines) = echo();
    let proxy = Proxy::start(address);
    let mut first = through(&proxy);
    assert_eq!(say(&mut first, "one"), Some("one!".to_owned()));
    let held = proxy.hold_requests();
    say_in_vain(&mut first, "late");
    held.lose_clients();
    assert!(matches!(first.read_line(&mut String::new()), Ok(0) | Err(_)));
    drop(first);
    let mut second = through(&proxy);
    assert_eq!(say(&mut second, "two"), Some("two!".to_owned()));
    drop(held);
    let heard: Vec<_> = (0..3).map(|_| lines.recv_timeout(PATIENT).expect("a line")).collect();
    assert_eq!(heard, ["one", "two", "late"]);
}

#[test]
fn a_proxy_swallows_answers_and_cuts_then() {
    let (address, lines) = echo();
    let proxy = Proxy::start(address);
    let mut client = through(&proxy);
    assert_eq!(say(&mut client, "one"), Some("one!".to_owned()));
    let swallowed = proxy.swallow_answers();
    say_in_vain(&mut client, "two");
    let heard: Vec<_> = (0..2).map(|_| lines.recv_timeout(PATIENT).expect("a line")).collect();
    assert_eq!(heard, ["one", "two"], "the request went through");
    drop(swallowed);
    assert_eq!(say(&mut client, "three"), None);
    assert_eq!(say(&mut through(&proxy), "four"), Some("four!".to_owned()));
}

#[test]
fn a_proxy_cuts_in_the_middle_of_a_message() {
    for (way, whole) in [(Way::Answers, true), (Way::Requests, false)] {
        let (address, lines) = echo();
        let proxy = Proxy::start(address);
        let mut client = through(&proxy);
        assert_eq!(say(&mut client, "one"), Some("one!".to_owned()));
        proxy.cut_after(way, 2);
        let answer = say(&mut client, "three");
        assert_eq!(answer.as_deref(), whole.then_some("th"), "{way:?}");
        assert_eq!(lines.recv_timeout(PATIENT).as_deref(), Ok("one"));
        let heard = lines.recv_timeout(PATIENT).expect("as much as was let through");
        assert_eq!(heard, if whole { "three" } else { "th" });
    }
}

#[test]
fn a_proxy_refuses_and_delays() {
    let (address, _lines) = echo();
    let proxy = Proxy::start(address);
    let mut client = through(&proxy);
    assert_eq!(say(&mut client, "one"), Some("one!".to_owned()));
    proxy.refuse(true);
    assert_eq!(say(&mut through(&proxy), "new"), None);
    assert_eq!(say(&mut client, "old"), Some("old!".to_owned()));
    proxy.refuse(false);
    assert_eq!(say(&mut through(&proxy), "new"), Some("new!".to_owned()));
    proxy.delay(Way::Answers, Duration::from_millis(500));
    say_in_vain(&mut client, "slow");
    proxy.cut();
    assert_eq!(say(&mut client, "cut"), None);
}
