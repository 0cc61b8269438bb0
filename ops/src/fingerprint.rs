//! What makes two events "the same error".
//!
//! The canonical form of an event is a byte string; its SHA-256 is the fingerprint. Rule 1,
//! "exact", is the message itself, so that the fingerprint's hex equals `sha256sum` of the message.
//! A service, when given, goes in front, so that two services never share a row; a client's own
//! `fingerprint` list takes the message's place. Environment and release are attributes, not
//! identity. Hashing comes before any cutting of long text.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use timely::{
    dataflow::{StreamVec, channels::pact::Pipeline, operators::Operator},
    progress::Timestamp as Time,
};

use crate::{event::Event, id::Part, reported::Reported};

/// Version of the rule that made a fingerprint, stored beside an error's details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleVersion(pub u16);

/// The rule in force: 1, "exact".
pub const RULE: RuleVersion = RuleVersion(1);

/// SHA-256 of an event's canonical form; equal fingerprints are the same error.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Fingerprint of `event` under [`RULE`].
    pub fn of(event: &Event) -> Self {
        let mut hash = Sha256::new();
        canonical(event, |bytes| hash.update(bytes));
        Self(hash.finalize().into())
    }

    /// Fingerprint of an event of `service`, nothing if it has none, whose client gave no list.
    pub(crate) fn of_words(service: &[u8], message: &[u8]) -> Self {
        let mut hash = Sha256::new();
        if !service.is_empty() {
            hash.update(service);
            hash.update([0]);
        }
        hash.update(message);
        Self(hash.finalize().into())
    }

    /// The part of the fingerprint space that this lies in.
    pub fn part(&self) -> Part {
        Part::of_first_byte(self.0[0])
    }
}

/// Names each event by its fingerprint.
pub trait WithFingerprint<'scope, T: Time, W> {
    /// Puts each event's [`Fingerprint`] in front of it, at the time the event came with.
    ///
    /// ```
    /// use errsift_ops::{event::Event, fingerprint::WithFingerprint};
    /// use timely::dataflow::operators::{Capture, ToStream, capture::Extract, vec::Map};
    ///
    /// let named = timely::example(|scope| {
    ///     let event = Event { message: "boom".to_owned(), ..Event::default() };
    ///     [(event.into(), ())]
    ///         .to_stream(scope)
    ///         .fingerprint()
    ///         .map(|(fingerprint, event, ())| (fingerprint.to_string(), event.received.millis()))
    ///         .capture()
    /// });
    /// let sha256_of_boom = "81f52337ebb4cb1669bb802c708807dde0519d15cb102a6313d26ad5cd821713";
    /// assert_eq!(named.extract(), [(0, vec![(sha256_of_boom.to_owned(), 0)])]);
    /// ```
    fn fingerprint(self) -> StreamVec<'scope, T, (Fingerprint, Reported, W)>;
}

impl<'scope, T: Time, W: 'static> WithFingerprint<'scope, T, W>
    for StreamVec<'scope, T, (Reported, W)>
{
    fn fingerprint(self) -> StreamVec<'scope, T, (Fingerprint, Reported, W)> {
        self.unary(Pipeline, "Fingerprint", |_capability, _info| {
            |input, output| {
                input.for_each_stamp(|time, events| {
                    let named = events
                        .flat_map(|events| events.drain(..))
                        .map(|(event, waiter)| (event.fingerprint(), event, waiter));
                    output.session(&time).give_iterator(named);
                });
            }
        })
    }
}

/// Writes the canonical form of `event` under rule 1, piece by piece.
///
/// `[service 0x00] message`, or `[service 0x00] (length string)*` when the client gave a
/// fingerprint list, each length being the string's bytes as a little-endian `u64`.
/// An empty service or list counts as absent.
pub fn canonical(event: &Event, mut write: impl FnMut(&[u8])) {
    if let Some(service) = event.service.as_deref().filter(|service| !service.is_empty()) {
        write(service.as_bytes());
        write(&[0]);
    }
    if event.fingerprint.is_empty() {
        write(event.message.as_bytes());
        return;
    }
    for piece in &event.fingerprint {
        write(&(piece.len() as u64).to_le_bytes());
        write(piece.as_bytes());
    }
}

/// Sixty-four lower-case hex digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fingerprint: expected 64 hex digits")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(NotAFingerprint);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16).ok_or(NotAFingerprint)?;
            let low = char::from(pair[1]).to_digit(16).ok_or(NotAFingerprint)?;
            *byte = u8::try_from(high * 16 + low).map_err(|_| NotAFingerprint)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> Event {
        Event { message: message.to_owned(), ..Event::default() }
    }

    #[test]
    fn a_bare_message_hashes_as_sha256sum_does() {
        // printf 'connection refused' | sha256sum
        assert_eq!(
            Fingerprint::of(&event("connection refused")).to_string(),
            "25a84382140b11ac6f9e02f767c8af75143f2739b8fcb7130e5c77206b2bd53e"
        );
    }

    #[test]
    fn services_and_own_fingerprints_separate() {
        let bare = event("m");
        let in_a = Event { service: Some("a".into()), ..event("m") };
        let in_b = Event { service: Some("b".into()), ..event("m") };
        let empty = Event { service: Some(String::new()), ..event("m") };
        let own = Event { fingerprint: vec!["m".into()], ..event("anything") };
        let joined = Event { fingerprint: vec!["ab".into()], ..event("m") };
        let split = Event { fingerprint: vec!["a".into(), "b".into()], ..event("m") };
        let all = [&bare, &in_a, &in_b, &own, &joined, &split].map(Fingerprint::of);
        for (i, left) in all.iter().enumerate() {
            for right in &all[i + 1..] {
                assert_ne!(left, right);
            }
        }
        assert_eq!(Fingerprint::of(&bare), Fingerprint::of(&empty));
        assert_eq!(
            Fingerprint::of(&own),
            Fingerprint::of(&Event { fingerprint: vec!["m".into()], ..event("other") })
        );
    }

    #[test]
    fn environment_and_release_are_not_identity() {
        let other =
            Event { environment: Some("staging".into()), release: Some("2".into()), ..event("m") };
        assert_eq!(Fingerprint::of(&event("m")), Fingerprint::of(&other));
    }

    #[test]
    fn hex_goes_there_and_back() {
        let fingerprint = Fingerprint::of(&event("x"));
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!(fingerprint.to_string().to_uppercase().parse(), Ok(fingerprint));
        assert_eq!("zz".parse::<Fingerprint>(), Err(NotAFingerprint));
        assert_eq!("g".repeat(64).parse::<Fingerprint>(), Err(NotAFingerprint));
    }
}
