//! The few fields of an event that say which error it is of, and when, found without a copy.
//!
//! What is found is what [`body::read`](crate::body::read) reads; a test compares them. `None`
//! says nothing about the text but that it is not of the plain kind that nearly all are: `body::read`
//! then decides.

use crate::{
    event::{Event, EventId},
    fingerprint::Fingerprint,
    timestamp::Timestamp,
};

/// A string as it stands between its quotes, its escapes valid and not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a [u8],
    /// Where it begins in the event's text.
    pub(crate) start: usize,
    pub(crate) escaped: bool,
}

/// What was found of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned<'a> {
    pub(crate) message: Text<'a>,
    pub(crate) service: Option<Text<'a>>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) event_id: Option<EventId>,
}

impl Text<'_> {
    /// With its escapes resolved.
    pub(crate) fn resolved(self) -> String {
        let quoted = [b"\"", self.raw, b"\""].concat();
        // the scan has seen that it is a string
        serde_json::from_slice(&quoted).unwrap_or_default()
    }
}

impl<'a> Scanned<'a> {
    /// What stands for the service, if the sender may report for `own` only, should that be said:
    /// `None` if that is so or no name is given. An empty name counts as none.
    pub(crate) fn named_service(&self, own: Option<&str>) -> Option<Text<'a>> {
        self.service.filter(|service| own.is_none() && !service.raw.is_empty())
    }

    /// Whether whoever may report for `own` only, if that is said, may report this. If not, it
    /// takes a closer look: the name may be spelled another way.
    pub(crate) fn is_its_senders(&self, own: Option<&str>) -> bool {
        match (own, self.service) {
            (None, _) | (Some(_), None) => true,
            (Some(own), Some(named)) => !named.escaped && named.raw == own.as_bytes(),
        }
    }
}

/// As [`Fingerprint::of`]; `service` stands for the service unless it is `own`.
pub(crate) fn fingerprint(
    message: Text<'_>,
    service: Option<Text<'_>>,
    own: Option<&str>,
) -> Fingerprint {
    if message.escaped || service.is_some_and(|service| service.escaped) {
        let service = own.map(str::to_owned).or_else(|| service.map(Text::resolved));
        let event = Event { message: message.resolved(), service, ..Event::default() };
        return Fingerprint::of(&event);
    }
    let service = own.map(str::as_bytes).or(service.map(|service| service.raw));
    Fingerprint::of_words(service.unwrap_or_default(), message.raw)
}

/// The event's id, if it has one, [within](EventId::within) its service, which is as for
/// [`fingerprint`].
pub(crate) fn event_id(
    id: Option<EventId>,
    service: Option<Text<'_>>,
    own: Option<&str>,
) -> Option<EventId> {
    id.map(|id| match (own, service) {
        (Some(own), _) => id.within(Some(own)),
        (None, Some(name)) => id.within(Some(&name.resolved())),
        (None, None) => id,
    })
}

/// Tags beyond which `body::read` looks for repeated keys.
const TAGS_MAX: usize = 16;

/// Finds the fields of the event that is all of `text`.
pub(crate) fn event(text: &str) -> Option<Scanned<'_>> {
    let mut scan = Scan { text: text.as_bytes(), at: 0 };
    let mut found = Found::default();
    let mut seen = 0_u16;
    scan.space();
    scan.byte(b'{')?;
    loop {
        scan.space();
        let key = scan.string()?;
        scan.space();
        scan.byte(b':')?;
        scan.space();
        let field = scan.field(key, &mut found)?;
        if seen & field != 0 {
            return None;
        }
        seen |= field;
        scan.space();
        match scan.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    scan.space();
    if scan.at < scan.text.len() {
        return None;
    }
    let Found { message, service, timestamp, event_id } = found;
    Some(Scanned { message: message?, service, timestamp, event_id })
}

#[derive(Default)]
struct Found<'a> {
    message: Option<Text<'a>>,
    service: Option<Text<'a>>,
    timestamp: Option<Timestamp>,
    event_id: Option<EventId>,
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn byte(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn literal(&mut self, expected: &[u8]) -> Option<()> {
        let found = self.text.get(self.at..self.at + expected.len())?;
        self.at += expected.len();
        (found == expected).then_some(())
    }

    /// Reads the value of `key`; a bit that is the field's own.
    fn field(&mut self, key: Text, found: &mut Found<'a>) -> Option<u16> {
        let is_null = self.peek()? == b'n';
        if is_null {
            self.literal(b"null")?;
        }
        // an escaped key is spelled like no field
        Some(match key.raw {
            b"message" => {
                found.message = Some(self.string()?);
                1
            }
            b"service" => {
                found.service = if is_null { None } else { Some(self.string()?) };
                1 << 1
            }
            b"timestamp" => {
                found.timestamp = if is_null { None } else { Some(self.timestamp()?) };
                1 << 2
            }
            b"eventId" => {
                found.event_id = if is_null { None } else { Some(self.event_id()?) };
                1 << 3
            }
            b"stackTrace" => self.any_string(is_null, 1 << 4)?,
            b"type" => self.any_string(is_null, 1 << 5)?,
            b"level" => self.any_string(is_null, 1 << 6)?,
            b"environment" => self.any_string(is_null, 1 << 7)?,
            b"release" => self.any_string(is_null, 1 << 8)?,
            b"tags" => {
                if !is_null {
                    self.tags()?;
                }
                1 << 9
            }
            // what there is none of does not matter
            b"fingerprint" if is_null => 1 << 10,
            _ => return None,
        })
    }

    fn any_string(&mut self, is_null: bool, bit: u16) -> Option<u16> {
        if !is_null {
            self.string()?;
        }
        Some(bit)
    }

    fn plain(&mut self) -> Option<&'a str> {
        let text = self.string()?;
        if text.escaped { None } else { std::str::from_utf8(text.raw).ok() }
    }

    fn event_id(&mut self) -> Option<EventId> {
        EventId::parse(self.plain()?)
    }

    /// RFC 3339, or a whole number.
    fn timestamp(&mut self) -> Option<Timestamp> {
        if self.peek()? == b'"' {
            return Timestamp::parse_rfc3339(self.plain()?);
        }
        let mut number = 0_u32;
        let mut millions = 0_u64;
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            millions = millions.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            number += 1;
            self.at += 1;
        }
        // fractions, exponents, leading zeros, and what a float does not hold exactly
        if !(1..=15).contains(&number) || self.text[start] == b'0' {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "fifteen digits are held exactly")]
        Timestamp::from_number(millions as f64)
    }

    fn tags(&mut self) -> Option<()> {
        self.byte(b'{')?;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        let mut keys = [&b""[..]; TAGS_MAX];
        for count in 0..TAGS_MAX {
            self.space();
            let key = self.string()?;
            if key.escaped || keys[..count].contains(&key.raw) {
                return None;
            }
            keys[count] = key.raw;
            self.space();
            self.byte(b':')?;
            self.space();
            self.string()?;
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
        None
    }

    /// Reads a string from its opening quote to behind its closing one.
    fn string(&mut self) -> Option<Text<'a>> {
        self.byte(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += ordinary(&self.text[self.at..]);
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                // a control character
                _ => return None,
            }
        }
        Some(Text { raw: &self.text[start..self.at - 1], start, escaped })
    }

    /// Behind a backslash. Surrogates are for `body::read` to pair.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4)?;
                self.at += 4;
                let is_surrogate =
                    matches!(digits, [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
                (digits.iter().all(u8::is_ascii_hexdigit) && !is_surrogate).then_some(())
            }
            _ => None,
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// How many bytes at the start of `text` are neither a quote nor a backslash nor control
/// characters; eight at a time.
///
/// After Mycroft, as in Bit Twiddling Hacks, "Determine if a word has a zero byte": a byte's high
/// bit in the result is certain for the first one only, which is the one that is asked for.
fn ordinary(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let special = (control | quote | backslash) & HIGHS;
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    let ordinary = rest.iter().position(is_special).unwrap_or(rest.len());
    words.len() * 8 + ordinary
}
