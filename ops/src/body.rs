//! One event out of a JSON body.
//!
//! Unknown and repeated fields, wrong types, lone surrogates and invalid UTF-8 are faults that
//! name the field; nothing is guessed and nothing half-read is kept.

use std::{borrow::Cow, cell::Cell, fmt};

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, de::Read, error::Category};

use crate::{
    event::{Event, EventId},
    field::{FIELDS, Fields, MESSAGE, Name, shown},
    object_only::ObjectOnly,
    text::{Text, expected_a_string},
    timestamp::Timestamp,
};

/// How far ahead of the server's clock an event's time may lie before it is brought back to it.
pub const FUTURE_MS_MAX: i64 = 60_000;

/// Strings in a client's own `fingerprint`.
pub const FINGERPRINT_PIECES_MAX: usize = 64;

/// What is wrong with a body, and in which field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// The field, unless the body as a whole is at fault.
    pub field: Option<String>,
    /// What is wrong, for a person; never the value.
    pub reason: String,
    /// Whether the body is an event, but not one that its sender may send.
    pub forbidden: bool,
}

/// `field: reason`, or the reason alone.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.reason)
    }
}

/// Reads one event from `body`, which arrived at `received`.
///
/// An event without a time gets `received`; one more than [`FUTURE_MS_MAX`] ahead of it is brought
/// back to it and marked `clamped`.
pub fn read(body: &[u8], received: Timestamp) -> Result<Event, Fault> {
    let untimed = untimed(body)?;
    let at = untimed.timestamp.unwrap_or(received);
    Ok(untimed.at(at, received))
}

/// Reads one event that was recorded earlier, and is looked at now, at `received`: as [`read`], but
/// an event without a time gets `missing`, and is a fault if there is none.
pub fn read_recorded(
    body: &[u8],
    received: Timestamp,
    missing: Option<Timestamp>,
) -> Result<Event, Fault> {
    let untimed = untimed(body)?;
    let at = untimed.timestamp.or(missing).ok_or_else(|| Fault {
        field: Some("timestamp".to_owned()),
        reason: "required in a recorded log".to_owned(),
        forbidden: false,
    })?;
    Ok(untimed.at(at, received))
}

/// The time `at` of an event that is looked at now, at `received`, brought back to that if it is too
/// far ahead; and whether it was.
pub fn not_ahead(at: Timestamp, received: Timestamp) -> (Timestamp, bool) {
    let clamped = at > received.plus_millis(FUTURE_MS_MAX);
    (if clamped { received } else { at }, clamped)
}

fn untimed(body: &[u8]) -> Result<Untimed, Fault> {
    // text is known to be UTF-8 from one look at all of it, not from one at each string
    match std::str::from_utf8(body) {
        Ok(text) => read_json(serde_json::Deserializer::from_str(text)),
        // where it is not is said as of any other fault
        Err(_) => read_json(serde_json::Deserializer::from_slice(body)),
    }
}

fn read_json<'de, R: Read<'de>>(mut json: serde_json::Deserializer<R>) -> Result<Untimed, Fault> {
    let field = Cell::new(None);
    let fault = |error| {
        let field = field.take().map(Cow::into_owned);
        Fault { field, reason: reason(&error), forbidden: false }
    };
    let untimed =
        json.deserialize_any(ObjectOnly(EventVisitor { field: &field })).map_err(fault)?;
    json.end().map_err(fault)?;
    Ok(untimed)
}

/// When an event happened that says `timestamp` and arrived at `received`, and whether its time
/// was brought back.
pub(crate) fn timed(timestamp: Option<Timestamp>, received: Timestamp) -> (Timestamp, bool) {
    not_ahead(timestamp.unwrap_or(received), received)
}

/// An event whose time may still be missing.
#[derive(Default)]
struct Untimed {
    event: Event,
    timestamp: Option<Timestamp>,
}

impl Untimed {
    /// The event, which happened at `at` or, if that is too far ahead, just now.
    fn at(self, at: Timestamp, received: Timestamp) -> Event {
        let (timestamp, clamped) = not_ahead(at, received);
        Event { timestamp, received, clamped, ..self.event }
    }
}

/// Reads the object; `field` holds the name of the field being read whenever an error leaves.
struct EventVisitor<'a> {
    field: &'a Cell<Option<Cow<'static, str>>>,
}

impl<'de> Visitor<'de> for EventVisitor<'_> {
    type Value = Untimed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Untimed, A::Error> {
        let mut event = Untimed::default();
        let mut seen = Fields::default();
        let mut unknown: Vec<String> = Vec::new();
        while let Some(name) = map.next_key()? {
            let name = match name {
                Name::Known(name) => name,
                Name::Unknown(shown) => {
                    map.next_value::<IgnoredAny>()?;
                    if unknown.len() < UNKNOWN_NAMED_MAX {
                        unknown.push(shown);
                    }
                    continue;
                }
            };
            self.field.set(Some(Cow::Borrowed(FIELDS[name])));
            if !seen.add(name) {
                return Err(A::Error::custom("given more than once"));
            }
            take(&mut event, FIELDS[name], &mut map)?;
            self.field.set(None);
        }
        if !unknown.is_empty() {
            self.field.set(Some(Cow::Owned(unknown.join(", "))));
            return Err(A::Error::custom("unknown field"));
        }
        if !seen.has(MESSAGE) {
            self.field.set(Some(Cow::Borrowed(FIELDS[MESSAGE])));
            return Err(A::Error::custom("required"));
        }
        Ok(event)
    }
}

/// Unknown fields that one fault names.
const UNKNOWN_NAMED_MAX: usize = 8;

/// Puts the next value, that of the field `name`, into `event`; `null` counts as absent, but for the
/// message.
fn take<'de, A: MapAccess<'de>>(
    event: &mut Untimed,
    name: &str,
    map: &mut A,
) -> Result<(), A::Error> {
    let Untimed { event, timestamp: at } = event;
    let text = match name {
        "message" => {
            let text = map.next_value::<Text>()?.0;
            event.message = text.ok_or_else(|| A::Error::custom(expected_a_string("null")))?;
            return Ok(());
        }
        "stackTrace" => &mut event.stack_trace,
        "type" => &mut event.kind,
        "level" => &mut event.level,
        "service" => &mut event.service,
        "environment" => &mut event.environment,
        "release" => &mut event.release,
        "tags" => {
            event.tags = map.next_value::<Tags>()?.0;
            return Ok(());
        }
        "eventId" => {
            if let Some(text) = map.next_value::<Text>()?.0 {
                let id = EventId::parse(&text);
                let expected = || A::Error::custom("expected a UUID or 32 hex digits");
                event.event_id = Some(id.ok_or_else(expected)?);
            }
            return Ok(());
        }
        name => {
            let value: Value = map.next_value()?;
            if !value.is_null() && name == "timestamp" {
                *at = Some(timestamp(&value).map_err(A::Error::custom)?);
            } else if !value.is_null() {
                event.fingerprint = pieces(value).map_err(A::Error::custom)?;
            }
            return Ok(());
        }
    };
    *text = map.next_value::<Text>()?.0;
    Ok(())
}

fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(expected_a_string(kind(&other))),
    }
}

fn timestamp(value: &Value) -> Result<Timestamp, String> {
    let read = match value {
        Value::String(text) => Timestamp::parse_rfc3339(text),
        Value::Number(number) => number.as_f64().and_then(Timestamp::from_number),
        other => {
            return Err(format!("expected RFC 3339 or epoch time, got {}", kind(other)));
        }
    };
    read.ok_or_else(|| {
        "expected RFC 3339 with an offset, or seconds or milliseconds since 1970, up to the year 9999"
            .to_owned()
    })
}

fn pieces(value: Value) -> Result<Vec<String>, String> {
    let Value::Array(list) = value else {
        return Err(format!("expected a list of strings, got {}", kind(&value)));
    };
    if list.len() > FINGERPRINT_PIECES_MAX {
        return Err(format!(
            "expected at most {FINGERPRINT_PIECES_MAX} strings, got {}",
            list.len()
        ));
    }
    list.into_iter().map(text).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The `tags` object: text by text, each key once.
struct Tags(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectOnly(TagsVisitor))
    }
}

struct TagsVisitor;

impl<'de> Visitor<'de> for TagsVisitor {
    type Value = Tags;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_unit<E>(self) -> Result<Tags, E> {
        Ok(Tags(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags, A::Error> {
        let mut tags: Vec<(String, String)> = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if tags.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format!("{} given more than once", shown(&key))));
            }
            let value = text(value)
                .map_err(|reason| A::Error::custom(format!("{}: {reason}", shown(&key))))?;
            tags.push((key, value));
        }
        Ok(Tags(tags))
    }
}

/// The parser's words for a person, short, and without its guess at a position for faults that
/// already name the field.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = match error.classify() {
        Category::Data => text.strip_suffix(&position).unwrap_or(&text).to_owned(),
        Category::Eof => format!("the JSON ends early{position}"),
        Category::Syntax | Category::Io => format!("not valid JSON: {text}"),
    };
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests;
