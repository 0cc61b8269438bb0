//! What only the whole server shows: events from the socket to the tables and back.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{
    load::LOG,
    stack::Stack,
    support::client::Client,
    tables::{sha256, sha256_of},
};

const FLAGS: [&str; 2] = ["--flush-interval", "300ms"];

fn post(client: &mut Client, event: &Value) {
    let (status, answer) = client.post(LOG, &event.to_string());
    assert_eq!(status, 200, "{answer}");
}

fn shown(client: &mut Client, fingerprint: &str) -> Value {
    let (status, answer) = client.get(&format!("/errors/{fingerprint}"));
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).expect("an answer in JSON");
    answer["data"].clone()
}

/// Texts that something between a socket and a table is wont to spoil.
fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " spaces at both ends ",
        "NUL \0 in the middle\0",
        "every control: \u{1}\u{7}\u{8}\t\n\u{b}\u{c}\r\u{1b}\u{7f}\u{85}",
        "emoji 🤦🏽‍♀️ and beyond the BMP 𝄞 \u{10ffff}",
        "'; DROP TABLE error_counts; -- \\' \" ` % _ \\\\ \\0 \\Z",
        "e\u{301} is not \u{e9}",
        "\u{feff}BOM, \u{202e}turned, \u{fffd}",
        "{\"message\":\"in JSON\"}",
        "CASE",
        "case",
        "case ",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("é".repeat(8_192));
    texts
}

fn text_is_kept_byte_by_byte(stack: &Stack) {
    let mut client = stack.errsift.client();
    let texts = hostile();
    for text in &texts {
        post(&mut client, &json!({ "message": text, "stackTrace": text, "tags": { "k": text } }));
    }
    let long = format!("{}{}", "long 🙂 ".repeat(20_000), "\"\\\n".repeat(5_000));
    let event = json!({ "message": long });
    assert!((200 * 1024..256 * 1024).contains(&event.to_string().len()));
    post(&mut client, &event);
    let too_long = json!({ "message": "x".repeat(256 * 1024) }).to_string();
    assert_eq!(
        client
            .request("POST", LOG, &[("content-type", "application/json")], too_long.as_bytes())
            .map_or(413, |(status, _)| status),
        413
    );

    stack.settle();
    let tables = stack.tables();
    assert_eq!(tables.errors.len(), texts.len() + 1);
    let mut client = stack.errsift.client();
    for text in &texts {
        assert_eq!(tables.errors[&sha256(text)].message, *text);
        let data = shown(&mut client, &sha256(text));
        assert_eq!(data["message"], **text);
        if text.len() <= 8_192 {
            assert_eq!(data["stack_trace"], **text);
            assert!(text.chars().count() > 255 || data["tags"]["k"] == **text, "{data}");
        }
    }
    let cut = &tables.errors[&sha256(&long)].message;
    assert_eq!(cut.chars().count(), 8_192);
    let kept = cut.strip_suffix("…[cut]").expect("a mark at the cut");
    assert!(long.starts_with(kept));
    assert_eq!(shown(&mut client, &sha256(&long))["message"], **cut);
}

#[test]
fn text_is_kept_byte_by_byte_on_mariadb() {
    text_is_kept_byte_by_byte(&Stack::servers(&FLAGS));
}

#[test]
fn text_is_kept_byte_by_byte_on_sqlite() {
    text_is_kept_byte_by_byte(&Stack::embedded(&FLAGS));
}

/// 2023-11-14T22:13:20.123Z; its window starts at 22:13:00.
const AT: i64 = 1_700_000_000_123;
const WINDOW: i64 = 1_699_999_980_000;

fn times_and_names_land_where_they_should(stack: &Stack) {
    let mut client = stack.errsift.client();
    let at = |timestamp: Value| json!({ "message": "timed", "timestamp": timestamp });
    post(&mut client, &at(json!("2023-11-14T23:13:20.123+01:00")));
    post(&mut client, &at(json!(1_700_000_000.123)));
    post(&mut client, &at(json!(AT)));
    // the last instant of that window and the first of the next
    post(&mut client, &at(json!(WINDOW + 29_999)));
    post(&mut client, &at(json!(WINDOW + 30_000)));
    post(&mut client, &at(json!(WINDOW)));

    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970");
    let now = i64::try_from(now.as_millis()).expect("a clock before the year 9999");
    let ahead = |ms: i64| json!({ "message": format!("ahead {ms}"), "timestamp": now + ms });
    post(&mut client, &ahead(30_000));
    post(&mut client, &ahead(3_600_000));

    post(&mut client, &json!({ "message": "named" }));
    post(&mut client, &json!({ "message": "named", "service": "a" }));
    post(&mut client, &json!({ "message": "named", "service": "b", "environment": "e1" }));
    post(&mut client, &json!({ "message": "named", "service": "b", "environment": "e2" }));
    post(&mut client, &json!({ "message": "own 1", "fingerprint": ["x", "yz"] }));
    post(&mut client, &json!({ "message": "own 2", "fingerprint": ["x", "yz"] }));
    post(&mut client, &json!({ "message": "own 3", "fingerprint": ["xy", "z"] }));

    stack.settle();
    let tables = stack.tables();
    tables.assert_windows_sum_to_counts();
    let timed = sha256("timed");
    let row = &tables.errors[&timed];
    assert_eq!((row.count, row.first_seen, row.last_seen), (6, WINDOW, WINDOW + 30_000));
    assert_eq!(tables.windows[&(WINDOW, timed.clone())], 5);
    assert_eq!(tables.windows[&(WINDOW + 30_000, timed)], 1);

    let soon = &tables.errors[&sha256("ahead 30000")];
    assert_eq!((soon.first_seen, soon.last_seen), (now + 30_000, now + 30_000));
    let clamped = &tables.errors[&sha256("ahead 3600000")];
    assert!((now..now + 60_000).contains(&clamped.last_seen), "{now}: {clamped:?}");
    assert_eq!(stack.errsift.metric("errsift_clamped_events_total"), Some(1.0));

    let count = |pieces: &[&[u8]]| tables.errors[&sha256_of(pieces)].count;
    assert_eq!(count(&[b"named"]), 1);
    assert_eq!(count(&[b"a\0named"]), 1);
    assert_eq!(count(&[b"b\0named"]), 2);
    let length = |text: &str| (text.len() as u64).to_le_bytes();
    assert_eq!(count(&[&length("x"), b"x", &length("yz"), b"yz"]), 2);
    assert_eq!(count(&[&length("xy"), b"xy", &length("z"), b"z"]), 1);
    assert_eq!(tables.errors.len(), 8);
}

#[test]
fn times_and_names_land_where_they_should_on_mariadb() {
    times_and_names_land_where_they_should(&Stack::servers(&FLAGS));
}

#[test]
fn times_and_names_land_where_they_should_on_sqlite() {
    times_and_names_land_where_they_should(&Stack::embedded(&FLAGS));
}

#[test]
fn what_is_not_an_event_is_named_and_not_stored() {
    let stack = Stack::embedded(&FLAGS);
    let mut client = stack.errsift.client();
    let invalid = [
        ("{}", "message"),
        (r#"{"message":1}"#, "message"),
        (r#"{"message":null}"#, "message"),
        (r#"{"message":"m","level":[]}"#, "level"),
        (r#"{"message":"m","mesage":"m"}"#, "mesage"),
        (r#"{"message":"m","timestamp":"yesterday"}"#, "timestamp"),
        (r#"{"message":"m","timestamp":-1}"#, "timestamp"),
        (r#"{"message":"m","eventId":"7"}"#, "eventId"),
        (r#"{"message":"m","fingerprint":"f"}"#, "fingerprint"),
        (r#"{"message":"m","tags":{"k":1}}"#, "tags"),
        (r#"{"message":"m","message":"m"}"#, "message"),
        (r#"{"message":"\ud800"}"#, "message"),
        (r#"{"message":"m""#, "JSON"),
        ("", "JSON"),
        ("[]", "JSON"),
    ];
    for (body, field) in invalid {
        let (status, answer) = client.post(LOG, body);
        assert_eq!(status, 400, "{body}: {answer}");
        let answer: Value = serde_json::from_str(&answer).expect("an answer in JSON");
        assert_eq!((&answer["success"], &answer["statusCode"]), (&json!(false), &json!(400)));
        let message = answer["message"].as_str().expect("a message");
        assert!(message.contains(field), "{body}: {message}");
    }
    post(&mut client, &json!({ "message": "the only one" }));
    stack.settle();
    assert_eq!(stack.tables().errors.len(), 1);

    let metric = |name: &str| stack.errsift.metric(&format!("errsift_{name}"));
    assert_eq!(metric("invalid_events_total"), Some(15.0));
    let ended = ["acked", "invalid", "shed", "not_stored", "maybe_stored"];
    let sum: f64 = ended.iter().filter_map(|name| metric(&format!("{name}_events_total"))).sum();
    assert_eq!(metric("received_events_total"), Some(sum));
    assert_eq!(metric("journaled_events"), Some(1.0));
    assert_eq!(metric("counted_events"), Some(1.0));
}
