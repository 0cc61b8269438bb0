//! `X-Request-Id`: the client's own, or one made here; on every answer and in the logs.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};

/// The header's name.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of a client's own id.
const CHARS_MAX: usize = 64;

/// Digits of the made ids: no more than five bits each, so that none is case-sensitive.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Room for three numbers: 40, 64 and 32 bits, and two dashes.
const BYTES_MAX: usize = 8 + 1 + 13 + 1 + 7;

/// Makes ids: a random number of the process, the connection's number in it, and the request's on
/// that, so that connections share nothing while they are asked.
#[derive(Debug)]
pub struct Process {
    nonce: u64,
    connections: AtomicU64,
}

impl Process {
    /// A process known by the lowest 40 bits of `nonce`.
    pub fn new(nonce: u64) -> Self {
        Self { nonce: nonce & 0xff_ffff_ffff, connections: AtomicU64::new(0) }
    }

    /// The next connection.
    pub fn connection(&self) -> Connection {
        let mut prefix = [0; BYTES_MAX];
        let nonce_end = write(&mut prefix, 0, self.nonce, 8);
        prefix[nonce_end] = b'-';
        let number = self.connections.fetch_add(1, Relaxed);
        let number_end = write(&mut prefix, nonce_end + 1, number, 1);
        prefix[number_end] = b'-';
        Connection { prefix, prefix_bytes: number_end + 1, requests: AtomicU32::new(0) }
    }
}

/// Makes the ids of one connection.
#[derive(Debug)]
pub struct Connection {
    prefix: [u8; BYTES_MAX],
    prefix_bytes: usize,
    requests: AtomicU32,
}

impl Connection {
    /// The id of a request with these headers. One that is not `[A-Za-z0-9_-]{1,64}`, or is given
    /// twice, does not count.
    pub fn id(&self, headers: &HeaderMap) -> HeaderValue {
        let mut given = headers.get_all(X_REQUEST_ID).iter();
        if let Some(id) = given.next()
            && given.next().is_none()
            && is_id(id.as_bytes())
        {
            return id.clone();
        }
        let mut id = self.prefix;
        let number = self.requests.fetch_add(1, Relaxed);
        let length = write(&mut id, self.prefix_bytes, number.into(), 1);
        HeaderValue::from_bytes(&id[..length]).unwrap_or(HeaderValue::from_static("-"))
    }
}

fn is_id(bytes: &[u8]) -> bool {
    (1..=CHARS_MAX).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Writes `number` from `at`, with at least `digits_min` digits; returns where it ends.
fn write(bytes: &mut [u8; BYTES_MAX], at: usize, number: u64, digits_min: u32) -> usize {
    let digits = (64 - number.leading_zeros()).div_ceil(5).max(digits_min);
    let mut end = at;
    for place in (0..digits).rev() {
        let digit = (number >> (5 * place)) & 31;
        // five bits fit
        bytes[end] = DIGITS[usize::try_from(digit).unwrap_or(0)];
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_differ_and_are_ids() {
        let process = Process::new(u64::MAX);
        let [first, second] = [process.connection(), process.connection()];
        let id = |connection: &Connection| connection.id(&HeaderMap::new());
        assert_eq!(id(&first), "zzzzzzzz-0-0");
        assert_eq!(id(&first), "zzzzzzzz-0-1");
        assert_eq!(id(&second), "zzzzzzzz-1-0");
        assert_eq!(id(&Process::new(1).connection()), "00000001-0-0");

        let process = Process { nonce: 0, connections: AtomicU64::new(u64::MAX) };
        let last = process.connection();
        last.requests.store(u32::MAX, Relaxed);
        let longest = id(&last);
        assert_eq!(longest, "00000000-fzzzzzzzzzzzz-3zzzzzz");
        assert!(is_id(longest.as_bytes()));
        assert_eq!(longest.len(), BYTES_MAX);
    }

    #[test]
    fn a_clients_id_is_kept_if_it_is_one() {
        let connection = Process::new(0).connection();
        let id = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(X_REQUEST_ID, HeaderValue::from_str(value).unwrap());
            }
            connection.id(&headers)
        };
        let longest = "aZ09_-".repeat(11)[..64].to_owned();
        assert_eq!(id(&["a"]), "a");
        assert_eq!(id(&[&longest]), longest);
        for wrong in
            [&[""][..], &["a b"], &["é"], &["a\tb"], &[&format!("{longest}x")], &["a", "a"]]
        {
            assert!(id(wrong).as_bytes().starts_with(b"00000000-0-"), "{wrong:?}");
        }
    }
}
