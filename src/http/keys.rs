//! API keys: who may send events, and who may read.
//!
//! Kept are hashes, so that whoever reads the settings cannot use the keys. A plain SHA-256 is
//! right here although it would be wrong for passwords: a key is 256 random bits, which nobody can
//! try out or have in a table, so salt and slowness would protect nothing and cost every request.
//! What depends on a key's value takes the same time for all values.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::fault::Fault;

/// Characters of a key's service; that many are stored of an event's.
const SERVICE_CHARS_MAX: usize = 255;

const EXPECTED: &str = "expected write:SHA256HEX, write:SERVICE:SHA256HEX or read:SHA256HEX, as \
     `errsift key` prints it";

/// One value of `--api-key`: what the key with this hash is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    hash: [u8; 32],
    grant: Grant,
}

/// What a key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Sending events: of the one service, or of any.
    Write(Option<Arc<str>>),
    /// Reading.
    Read,
}

/// What a request needs a key for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    None,
    /// To send events.
    Write,
    /// To read.
    Read,
}

impl ApiKey {
    /// What `key` is for.
    pub fn new(key: &str, grant: Grant) -> Self {
        Self { hash: hash(key.as_bytes()), grant }
    }
}

impl FromStr for ApiKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (kind, rest) = text.split_once(':').ok_or(EXPECTED)?;
        let (grant, hex) = match (kind, rest.rsplit_once(':')) {
            ("read", None) => (Grant::Read, rest),
            ("write", None) => (Grant::Write(None), rest),
            ("write", Some((service, hex))) => (Grant::Write(Some(service.into())), hex),
            _ => return Err(EXPECTED),
        };
        if let Grant::Write(Some(service)) = &grant {
            let fits = (1..=SERVICE_CHARS_MAX).contains(&service.chars().count());
            if !fits || service.contains(',') || service.chars().any(char::is_control) {
                return Err("expected a service of 1 to 255 characters, without commas");
            }
        }
        let hash = from_hex(hex).ok_or(EXPECTED)?;
        if hash == self::hash(b"") {
            return Err("this is the hash of nothing at all: a lost variable in a script?");
        }
        Ok(Self { hash, grant })
    }
}

/// As it is set.
impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.grant {
            Grant::Read => f.write_str("read:")?,
            Grant::Write(None) => f.write_str("write:")?,
            Grant::Write(Some(service)) => write!(f, "write:{service}:")?,
        }
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// All keys.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<ApiKey>);

/// The last key that was found on a connection, with what it is for: clients send the same one
/// each time, and a hash costs more than all else that is done for a key.
#[derive(Debug, Default)]
pub struct LastKey(Mutex<Option<(HeaderValue, Grant)>>);

impl Keys {
    /// These; if there are none, nothing needs a key.
    pub fn new(keys: Vec<ApiKey>) -> Self {
        Self(keys)
    }

    /// Whether everybody may do everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that the request's headers hold a key for `need`; the service that events must be
    /// of, if the key has one.
    pub fn check(
        &self,
        need: Need,
        headers: &HeaderMap,
        last: &LastKey,
    ) -> Result<Option<Arc<str>>, Fault> {
        if need == Need::None || self.0.is_empty() {
            return Ok(None);
        }
        let value = presented(headers).ok_or(Fault::NoKey)?;
        let grant = last.get(value).or_else(|| {
            let found = self.find(key_of(value))?;
            last.set(value, &found);
            Some(found)
        });
        match (grant.ok_or(Fault::UnknownKey)?, need) {
            (Grant::Write(service), Need::Write) => Ok(service),
            (Grant::Read, Need::Read) => Ok(None),
            (_, Need::Write) => Err(Fault::KeyKind("writing")),
            (_, _) => Err(Fault::KeyKind("reading")),
        }
    }

    /// Looks at every key whichever matches, so that time does not tell.
    fn find(&self, key: &[u8]) -> Option<Grant> {
        if key.is_empty() {
            return None;
        }
        let hash = hash(key);
        let mut found = None;
        for (at, key) in self.0.iter().enumerate() {
            if bool::from(key.hash.ct_eq(&hash)) {
                found = Some(at);
            }
        }
        found.map(|at| self.0[at].grant.clone())
    }
}

impl LastKey {
    /// A proxy may send many clients' requests over one connection: comparing must not tell one
    /// of them another's key.
    fn get(&self, value: &HeaderValue) -> Option<Grant> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, grant) = last.as_ref()?;
        bool::from(known.as_bytes().ct_eq(value.as_bytes())).then(|| grant.clone())
    }

    fn set(&self, value: &HeaderValue, grant: &Grant) {
        // a copy, because the value may share the whole head's memory
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else { return };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((value, grant.clone()));
    }
}

/// The header that holds the key: `Authorization` if it is a bearer's, else `X-API-Key`.
fn presented(headers: &HeaderMap) -> Option<&HeaderValue> {
    let bearer = headers.get(AUTHORIZATION).filter(|value| bearer_token(value).is_some());
    bearer.or_else(|| headers.get("x-api-key"))
}

fn bearer_token(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn key_of(value: &HeaderValue) -> &[u8] {
    bearer_token(value).unwrap_or_else(|| value.as_bytes().trim_ascii())
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? << 4 | low?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            hyper::header::HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )])
    }

    #[test]
    fn keys_are_set_by_their_hashes() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for (text, key) in [
            (format!("read:{abc}"), ApiKey::new("abc", Grant::Read)),
            (format!("write:{abc}"), ApiKey::new("abc", Grant::Write(None))),
            (format!("write:a:b:{abc}"), ApiKey::new("abc", Grant::Write(Some("a:b".into())))),
        ] {
            assert_eq!(text.parse(), Ok(key.clone()));
            assert_eq!(key.to_string(), text);
        }
        for wrong in [
            String::new(),
            abc.to_owned(),
            format!("admin:{abc}"),
            format!("read:api:{abc}"),
            format!("write::{abc}"),
            format!("write:{}:{abc}", "s".repeat(256)),
            format!("write:{}", &abc[1..]),
            format!("write:{}", abc.replace('b', "g")),
        ] {
            assert!(wrong.parse::<ApiKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_need_has_its_keys() {
        let keys = Keys::new(vec![
            ApiKey::new("w", Grant::Write(None)),
            ApiKey::new("s", Grant::Write(Some("api".into()))),
            ApiKey::new("r", Grant::Read),
        ]);
        let last = LastKey::default();
        // twice: the second time the last key is known
        for _ in 0..2 {
            for (name, value, write, read) in [
                ("authorization", "Bearer w", Ok(None), Err(Fault::KeyKind("reading"))),
                (
                    "authorization",
                    "bearer  s ",
                    Ok(Some("api".into())),
                    Err(Fault::KeyKind("reading")),
                ),
                ("x-api-key", "r", Err(Fault::KeyKind("writing")), Ok(None)),
                ("x-api-key", "w", Ok(None), Err(Fault::KeyKind("reading"))),
                ("x-api-key", "x", Err(Fault::UnknownKey), Err(Fault::UnknownKey)),
                ("x-api-key", "", Err(Fault::UnknownKey), Err(Fault::UnknownKey)),
                ("authorization", "Basic dzp3", Err(Fault::NoKey), Err(Fault::NoKey)),
                ("accept", "w", Err(Fault::NoKey), Err(Fault::NoKey)),
            ] {
                let headers = headers(name, value);
                for _ in 0..2 {
                    assert_eq!(keys.check(Need::Write, &headers, &last), write, "{value}");
                    assert_eq!(keys.check(Need::Read, &headers, &last), read, "{value}");
                }
                assert_eq!(keys.check(Need::None, &headers, &last), Ok(None));
            }
        }
        let none = Keys::default();
        assert_eq!(none.check(Need::Write, &HeaderMap::new(), &last), Ok(None));
    }
}
