//! Bodies that are events, and bodies that are not.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn fault(body: &str) -> String {
    read(body.as_bytes(), NOW).unwrap_err().to_string()
}

#[test]
fn every_field_is_read() {
    let body = r#"{"message":"m\u0000\n","stackTrace":"at f","type":"TypeError","level":"fatal",
        "service":"api","environment":"prod","release":"1.2","timestamp":1700000000.5,
        "eventId":"01234567-89ab-cdef-0123-456789abcdef","fingerprint":["a","b"],
        "tags":{"k":"v","é":""}}"#;
    let event = read(body.as_bytes(), NOW.plus_millis(9_000)).unwrap();
    assert_eq!(
        event,
        Event {
            message: "m\0\n".into(),
            stack_trace: Some("at f".into()),
            kind: Some("TypeError".into()),
            level: Some("fatal".into()),
            service: Some("api".into()),
            environment: Some("prod".into()),
            release: Some("1.2".into()),
            timestamp: NOW.plus_millis(500),
            received: NOW.plus_millis(9_000),
            clamped: false,
            event_id: EventId::parse("0123456789abcdef0123456789abcdef"),
            fingerprint: vec!["a".into(), "b".into()],
            tags: vec![("k".into(), "v".into()), ("é".into(), String::new())],
        }
    );
}

#[test]
fn absent_and_null_are_the_same_but_for_the_message() {
    let event = read(br#"{"message":"","level":null,"tags":null}"#, NOW).unwrap();
    assert_eq!(event, Event { timestamp: NOW, received: NOW, ..Event::default() });
    assert_eq!(fault(r#"{"message":null}"#), "message: expected a string, got null");
    assert_eq!(fault("{}"), "message: required");
}

#[test]
fn a_recorded_event_has_a_time_of_its_own_or_the_one_for_those_without() {
    let then = NOW.plus_millis(-9_000);
    let at = |body: &str, missing| {
        read_recorded(body.as_bytes(), NOW, missing).map(|event| event.timestamp)
    };
    assert_eq!(at(r#"{"message":"m","timestamp":1}"#, None), Ok(Timestamp::from_millis(1_000)));
    assert_eq!(at(r#"{"message":"m"}"#, Some(then)), Ok(then));
    let fault = at(r#"{"message":"m","timestamp":null}"#, None).unwrap_err();
    assert_eq!(fault.to_string(), "timestamp: required in a recorded log");
    assert_eq!(at(r#"{"message":"m"}"#, Some(NOW.plus_millis(60_001))), Ok(NOW));
}

#[test]
fn times_far_ahead_are_brought_back() {
    let at = |millis: i64| {
        let body = format!(r#"{{"message":"m","timestamp":{millis}}}"#);
        let event = read(body.as_bytes(), NOW).unwrap();
        (event.timestamp, event.clamped)
    };
    assert_eq!(at(NOW.millis() + 60_000), (NOW.plus_millis(60_000), false));
    assert_eq!(at(NOW.millis() + 60_001), (NOW, true));
    assert_eq!(at(0), (Timestamp::from_millis(0), false));
}

#[test]
fn faults_name_the_field() {
    for (body, expected) in [
        (r#"{"message":1}"#, "message: expected a string, got a number"),
        (r#"{"message":["m"]}"#, "message: expected a string, got a list"),
        (r#"{"message":"m","level":{}}"#, "level: expected a string, got an object"),
        (r#"{"message":"m","message":"m"}"#, "message: given more than once"),
        (r#"{"message":"m","a":1,"b\n":[[[1]]]}"#, "a, b\\n: unknown field"),
        (r#"{"message":"m","tags":{"a":"1","a":"2"}}"#, "tags: a given more than once"),
        (r#"{"message":"m","tags":{"a":1}}"#, "tags: a: expected a string, got a number"),
        (
            r#"{"message":"m","tags":[]}"#,
            "tags: invalid type: sequence, expected an object of strings",
        ),
        (
            r#"{"message":"m","fingerprint":"x"}"#,
            "fingerprint: expected a list of strings, got a string",
        ),
        (r#"{"message":"m","eventId":"x"}"#, "eventId: expected a UUID or 32 hex digits"),
        (
            r#"{"message":"m","timestamp":true}"#,
            "timestamp: expected RFC 3339 or epoch time, got a boolean",
        ),
        ("[]", "invalid type: sequence, expected a JSON object"),
    ] {
        assert_eq!(fault(body), expected, "{body}");
    }
    assert!(fault(r#"{"message":"m","timestamp":"soon"}"#).starts_with("timestamp: expected RFC"));
    assert!(fault(r#"{"message":"m","timestamp":-1}"#).starts_with("timestamp: expected RFC"));
}

#[test]
fn what_is_not_json_is_a_fault() {
    for body in [
        "",
        " ",
        "{",
        r#"{"message":"m"}x"#,
        r#"{"message":"m"}{}"#,
        r#"{"message":"\ud800"}"#,
        r#"{"message":"\udc00\ud800"}"#,
        "{\"message\":\"\u{1}\"}",
        "{'message':'m'}",
        r#"{"message":"m",}"#,
        "null",
        "\u{feff}{}",
    ] {
        assert!(read(body.as_bytes(), NOW).is_err(), "{body}");
    }
    assert!(read(b"{\"message\":\"\xff\"}", NOW).is_err());
    assert!(read(b"{\"message\":\"\xed\xa0\x80\"}", NOW).is_err());
}

#[test]
fn deep_nesting_is_a_fault_and_not_a_crash() {
    let deep = "[".repeat(100_000);
    assert!(read(deep.as_bytes(), NOW).is_err());
    for name in ["message", "tags", "unknown", "fingerprint"] {
        assert!(read(format!("{{\"{name}\":{deep}").as_bytes(), NOW).is_err());
        let closed = format!("{{\"message\":\"m\",\"{name}\":{deep}{}}}", "]".repeat(100_000));
        assert!(read(closed.as_bytes(), NOW).is_err());
    }
}
