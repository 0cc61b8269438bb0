//! Events that were met before, told without building them.
//!
//! Most events of a log repeat others. To count one more of them takes its service, message, level
//! and time; all else need only be right. What is read here is certainly an event, and the same one
//! that [`body`](crate::body) reads; whatever is unusual is left to that.

use std::ops::Range;

use super::{cursor::Cursor, usual_time};
use crate::{event::EventId, timestamp::Timestamp};

/// An event's fields as they stand in its line: text between quotes, with its escapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quick<'a> {
    /// The message.
    pub message: &'a [u8],
    /// The service.
    pub service: Option<&'a [u8]>,
    /// The level, which has no escapes.
    pub level: Option<&'a str>,
    /// The time.
    pub timestamp: Option<Timestamp>,
}

/// Tags whose keys are compared with one another.
const TAGS_MAX: usize = 32;

/// Reads `line` as if it came first; `None` if it may be no event, or takes a closer look.
#[cfg(test)]
fn scan(line: &[u8]) -> Option<Quick<'_>> {
    if is_clean(line) { walk(line, &mut Vec::new()) } else { None }
}

/// Whether a line is UTF-8 without control characters: strings have none, and white space between
/// values is mostly blanks.
pub(super) fn is_clean(line: &[u8]) -> bool {
    let any = |is: fn(u8) -> bool| line.iter().fold(0, |any, byte| any | u8::from(is(*byte))) != 0;
    // most lines are ASCII: one look
    if !any(|byte| byte.wrapping_sub(b' ') > 0x5f) {
        return true;
    }
    !any(|byte| byte < b' ') && str::from_utf8(line).is_ok()
}

/// A value that another line may have otherwise: its field, and where it stands, without quotes.
pub(super) type Varying = (Varies, Range<usize>);

/// What kind of value that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Varies {
    /// Text of the field with this number.
    Text(u16),
    /// Digits of the time.
    Number,
}

/// Reads a [clean](is_clean) line from field to field, and notes its values in `varying`.
pub(super) fn walk<'a>(line: &'a [u8], varying: &mut Vec<Varying>) -> Option<Quick<'a>> {
    varying.clear();
    let mut cursor = Cursor { bytes: line, at: 0 };
    cursor.expect(b'{')?;
    let mut quick = Quick::default();
    let mut seen: u16 = 0;
    loop {
        let key = cursor.string()?;
        cursor.expect(b':')?;
        let field = field(key.bytes)?;
        if seen & (1 << field) != 0 {
            return None;
        }
        seen |= 1 << field;
        value(&mut cursor, field, &mut quick, varying)?;
        match cursor.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    cursor.blanks();
    (cursor.at == line.len() && seen & (1 << MESSAGE) != 0).then_some(quick)
}

pub(super) const MESSAGE: u16 = 0;
pub(super) const SERVICE: u16 = 1;
pub(super) const LEVEL: u16 = 2;
pub(super) const TIMESTAMP: u16 = 3;
pub(super) const EVENT_ID: u16 = 4;
const TAGS: u16 = 5;

/// The number of a field; `None` for a client's own fingerprint and what is no field.
fn field(name: &[u8]) -> Option<u16> {
    Some(match name {
        b"message" => MESSAGE,
        b"service" => SERVICE,
        b"level" => LEVEL,
        b"timestamp" => TIMESTAMP,
        b"eventId" => EVENT_ID,
        b"tags" => TAGS,
        b"stackTrace" => 6,
        b"type" => 7,
        b"environment" => 8,
        b"release" => 9,
        _ => return None,
    })
}

fn value<'a>(
    cursor: &mut Cursor<'a>,
    field: u16,
    quick: &mut Quick<'a>,
    varying: &mut Vec<Varying>,
) -> Option<()> {
    cursor.blanks();
    match (cursor.bytes.get(cursor.at)?, field) {
        (b'"', TAGS) => None,
        (b'"', _) => {
            cursor.at += 1;
            varied(cursor, Varies::Text(field), quick, varying)?;
            cursor.exactly(b"\"")
        }
        (b'n', field) if field != MESSAGE => cursor.exactly(b"null"),
        (b'{', TAGS) => tags(cursor, quick, varying),
        (b'0'..=b'9', TIMESTAMP) => varied(cursor, Varies::Number, quick, varying),
        _ => None,
    }
}

fn varied<'a>(
    cursor: &mut Cursor<'a>,
    varies: Varies,
    quick: &mut Quick<'a>,
    varying: &mut Vec<Varying>,
) -> Option<()> {
    let start = cursor.at;
    take(cursor, varies, quick)?;
    varying.push((varies, start..cursor.at));
    Some(())
}

/// Reads a value of this kind, without quotes.
pub(super) fn take<'a>(
    cursor: &mut Cursor<'a>,
    varies: Varies,
    quick: &mut Quick<'a>,
) -> Option<()> {
    let Varies::Text(field) = varies else {
        quick.timestamp = Some(number(cursor)?);
        return Some(());
    };
    let value = cursor.rest_of_string()?;
    match field {
        MESSAGE => quick.message = value.bytes,
        SERVICE => quick.service = Some(value.bytes),
        LEVEL => quick.level = Some(value.plain()?),
        TIMESTAMP => quick.timestamp = Some(usual_time::parse(value.plain()?)?),
        EVENT_ID => drop(EventId::parse(value.plain()?)?),
        _ => {}
    }
    Some(())
}

/// A whole number that is exact as a floating one.
fn number(cursor: &mut Cursor<'_>) -> Option<Timestamp> {
    let rest = cursor.bytes.get(cursor.at..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let has_more = matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
    if has_more || !(1..=15).contains(&digits) || (digits > 1 && rest[0] == b'0') {
        return None;
    }
    cursor.at += digits;
    let number =
        rest[..digits].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    #[expect(clippy::cast_precision_loss, reason = "fifteen digits fit")]
    Timestamp::from_number(number as f64)
}

fn tags<'a>(
    cursor: &mut Cursor<'a>,
    quick: &mut Quick<'a>,
    varying: &mut Vec<Varying>,
) -> Option<()> {
    cursor.expect(b'{')?;
    cursor.blanks();
    if cursor.bytes.get(cursor.at) == Some(&b'}') {
        cursor.at += 1;
        return Some(());
    }
    let mut keys: [&[u8]; TAGS_MAX] = [&[]; TAGS_MAX];
    for count in 0..TAGS_MAX {
        let key = cursor.string()?;
        if key.has_escapes || keys[..count].contains(&key.bytes) {
            return None;
        }
        keys[count] = key.bytes;
        cursor.expect(b':')?;
        cursor.expect(b'"')?;
        varied(cursor, Varies::Text(TAGS), quick, varying)?;
        cursor.exactly(b"\"")?;
        match cursor.next()? {
            b',' => {}
            b'}' => return Some(()),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{body, event::Event, recorded::layout::Layouts};

    const NOW: Timestamp = Timestamp::from_millis(4_000_000_000_000);

    fn unescaped(raw: &[u8]) -> String {
        let quoted = format!("\"{}\"", str::from_utf8(raw).unwrap());
        serde_json::from_str(&quoted).unwrap()
    }

    /// What is read quickly is what is read slowly.
    fn assert_same(line: &[u8]) -> bool {
        let Some(quick) = scan(line) else { return false };
        assert_right(&quick, line);
        true
    }

    /// Whatever lines were read before, the same is read of `line`, if anything is.
    fn assert_same_after(before: &[&[u8]], line: &[u8]) {
        let mut layouts = Layouts::default();
        for line in before {
            layouts.scan(line);
        }
        let quick = layouts.scan(line);
        assert_eq!(quick, scan(line), "{}", String::from_utf8_lossy(line));
    }

    fn assert_right(quick: &Quick<'_>, line: &[u8]) {
        let missing = Timestamp::from_millis(77);
        let shown = String::from_utf8_lossy(line);
        let event = body::read_recorded(line, NOW, Some(missing));
        let event = event.unwrap_or_else(|fault| panic!("{shown}: {fault}"));
        let Event { message, service, level, timestamp, fingerprint, clamped, .. } = event;
        assert_eq!(unescaped(quick.message), message, "{shown}");
        assert_eq!(quick.service.map(unescaped), service, "{shown}");
        assert_eq!(quick.level.map(str::to_owned), level, "{shown}");
        let at = quick.timestamp.unwrap_or(missing);
        assert_eq!(if clamped { NOW } else { at }, timestamp, "{shown}");
        assert!(fingerprint.is_empty(), "{shown}");
    }

    const USUAL: &str = r#"{"message":"a \"b\" \n é","stackTrace":"x\n\tat y","type":"T","level":"error","service":"shop","environment":"prod","release":null,"timestamp":"2024-02-28T23:59:59.123Z","eventId":"01234567-89ab-cdef-0123-456789abcdef","tags":{"k":"v","l":""}}"#;

    #[test]
    fn usual_events_are_read() {
        for line in [
            USUAL,
            r#"{"message":""}"#,
            r#" { "message" : "m" , "timestamp" : 1700000000 } "#,
            r#"{"message":"m","timestamp":1700000000123,"tags":{}}"#,
            r#"{"message":"m","timestamp":"2024-05-17T09:00:00Z"}"#,
            r#"{"message":"m","timestamp":"2024-05-31T09:00:00.5+02:00"}"#,
            r#"{"tags":null,"service":"","message":"0123456789012345\\"}"#,
        ] {
            assert!(assert_same(line.as_bytes()), "{line}");
            assert_same_after(&[line.as_bytes()], line.as_bytes());
            assert_same_after(&[USUAL.as_bytes()], line.as_bytes());
        }
    }

    #[test]
    fn lines_of_one_layout_need_not_be_alike() {
        for line in [
            USUAL.replace("shop", "").replace("error", "wa\u{e9}rn").replace("59.123Z", "59Z"),
            USUAL.replace("\\n", "\\u00e9"),
            USUAL.replace("shop", "sh\\op"),
            USUAL.replace("2024-02", "2024-99"),
            USUAL.replace("89ab", "xxxx"),
            USUAL.replace("\"l\"", "\"k\""),
            USUAL.replace("null", "\"7\""),
            USUAL.replace("}}", "} }"),
            USUAL.replace("}}", "}}}"),
            USUAL.replace("}}", "}"),
            USUAL.replace("}}", ""),
            USUAL.replace("prod", "p\u{1}rod"),
        ] {
            assert_same_after(&[USUAL.as_bytes()], line.as_bytes());
        }
        let numbered = br#"{"message":"m","timestamp":1700000000}"#;
        for time in ["17", "0", "017", "", "1.5", "1e3", "-1", "1234567890123456", "null", "\"\""] {
            let line = format!("{{\"message\":\"m\",\"timestamp\":{time}}}");
            assert_same_after(&[numbered], line.as_bytes());
        }
    }

    #[test]
    fn whatever_is_unusual_takes_a_closer_look() {
        for line in [
            r#"{"message":"m","fingerprint":["a"]}"#,
            r#"{"message":"\u00e9"}"#,
            r#"{"message":"m","timestamp":1700000000.5}"#,
            r#"{"message":"m","timestamp":"soon"}"#,
            r#"{"message":"m","message":"m"}"#,
            r#"{"message":"m","other":1}"#,
            r#"{"message":"m","level":7}"#,
            r#"{"message":null}"#,
            r#"{"message":"m"}x"#,
            r#"{"message":"m",}"#,
            r#"{"message":"m"#,
            r#"{"message":"m","tags":{"a":"1","a":"2"}}"#,
            r#"{"message":"m","eventId":"x"}"#,
            "{\"message\":\"\t\"}",
            "{}",
            "",
        ] {
            assert_eq!(scan(line.as_bytes()), None, "{line}");
        }
        assert_eq!(scan(b"{\"message\":\"\xff\"}"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn broken_events_are_not_taken_for_whole_ones(
            changes in prop::collection::vec((0..USUAL.len(), prop::sample::select(
                b"\"\\{}[]:,0129.eEun/ \x00\x1f\xc3\xff".to_vec())), 1..4)
        ) {
            let mut line = USUAL.as_bytes().to_vec();
            for (at, byte) in changes {
                line[at] = byte;
            }
            assert_same(&line);
            assert_same_after(&[USUAL.as_bytes()], &line);
            assert_same_after(&[&line], USUAL.as_bytes());
        }

        #[test]
        fn texts_of_all_kinds_are_read_alike(
            message in any::<String>(), service in any::<Option<String>>(),
            level in "[a-zA-Z]{0,6}", seconds in 0..300_000_000_000_u64
        ) {
            let line = serde_json::json!({
                "message": message, "service": service, "level": level, "timestamp": seconds,
            });
            let line = line.to_string();
            assert_same(line.as_bytes());
            let usual = r#"{"level":"error","message":"m","service":"shop","timestamp":7}"#;
            assert_same_after(&[usual.as_bytes()], line.as_bytes());
        }
    }
}
