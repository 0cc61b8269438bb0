//! `POST /errors/batch`: what a batch may be, what its answer says, and that what it says is so.

mod whole;

use std::{io::Write, thread, time::Duration};

use flate2::{Compression, write};
use serde_json::{Value, json};

use crate::{
    load::LOG,
    stack::Stack,
    support::{
        client::{Answer, Client},
        errsift::Errsift,
    },
    surface::key,
    tables::{sha256, sha256_of},
    wait,
};

const BATCH: &str = "/errors/batch";
const FLAGS: [&str; 2] = ["--flush-interval", "300ms"];
const MIB: usize = 1024 * 1024;

fn ask(client: &mut Client, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let answer = client.exchange("POST", path, headers, body);
    answer.unwrap_or_else(|error| panic!("POST {path} was not answered: {error}"))
}

fn send(client: &mut Client, body: impl AsRef<[u8]>) -> (u16, Value) {
    let answer = ask(client, BATCH, &[], body.as_ref());
    let parsed = serde_json::from_str(&answer.body).expect("an answer in JSON");
    (answer.status, parsed)
}

/// Sends what is all good.
fn accepted(client: &mut Client, body: impl AsRef<[u8]>) -> u64 {
    let (status, answer) = send(client, body);
    assert_eq!((status, &answer["data"]["rejected"]), (200, &json!([])), "{answer}");
    answer["data"]["accepted"].as_u64().expect("a number")
}

fn lines(events: &[Value]) -> String {
    events.iter().flat_map(|event| [event.to_string(), "\n".to_owned()]).collect()
}

fn assert_ledger(stack: &Stack) {
    assert_eq!(stack.errsift.metric("errsift_ledger_difference"), Some(0.0));
    let metric = |name: &str| stack.errsift.metric(name).unwrap_or_default();
    let received = metric("errsift_received_events_total");
    let ended =
        ["errsift_invalid_events_total", "errsift_shed_events_total", "errsift_duplicates_total"];
    let ended: f64 = ended.into_iter().map(metric).sum();
    let dropped = metric("errsift_dropped_events_total");
    let difference = received - ended - dropped - metric("errsift_journaled_events");
    assert!(difference.abs() < 0.5, "{difference} of {received}");
}

/// A body in each way that it may be compressed.
fn packed(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let level = Compression::default();
    let mut gzip = write::GzEncoder::new(Vec::new(), level);
    let mut zlib = write::ZlibEncoder::new(Vec::new(), level);
    let mut bare = write::DeflateEncoder::new(Vec::new(), level);
    gzip.write_all(body).expect("memory");
    zlib.write_all(body).expect("memory");
    bare.write_all(body).expect("memory");
    let mut br = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams::default();
    brotli::BrotliCompress(&mut &*body, &mut br, &parameters).expect("memory");
    let gzip = gzip.finish().expect("memory");
    // two members are one body
    let twice = [&gzip[..], &gzip[..]].concat();
    vec![
        ("identity", body.to_vec()),
        ("gzip", gzip),
        ("x-gzip", twice),
        ("deflate", zlib.finish().expect("memory")),
        ("deflate", bare.finish().expect("memory")),
        ("br", br),
        ("zstd", zstd::encode_all(body, 3).expect("memory")),
    ]
}

/// Arrays and lines, compressed or not, on both routes and under both paths.
fn all_forms_count(stack: &Stack) {
    let mut client = stack.errsift.client();
    let events: Vec<Value> = (0..300)
        .map(|n| json!({ "message": format!("m{}", n % 3), "stackTrace": "at f\n".repeat(n % 7) }))
        .collect();
    let (array, lines) = (json!(events).to_string(), lines(&events));
    let forms = [
        (&array, "application/json", BATCH),
        (&lines, "application/json; charset=utf-8", BATCH),
        (&lines, "application/x-ndjson", "/api/v1/errors/batch"),
    ];
    let mut batches = 0;
    for (body, kind, path) in forms {
        for (coding, bytes) in packed(body.as_bytes()) {
            if coding == "x-gzip" && body.starts_with('[') {
                continue;
            }
            let headers = [("content-type", kind), ("content-encoding", coding)];
            let answer = ask(&mut client, path, &headers, &bytes);
            assert_eq!(answer.status, 200, "{kind} {coding}: {}", answer.body);
            let repeat = if coding == "x-gzip" { 2 } else { 1 };
            assert!(
                answer.body.contains(&format!("\"accepted\":{}", 300 * repeat)),
                "{}",
                answer.body
            );
            batches += repeat;
        }
    }
    let mut singles = 0;
    for (coding, bytes) in packed(json!({ "message": "alone" }).to_string().as_bytes()) {
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        let answer = ask(&mut client, LOG, &headers, &bytes);
        let expected = if coding == "x-gzip" { 400 } else { 200 };
        assert_eq!(answer.status, expected, "{coding}: {}", answer.body);
        singles += u64::from(expected == 200);
    }
    stack.settle();
    let tables = stack.tables();
    for n in 0..3 {
        assert_eq!(tables.count(&format!("m{n}")), 100 * batches);
    }
    assert_eq!(tables.count("alone"), singles);
    tables.assert_windows_sum_to_counts();
    assert_ledger(stack);
}

/// Some events are wrong; the others count, where and when they say.
fn the_good_count_and_the_bad_are_named(stack: &Stack) {
    let mut client = stack.errsift.client();
    let body = concat!(
        "{\"message\":\"good\",\"timestamp\":\"2023-11-14T22:13:20.123Z\"}\r\n",
        "\n",
        "{\"message\":1}\n",
        "{\"message\":\"good\",\"service\":\"caf\\u00e9\",\"timestamp\":1700000029999}\n",
        "not JSON\n",
        "{\"message\":\"good\",\"level\":\"x\",\"timestamp\":1700000030}",
    );
    let (status, answer) = send(&mut client, body);
    assert_eq!(status, 200, "{answer}");
    let data = &answer["data"];
    assert_eq!((&data["accepted"], &data["rejectedCount"]), (&json!(3), &json!(2)), "{answer}");
    let first =
        json!({ "index": 1, "field": "message", "message": "expected a string, got a number" });
    assert_eq!(data["rejected"][0], first);
    assert_eq!(data["rejected"][1]["index"], 3);
    for (body, message) in [
        ("{}\n{\"message\":2}", "events: none was taken"),
        ("[1,2]", "events: none was taken"),
        ("", "body: there is no event in it"),
        (" [ ] ", "body: there is no event in it"),
        ("[{\"message\":\"m\"}", "body: the array has no end"),
        ("[{\"message\":\"m\"},]", "body: expected an event as element 1 of the array"),
        ("[{\"message\":\"m\"}]]", "body: something follows the array"),
    ] {
        let (status, answer) = send(&mut client, body);
        assert_eq!((status, &answer["message"]), (400, &json!(message)), "{body}");
    }
    stack.settle();
    let tables = stack.tables();
    assert_eq!((tables.count("good"), tables.errors.len()), (2, 2));
    let service = sha256_of(&["café".as_bytes(), b"\0good"]);
    assert_eq!(tables.errors[&service].count, 1);
    assert_eq!(tables.windows[&(1_700_000_010_000, service)], 1);
    assert_eq!(tables.windows[&(1_699_999_980_000, sha256("good"))], 1);
    assert_eq!(tables.windows[&(1_700_000_010_000, sha256("good"))], 1);
    assert_ledger(stack);
}

#[test]
fn batches_on_redis_and_mariadb() {
    all_forms_count(&Stack::servers(&FLAGS));
}

#[test]
fn batches_on_the_embedded_store() {
    let stack = Stack::embedded(&FLAGS);
    all_forms_count(&stack);
    drop(stack);
    the_good_count_and_the_bad_are_named(&Stack::embedded(&FLAGS));
}

fn gzip(body: &[u8]) -> Vec<u8> {
    packed(body).swap_remove(1).1
}

#[test]
fn limits_are_answers() {
    let stack = Stack::embedded(&FLAGS);
    let mut client = stack.errsift.client();
    let event = "{\"message\":\"m\"}\n";
    assert_eq!(accepted(&mut client, event.repeat(16_384)), 16_384);
    let (status, answer) = send(&mut client, event.repeat(16_385));
    assert_eq!(
        (status, &answer["message"]),
        (413, &json!("body: at most 16384 events are taken at once"))
    );

    let long = json!({ "message": "x".repeat(256 * 1024) }).to_string();
    let (status, answer) = send(&mut client, format!("{event}{long}\n{event}"));
    assert_eq!((status, &answer["data"]["accepted"]), (200, &json!(2)), "{answer}");
    let rejected = json!([{ "index": 1, "message": "longer than 262144 bytes" }]);
    assert_eq!(answer["data"]["rejected"], rejected);
    let deep = format!("{{\"message\":\"m\",\"tags\":{}{}}}", "[".repeat(9_000), "]".repeat(9_000));
    let (status, answer) = send(&mut client, format!("[{deep},{{\"message\":\"m\"}}]"));
    assert_eq!((status, &answer["data"]["accepted"]), (200, &json!(1)), "{answer}");

    let large = format!("{}{}", event.repeat(3), "\n".repeat(8 * MIB));
    // it shrinks, but not a hundredfold
    let noise: Vec<u8> = (0..MIB / 4)
        .flat_map(|n: usize| sha256(&n.to_string()).into_bytes()[..4].to_vec())
        .collect();
    let bombs = [
        ("identity", large.clone().into_bytes(), 413),
        ("gzip", gzip(&vec![b'\n'; 2 * MIB]), 400),
        ("gzip", gzip(&noise.repeat(9)), 413),
        ("gzip", gzip(large.as_bytes())[..100].to_vec(), 400),
        ("gzip", [gzip(event.as_bytes()), b"more".to_vec()].concat(), 400),
        ("deflate", [packed(event.as_bytes()).swap_remove(3).1, b"more".to_vec()].concat(), 400),
        ("br", b"not brotli at all".to_vec(), 400),
        ("zstd", b"not zstd".to_vec(), 400),
        ("zstd", zstd::encode_all(&*vec![b'\n'; 64 * MIB], 1).expect("memory"), 400),
        ("compress", event.into(), 415),
        ("gzip, br", event.into(), 415),
    ];
    for (coding, body, expected) in bombs {
        for path in [BATCH, LOG] {
            if path == LOG && coding == "identity" {
                continue;
            }
            let answer = client.exchange("POST", path, &[("content-encoding", coding)], &body);
            // a body that is refused by its length may find its connection closed
            let Ok(answer) = answer else {
                assert_eq!((coding, expected), ("identity", 413));
                continue;
            };
            let as_single =
                if path == LOG && expected == 400 { vec![400, 413] } else { vec![expected] };
            assert!(as_single.contains(&answer.status), "{path} {coding}: {}", answer.body);
            assert_eq!(answer.header("accept-encoding").is_some(), expected == 415);
        }
    }
    let answer = ask(&mut client, BATCH, &[("content-type", "text/plain")], event.as_bytes());
    assert_eq!(answer.status, 415);
    assert!(answer.body.contains("application/x-ndjson"), "{}", answer.body);
    let answer = client.exchange("GET", BATCH, &[], b"").expect("an answer");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, OPTIONS")));
    stack.settle();
    assert_eq!(stack.tables().sum(), 16_384 + 2 + 1);
    assert_ledger(&stack);
}

#[test]
fn a_key_holds_for_each_event() {
    let [(all, may_all), (api, may_api), (reads, may_read)] =
        [key(&[]), key(&["--service", "api"]), key(&["--read"])];
    let keys = [may_all, may_api, may_read].join(",");
    let errsift = Errsift::start_with(&FLAGS, &[("ERRSIFT_API_KEYS", &keys)]);
    let mut client = errsift.client();
    let mut send = |key: &str, events: &[Value]| {
        let answer = ask(&mut client, BATCH, &[("x-api-key", key)], lines(events).as_bytes());
        let parsed: Value = serde_json::from_str(&answer.body).expect("an answer in JSON");
        (answer.status, parsed)
    };
    let own = json!({ "message": "m", "service": "api" });
    let (none, foreign) = (json!({ "message": "m" }), json!({ "message": "m", "service": "web" }));
    assert_eq!(send("wrong", std::slice::from_ref(&none)).0, 401);
    let (status, answer) = send(&api, &[own, foreign.clone(), none]);
    assert_eq!((status, &answer["data"]["accepted"]), (200, &json!(2)), "{answer}");
    assert_eq!(answer["data"]["rejected"][0]["field"], "service");
    assert_eq!(send(&api, std::slice::from_ref(&foreign)).0, 403);
    assert_eq!(send(&all, &[foreign]).0, 200);
    let path = format!("/errors/{}", sha256("api\0m"));
    wait::until("both events under the key's service", wait::SOON, || {
        let headers = [("x-api-key", reads.as_str())];
        let answer = errsift.client().request("GET", &path, &headers, b"").expect("an answer");
        let right = answer.0 == 200 && answer.1.contains(r#""count":2"#);
        if right { Ok(()) } else { Err(format!("{answer:?}")) }
    });
}

/// Ids are told apart in a batch, between batches, and between batches and single events.
#[test]
fn an_id_counts_once_wherever_it_comes() {
    let mut stack = Stack::embedded(&["--flush-interval", "1h"]);
    let event = |id: u128| json!({ "message": "m", "eventId": format!("{id:032x}") });
    let mut client = stack.errsift.client();
    let duplicates = |answer: &Value| answer["data"]["duplicates"].as_u64().expect("a number");
    let (status, answer) =
        send(&mut client, lines(&[event(1), event(2), event(1), json!({ "message": "m" })]));
    assert_eq!((status, duplicates(&answer), &answer["data"]["accepted"]), (200, 1, &json!(4)));
    assert_eq!(client.post(LOG, &event(2).to_string()).0, 200);
    assert_eq!(client.post(LOG, &event(3).to_string()).0, 200);
    let (status, answer) = send(&mut client, lines(&[event(3), event(2), event(4)]));
    assert_eq!((status, duplicates(&answer)), (200, 2), "{answer}");
    let (status, answer) = send(&mut client, lines(&[event(3), event(1)]));
    assert_eq!((status, duplicates(&answer)), (200, 2), "{answer}");
    // many at once, all with the same ids
    let address = stack.errsift.address();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::new(address);
                for round in 0..10 {
                    let events: Vec<Value> = (0..50).map(|n| event(100 + round * 50 + n)).collect();
                    let (status, answer) = send(&mut client, lines(&events));
                    assert_eq!(status, 200, "{answer}");
                    assert_eq!(client.post(LOG, &events[7].to_string()).0, 200);
                }
            });
        }
    });
    assert_ledger(&stack);
    stack.errsift.process.restart();
    let (status, answer) =
        send(&mut stack.errsift.client(), lines(&[event(4), event(599), event(600)]));
    assert_eq!((status, duplicates(&answer)), (200, 2), "{answer}");
    assert_eq!(stack.errsift.process.sigterm(Duration::from_secs(30)), Some(0));
    assert_eq!(stack.tables().count("m"), 5 + 500 + 1);
}
