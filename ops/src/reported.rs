//! An event on its way to a flight, read no further than it must be.
//!
//! Most events repeat others, and what is kept of a repeated one is a number. So a body of the plain
//! kind that nearly all are is only [scanned](crate::scan): its words stay where they are until they
//! turn out to be wanted.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{
    body::{self, Fault},
    decode,
    event::{Event, EventId, Payload},
    fingerprint::Fingerprint,
    scan::{self, Text},
    timestamp::Timestamp,
};

/// One reported event: when, and the words that say what.
#[derive(Clone, Debug)]
pub struct Reported {
    /// When it happened: the client's time, or when the server received it.
    pub timestamp: Timestamp,
    /// When the server received it.
    pub received: Timestamp,
    /// Whether the client's time lay in the future and was brought back.
    pub clamped: bool,
    /// The client's identifier of this very event, [within](EventId::within) its service.
    pub event_id: Option<EventId>,
    words: Words,
}

#[derive(Clone, Debug)]
enum Words {
    /// Read, because something about the body takes a closer look.
    Read(Box<Event>),
    /// Still in the body, which is an event.
    Body { body: Bytes, message: Place, service: Option<Place>, own: Option<Arc<str>> },
}

/// Where in a body a string stands between its quotes.
#[derive(Clone, Debug)]
struct Place {
    at: Range<u32>,
    escaped: bool,
}

impl Place {
    /// `None` in a body far beyond any limit.
    fn of(text: Text<'_>) -> Option<Self> {
        let (start, end) = (text.start, text.start + text.raw.len());
        let at = u32::try_from(start).ok()?..u32::try_from(end).ok()?;
        Some(Self { at, escaped: text.escaped })
    }

    fn text<'a>(&self, body: &'a [u8]) -> Text<'a> {
        let (start, end) = (self.at.start as usize, self.at.end as usize);
        Text { raw: &body[start..end], start, escaped: self.escaped }
    }
}

impl Reported {
    /// Reads the event that `body` is, which arrived at `received` from who may report for the
    /// service `own` only, if that is said.
    ///
    /// # Errors
    /// What [`body::read`] finds, and a service that is not the sender's.
    pub fn read(body: Bytes, received: Timestamp, own: Option<Arc<str>>) -> Result<Self, Fault> {
        if let Some(plain) = Plain::of(&body, received, own.as_deref()) {
            let Plain { timestamp, clamped, event_id, message, service } = plain;
            let words = Words::Body { body, message, service, own };
            return Ok(Self { timestamp, received, clamped, event_id, words });
        }
        let event = decode::of(body::read(&body, received)?, own.as_deref())?;
        let event_id = event.event_id.map(|id| id.within(event.service.as_deref()));
        Ok(Self::from(Event { event_id, ..event }))
    }

    /// Its fingerprint, as [`Fingerprint::of`].
    pub fn fingerprint(&self) -> Fingerprint {
        match &self.words {
            Words::Read(event) => Fingerprint::of(event),
            Words::Body { body, message, service, own } => {
                let service = service.as_ref().map(|service| service.text(body));
                scan::fingerprint(message.text(body), service, own.as_deref())
            }
        }
    }

    /// What is stored of it, if its words are wanted.
    ///
    /// `None` is a mistake of this module: what was taken for an event is none.
    pub fn into_payload(self) -> Option<Payload> {
        let event = match self.words {
            Words::Read(event) => *event,
            Words::Body { body, own, .. } => {
                let event = body::read(&body, self.received).ok()?;
                decode::of(event, own.as_deref()).ok()?
            }
        };
        Some(event.into())
    }
}

/// What was found in a body of the plain kind.
struct Plain {
    timestamp: Timestamp,
    clamped: bool,
    event_id: Option<EventId>,
    message: Place,
    service: Option<Place>,
}

impl Plain {
    fn of(body: &[u8], received: Timestamp, own: Option<&str>) -> Option<Self> {
        let scanned = scan::event(str::from_utf8(body).ok()?)?;
        if !scanned.is_its_senders(own) {
            return None;
        }
        let named = scanned.named_service(own);
        let event_id = scan::event_id(scanned.event_id, named, own);
        let (timestamp, clamped) = body::timed(scanned.timestamp, received);
        let message = Place::of(scanned.message)?;
        let service = match named {
            Some(named) => Some(Place::of(named)?),
            None => None,
        };
        Some(Self { timestamp, clamped, event_id, message, service })
    }
}

/// An event that is read already; its id is taken as it is.
impl From<Event> for Reported {
    fn from(event: Event) -> Self {
        let Event { timestamp, received, clamped, event_id, .. } = event;
        Self { timestamp, received, clamped, event_id, words: Words::Read(Box::new(event)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn is_plain(event: &Reported) -> bool {
        matches!(event.words, Words::Body { .. })
    }

    /// What is scanned is what is read.
    fn assert_same(body: &str, own: Option<&str>) {
        let own: Option<Arc<str>> = own.map(Into::into);
        let body = Bytes::from(body.to_owned());
        let scanned = Reported::read(body.clone(), NOW, own.clone()).unwrap();
        assert!(is_plain(&scanned), "{body:?}");
        let mut event = decode::of(body::read(&body, NOW).unwrap(), own.as_deref()).unwrap();
        event.event_id = event.event_id.map(|id| id.within(event.service.as_deref()));
        let read = Reported::from(event);
        let said = |event: &Reported| {
            let Reported { timestamp, received, clamped, event_id, .. } = *event;
            (timestamp, received, clamped, event_id, event.fingerprint())
        };
        assert_eq!(said(&scanned), said(&read), "{body:?}");
        let words = scanned.into_payload();
        assert!(words.is_some());
        assert_eq!(words, read.into_payload(), "{body:?}");
    }

    #[test]
    fn scanned_events_are_those_that_are_read() {
        let id = r#""eventId":"01234567-89ab-cdef-0123-456789abcdef""#;
        for body in [
            r#"{"message":""}"#.to_owned(),
            r#"{"message":"a\n\u00e9\"","stackTrace":"x\n\ty","type":"T","tags":{"k":"v"}}"#.into(),
            r#" { "service" : "" , "message" : "m", "timestamp": 1700000000 } "#.into(),
            r#"{"message":"m","timestamp":1900000000000,"level":"fatal"}"#.into(),
            format!(r#"{{{id},"message":"m"}}"#),
        ] {
            assert_same(&body, None);
        }
        for named in ["shop", r"sh\u006fp", "é"] {
            assert_same(&format!(r#"{{"message":"m","service":"{named}",{id}}}"#), None);
        }
        for body in
            [format!(r#"{{"message":"m",{id}}}"#), r#"{"message":"m","service":"a"}"#.into()]
        {
            assert_same(&body, Some("a"));
        }
    }

    #[test]
    fn what_is_not_plain_is_read() {
        let read = |body: &'static str, own: Option<&str>| {
            let own = own.map(Into::into);
            let body = Bytes::from_static(body.as_bytes());
            Reported::read(body, NOW, own).map(|event| {
                assert!(!is_plain(&event), "{event:?}");
                event.into_payload().unwrap().service
            })
        };
        assert_eq!(read(r#"{"message":"m","fingerprint":["a"]}"#, None), Ok(None));
        let own = Ok(Some("a".to_owned()));
        assert_eq!(read(r#"{"message":"m","service":""}"#, Some("a")), own);
        assert_eq!(read(r#"{"message":"m","service":"\u0061"}"#, Some("a")), own);
        assert!(read(r#"{"message":"m","service":"b"}"#, Some("a")).unwrap_err().forbidden);
        assert_eq!(read(r#"{"mesage":"m"}"#, None).unwrap_err().field.as_deref(), Some("mesage"));
    }
}
