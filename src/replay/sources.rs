//! Which recorded logs the tables know, and by what.
//!
//! A log is known by its first [`HEAD_BYTES`] after decompression, or by all of it while it is
//! shorter, or by a name that was given. Each has a number, which is its shard.

use errsift_ops::id::Shard;
use errsift_pipeline::ports::errors::ErrorsFault;
use sha2::{Digest, Sha256};

/// Bytes of a log's beginning that it is known by.
pub const HEAD_BYTES: usize = 64 * 1024;

/// What a log is known by: a hash, and of how many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// SHA-256 of the beginning, or of the name.
    pub hash: [u8; 32],
    /// Length of the beginning; `None` for a name.
    pub head_bytes: Option<u32>,
}

impl Identity {
    /// That of a log that begins with `head`, of which no more than [`HEAD_BYTES`] count.
    pub fn of_head(head: &[u8]) -> Self {
        let head = &head[..head.len().min(HEAD_BYTES)];
        let head_bytes = u32::try_from(head.len()).ok();
        Self { hash: Sha256::digest(head).into(), head_bytes }
    }

    /// That of a log that was given a name.
    pub fn of_name(name: &str) -> Self {
        let hash = Sha256::new().chain_update("source\0").chain_update(name).finalize();
        Self { hash: hash.into(), head_bytes: None }
    }
}

/// A log that is looked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it is known by.
    pub identity: Identity,
    /// Its beginning; nothing if it has a name.
    pub head: Vec<u8>,
    /// The name, or the path that it was opened by, for people.
    pub label: String,
    /// What decides which events its bytes become.
    pub rules: [u8; 32],
}

/// A log that the tables know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its number.
    pub shard: Shard,
    /// What it is known by.
    pub identity: Identity,
    /// What decided which events its bytes became.
    pub rules: [u8; 32],
}

impl Wanted {
    /// The longest of `known`, sorted by falling length, that this log begins with: it was
    /// shorter then.
    pub fn grown_from(&self, known: &[Source]) -> Option<Source> {
        let mut hash = Sha256::new();
        let (mut hashed, mut found) = (0, None);
        for source in known.iter().rev() {
            let Some(bytes) = source.identity.head_bytes else { continue };
            let bytes = bytes as usize;
            let Some(more) = self.head.get(hashed..bytes) else { continue };
            hash.update(more);
            hashed = bytes;
            if source.identity.hash == <[u8; 32]>::from(hash.clone().finalize()) {
                found = Some(*source);
            }
        }
        found
    }
}

/// The logs that one store's tables know. All methods block.
pub trait Sources: Send {
    /// The log that is wanted, known from now on by its longer beginning, and added if it is new.
    /// `None` if there is no number left for it.
    fn find(&mut self, wanted: &Wanted) -> Result<Option<Source>, ErrorsFault>;

    /// Replaces what decides which events a log's bytes become.
    fn set_rules(&mut self, shard: Shard, rules: &[u8; 32]) -> Result<(), ErrorsFault>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(shard: u16, head: &[u8]) -> Source {
        Source { shard: Shard(shard), identity: Identity::of_head(head), rules: [0; 32] }
    }

    fn wanted(head: &[u8]) -> Wanted {
        let identity = Identity::of_head(head);
        Wanted { identity, head: head.to_vec(), label: String::new(), rules: [0; 32] }
    }

    #[test]
    fn a_log_that_has_grown_is_the_longest_that_it_begins_with() {
        let known = [source(4, b"abcx"), source(3, b"abc"), source(2, b"zz"), source(1, b"a")];
        let found = |head| wanted(head).grown_from(&known).map(|source| source.shard.0);
        assert_eq!(found(b"abcd"), Some(3));
        assert_eq!(found(b"abcxyz"), Some(4));
        assert_eq!(found(b"ab"), Some(1));
        assert_eq!(found(b"bcd"), None);
        assert_eq!(wanted(b"").grown_from(&known), None);
    }

    #[test]
    fn only_the_beginning_counts() {
        let long = vec![b'x'; HEAD_BYTES + 9];
        assert_eq!(Identity::of_head(&long), Identity::of_head(&long[..HEAD_BYTES]));
        assert_ne!(Identity::of_head(b"a"), Identity::of_head(b"b"));
        assert_ne!(Identity::of_name("a").hash, Identity::of_head(b"a").hash);
    }
}
