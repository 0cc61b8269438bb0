//! Which errors were met, by what their events say and before any of it is hashed for good.

use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHasher};

/// How an event's words are written: the same bytes mean different words in JSON and in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    Json = 1,
    Text = 2,
}

/// Longer words are not kept for comparing.
const WORDS_BYTES_MAX: usize = 8 * 1024;

/// Finds an error by its service and message as they are written. Exact: what a hash finds is
/// compared.
#[derive(Default)]
pub(super) struct Met {
    known: FxHashMap<u64, Known>,
    words: Vec<u8>,
}

/// Small, so that few of the lines of memory that a look-up takes are not at hand.
struct Known {
    start: usize,
    position: u32,
    service_bytes: u16,
    message_bytes: u16,
}

impl Met {
    /// The position that was noted for these words.
    pub(super) fn find(&self, writing: Writing, service: &[u8], message: &[u8]) -> Option<usize> {
        let known = self.known.get(&hash(writing, service, message))?;
        let Known { position, start, service_bytes, message_bytes } = *known;
        let (service_bytes, message_bytes) = (service_bytes.into(), usize::from(message_bytes));
        let words = &self.words[start..start + 1 + service_bytes + message_bytes];
        let (tag, words) = words.split_first()?;
        let (of_service, of_message) = words.split_at(service_bytes);
        let is_same =
            *tag == writing as u8 && are_same(of_service, service) && are_same(of_message, message);
        is_same.then_some(position as usize)
    }

    /// Notes where an error is. Words that hash like others are not noted: they are looked at anew
    /// each time.
    pub(super) fn note(
        &mut self,
        writing: Writing,
        service: &[u8],
        message: &[u8],
        position: usize,
    ) {
        if service.len() + message.len() > WORDS_BYTES_MAX {
            return;
        }
        let sizes = (position.try_into(), service.len().try_into(), message.len().try_into());
        let (Ok(position), Ok(service_bytes), Ok(message_bytes)) = sizes else { return };
        let start = self.words.len();
        let Self { known, words } = self;
        known.entry(hash(writing, service, message)).or_insert_with(|| {
            words.push(writing as u8);
            words.extend_from_slice(service);
            words.extend_from_slice(message);
            Known { start, position, service_bytes, message_bytes }
        });
    }
}

/// Whether both have the same bytes. No bytes are not compared: they may lie at an address where there
/// is nothing, which takes a core that loads them under a mask hundreds of cycles to find out.
pub(super) fn are_same(one: &[u8], other: &[u8]) -> bool {
    (one.is_empty() && other.is_empty()) || one == other
}

fn hash(writing: Writing, service: &[u8], message: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u8(writing as u8);
    hasher.write(service);
    hasher.write_usize(service.len());
    hasher.write(message);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let mut met = Met::default();
        met.note(Writing::Json, b"ab", b"c", 1);
        met.note(Writing::Json, b"a", b"bc", 2);
        met.note(Writing::Text, b"a", b"bc", 3);
        met.note(Writing::Json, b"ab", b"c", 4);
        let long = vec![b'x'; WORDS_BYTES_MAX + 1];
        met.note(Writing::Json, b"", &long, 5);
        assert_eq!(met.find(Writing::Json, b"ab", b"c"), Some(1));
        assert_eq!(met.find(Writing::Json, b"a", b"bc"), Some(2));
        assert_eq!(met.find(Writing::Text, b"a", b"bc"), Some(3));
        assert_eq!(met.find(Writing::Text, b"ab", b"c"), None);
        assert_eq!(met.find(Writing::Json, b"", &long), None);
    }
}
