//! What counts as JSON: documents that must be read, must be refused, or may be either but must not
//! crash, after RFC 8259. Each case stands where a parser is known to be lenient.

use errsift_ops::{
    body::{Fault, read},
    event::Event,
    timestamp::Timestamp,
};

fn event(body: &[u8]) -> Result<Event, Fault> {
    read(body, Timestamp::from_millis(1_700_000_000_000))
}

/// Bodies of an event whose message is this.
const ACCEPTED: &[(&[u8], &str)] = &[
    (br#"{"message":"m"}"#, "m"),
    (b"{\"message\":\"m\"}\n", "m"),
    (b" \t\r\n{ \"message\"\t:\r\n\"m\" } \t\r\n", "m"),
    (br#"{"message":""}"#, ""),
    (br#"{"message":"\u0000"}"#, "\0"),
    (br#"{"message":"\u00e9\u00E9"}"#, "\u{e9}\u{e9}"),
    (br#"{"message":"\ud834\udd1e"}"#, "\u{1d11e}"),
    (br#"{"message":"\uDBFF\uDFFF"}"#, "\u{10ffff}"),
    (br#"{"message":"\ufffe\uffff\ufeff"}"#, "\u{fffe}\u{ffff}\u{feff}"),
    (br#"{"message":"\"\\\/\b\f\n\r\t"}"#, "\"\\/\u{8}\u{c}\n\r\t"),
    (br#"{"message":"\\u0041"}"#, "\\u0041"),
    (br#"{"message":"[]{},:"}"#, "[]{},:"),
    (br#"{"message":"/*no comment*/ //"}"#, "/*no comment*/ //"),
    (
        "{\"message\":\"\u{7f}\u{80}\u{2028}\u{2029}\u{10ffff}\"}".as_bytes(),
        "\u{7f}\u{80}\u{2028}\u{2029}\u{10ffff}",
    ),
    (br#"{"mess\u0061ge":"escaped name"}"#, "escaped name"),
    (br#"{"message":"m","timestamp":1.7e9}"#, "m"),
    (br#"{"message":"m","timestamp":17E+8}"#, "m"),
    (br#"{"message":"m","timestamp":1700000000000000E-6}"#, "m"),
    (br#"{"message":"m","timestamp":0}"#, "m"),
    (br#"{"message":"m","timestamp":-0}"#, "m"),
    (br#"{"message":"m","tags":{"":""}}"#, "m"),
    (br#"{"message":"m","tags":{},"fingerprint":[]}"#, "m"),
    (br#"{"message":"m","tags":null,"fingerprint":null,"timestamp":null}"#, "m"),
];

/// What is not JSON, or not one object.
const REFUSED: &[&[u8]] = &[
    b"",
    b" ",
    b"\0",
    b"\xef\xbb\xbf{\"message\":\"a mark of byte order\"}",
    b"\xfe\xff\0{\0\"",
    br#"{"message":"m"}{"message":"n"}"#,
    br#"{"message":"m"} x"#,
    br#"{"message":"m"}]"#,
    b"{\"message\":\"m\"}\0",
    br#"{"message":"m",}"#,
    br#"{,"message":"m"}"#,
    br#"{"message":"m",,"level":"l"}"#,
    br#"{"message":"m" "level":"l"}"#,
    br#"{"message" "m"}"#,
    br#"{"message"::"m"}"#,
    br#"{"message":}"#,
    br#"{"message"}"#,
    br#"{message:"m"}"#,
    br"{'message':'m'}",
    br#"{"message":"m""#,
    br#"{"message":"m"#,
    br#"{"message":m}"#,
    br#"{"message":"\x41"}"#,
    br#"{"message":"\u004"}"#,
    br#"{"message":"\u00g0"}"#,
    br#"{"message":"\U0041"}"#,
    br#"{"message":"\a"}"#,
    br#"{"message":"\ud800"}"#,
    br#"{"message":"\udc00"}"#,
    br#"{"message":"\ud800\u0041"}"#,
    br#"{"message":"\udd1e\ud834"}"#,
    br#"{"message":"\"#,
    b"{\"message\":\"line\nbreak\"}",
    b"{\"message\":\"tab\there\"}",
    b"{\"message\":\"NUL \0\"}",
    b"{\"message\":\"\xff\"}",
    b"{\"message\":\"\xc0\x80\"}",
    b"{\"message\":\"\xc3\"}",
    b"{\"message\":\"\xed\xa0\x80\"}",
    b"{\"message\":\"\xf4\x90\x80\x80\"}",
    b"{\"mess\xe9ge\":\"m\",\"message\":\"m\"}",
    br#"{"message":"m" /* comment */}"#,
    b"{\"message\":\"m\"} // comment",
    br#"{"message":"m","message":"m"}"#,
    br#"{"message":"m","mess\u0061ge":"the same name"}"#,
    br#"{"Message":"m"}"#,
    br#"{"message":"m","extra":1}"#,
    br#"{"message":"m","timestamp":01700000000}"#,
    br#"{"message":"m","timestamp":+1700000000}"#,
    br#"{"message":"m","timestamp":1700000000.}"#,
    br#"{"message":"m","timestamp":.5}"#,
    br#"{"message":"m","timestamp":1e}"#,
    br#"{"message":"m","timestamp":0x65}"#,
    br#"{"message":"m","timestamp":NaN}"#,
    br#"{"message":"m","timestamp":Infinity}"#,
    br#"{"message":"m","timestamp":1e400}"#,
    br#"{"message":"m","timestamp":"1700000000"}"#,
    br#"{"message":"m","timestamp":true}"#,
    br#"{"message":True}"#,
    br#"{"message":nul}"#,
    br#"{"message":undefined}"#,
    br#"{"message":["m"]}"#,
    br#"{"message":{"m":"m"}}"#,
    br#"{"message":"m","tags":[]}"#,
    br#"{"message":"m","tags":{"k":"v","k":"w"}}"#,
    br#"{"message":"m","tags":{"k":null}}"#,
    br#"{"message":"m","fingerprint":{"0":"f"}}"#,
    br#"{"message":"m","fingerprint":["f",1]}"#,
    b"null",
    b"true",
    b"7",
    b"\"message\"",
    br#"[{"message":"m"}]"#,
    b"[",
    b"{",
    b"}",
    b"{}",
];

/// Whatever becomes of these, it is an event or a fault.
fn either() -> Vec<Vec<u8>> {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{{\"message\":\"m\",\"x\":{}{}}}", open.repeat(depth), close.repeat(depth))
    };
    vec![
        nested("[", "]", 60).into_bytes(),
        nested("[", "]", 100_000).into_bytes(),
        nested("{\"a\":", "}", 100_000).into_bytes(),
        "[".repeat(200_000).into_bytes(),
        "{\"message\":".repeat(50_000).into_bytes(),
        format!("{{\"message\":\"m\",\"timestamp\":{}}}", "9".repeat(100_000)).into_bytes(),
        format!("{{\"message\":\"m\",\"timestamp\":1e{}}}", "9".repeat(1_000)).into_bytes(),
        format!("{{\"message\":\"m\",\"timestamp\":0.{}1}}", "0".repeat(100_000)).into_bytes(),
        format!("{{\"message\":\"m\",\"{}\":1}}", "k".repeat(200_000)).into_bytes(),
        format!("{{\"message\":\"{}\"}}", "\\u0000".repeat(40_000)).into_bytes(),
        format!("{{\"message\":\"m\"{}}}", ",\"level\":\"l\"".repeat(10_000)).into_bytes(),
        format!("{{{}\"message\":\"m\"}}", "\"a\":{},".repeat(10_000)).into_bytes(),
    ]
}

#[test]
fn what_is_json_is_read() {
    for (body, message) in ACCEPTED {
        let shown = String::from_utf8_lossy(body);
        let read = event(body).unwrap_or_else(|fault| panic!("{shown}: {fault}"));
        assert_eq!(read.message, *message, "{shown}");
    }
}

#[test]
fn what_is_not_an_object_of_json_is_refused_in_short_words() {
    for body in REFUSED {
        let shown = String::from_utf8_lossy(body);
        let Err(fault) = event(body) else { panic!("{shown} was read") };
        assert!(!fault.reason.is_empty() && fault.to_string().len() < 1_000, "{shown}: {fault}");
    }
}

#[test]
fn what_may_be_either_does_no_harm() {
    for body in either() {
        if let Err(fault) = event(&body) {
            assert!(fault.to_string().len() < 1_000, "{fault}");
        }
    }
}

/// Every prefix of an event, and every event with one byte changed, is an event or a fault.
#[test]
fn a_damaged_event_does_no_harm() {
    let whole = r#"{"message":"m\u00e9\ud834\udd1e","tags":{"k":"v"},"timestamp":1.5e9,"fingerprint":["a"]}"#;
    for end in 0..whole.len() {
        assert!(event(&whole.as_bytes()[..end]).is_err(), "{end}");
    }
    for at in 0..whole.len() {
        for byte in [0, b'"', b'\\', b'{', b'}', b',', b'9', 0x80, 0xff] {
            let mut body = whole.as_bytes().to_vec();
            body[at] = byte;
            drop(event(&body));
        }
    }
}
