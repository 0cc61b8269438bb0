//! Events that were met before, told without building them.
//!
//! Most events of a log repeat others. To count one more of them takes its service, message, level
//! and time; all else need only be right. What is read here is certainly an event, and the same one
//! that [`body`](crate::body) reads; whatever is unusual is left to that.

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

/// Reads `line`; `None` if it may be no event, or takes a closer look.
pub fn scan(line: &[u8]) -> Option<Quick<'_>> {
    let text = str::from_utf8(line).ok()?;
    // strings have no control characters, and white space between values is mostly blanks
    if line.iter().fold(0, |any, byte| any | u8::from(*byte < b' ')) != 0 {
        return None;
    }
    let mut cursor = Cursor { text, at: 0 };
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
        value(&mut cursor, field, &mut quick)?;
        match cursor.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    cursor.blanks();
    (cursor.at == line.len() && seen & (1 << MESSAGE) != 0).then_some(quick)
}

const MESSAGE: u16 = 0;
const SERVICE: u16 = 1;
const LEVEL: u16 = 2;
const TIMESTAMP: u16 = 3;
const EVENT_ID: u16 = 4;
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

fn value<'a>(cursor: &mut Cursor<'a>, field: u16, quick: &mut Quick<'a>) -> Option<()> {
    cursor.blanks();
    match (cursor.bytes().get(cursor.at)?, field) {
        (b'"', TAGS) => return None,
        (b'"', _) => {}
        (b'n', field) if field != MESSAGE => return cursor.null(),
        (b'{', TAGS) => return tags(cursor),
        (b'0'..=b'9', TIMESTAMP) => {
            quick.timestamp = Some(number(cursor)?);
            return Some(());
        }
        _ => return None,
    }
    let value = cursor.string()?;
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
    let digits = cursor.bytes()[cursor.at..].iter().take_while(|byte| byte.is_ascii_digit());
    let end = cursor.at + digits.count();
    let text = &cursor.text[cursor.at..end];
    let has_more = matches!(cursor.bytes().get(end), Some(b'.' | b'e' | b'E'));
    if has_more || text.len() > 15 || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    cursor.at = end;
    let number: u64 = text.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "fifteen digits fit")]
    Timestamp::from_number(number as f64)
}

fn tags(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.expect(b'{')?;
    cursor.blanks();
    if cursor.bytes().get(cursor.at) == Some(&b'}') {
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
        cursor.string()?;
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
    use crate::{body, event::Event};

    const NOW: Timestamp = Timestamp::from_millis(4_000_000_000_000);

    fn unescaped(raw: &[u8]) -> String {
        let quoted = format!("\"{}\"", str::from_utf8(raw).unwrap());
        serde_json::from_str(&quoted).unwrap()
    }

    /// What is read quickly is what is read slowly.
    fn assert_same(line: &[u8]) -> bool {
        let Some(quick) = scan(line) else { return false };
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
        true
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
        }

        #[test]
        fn texts_of_all_kinds_are_read_alike(
            message in any::<String>(), service in any::<Option<String>>(),
            level in "[a-zA-Z]{0,6}", seconds in 0..300_000_000_000_u64
        ) {
            let line = serde_json::json!({
                "message": message, "service": service, "level": level, "timestamp": seconds,
            });
            assert_same(line.to_string().as_bytes());
        }
    }
}
