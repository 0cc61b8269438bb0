//! Which fingerprints have their words stored already.

use std::num::NonZeroUsize;

use lru::LruCache;
use rustc_hash::FxBuildHasher;

use crate::fingerprint::Fingerprint;

/// A bounded, exact set of fingerprints that forgets the least recently used.
///
/// Forgetting is safe: the words are then sent once more and the store ignores them. A false
/// positive would lose an error's words, so membership is exact.
#[derive(Debug)]
pub struct Known {
    fingerprints: LruCache<Fingerprint, (), FxBuildHasher>,
}

impl Known {
    /// An empty set that holds at most `fingerprints_max`, taking memory only as it fills.
    pub fn new(fingerprints_max: NonZeroUsize) -> Self {
        let mut fingerprints = LruCache::unbounded_with_hasher(FxBuildHasher);
        fingerprints.resize(fingerprints_max);
        Self { fingerprints }
    }

    /// Fingerprints in the set.
    pub fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fingerprints.is_empty()
    }

    /// Whether `fingerprint` is in the set; counts as a use.
    ///
    /// ```
    /// use errsift_ops::{fingerprint::Fingerprint, known::Known};
    /// let [a, b, c] = [1, 2, 3].map(|byte| Fingerprint([byte; 32]));
    /// let mut known = Known::new(2.try_into()?);
    /// known.insert(a);
    /// known.insert(b);
    /// assert!(known.contains(&a));
    /// known.insert(c);
    /// assert!(known.contains(&a) && !known.contains(&b) && known.contains(&c));
    /// # Ok::<(), std::num::TryFromIntError>(())
    /// ```
    pub fn contains(&mut self, fingerprint: &Fingerprint) -> bool {
        self.fingerprints.get(fingerprint).is_some()
    }

    /// Adds `fingerprint`; returns whether it was new.
    pub fn insert(&mut self, fingerprint: Fingerprint) -> bool {
        self.fingerprints.put(fingerprint, ()).is_none()
    }
}
