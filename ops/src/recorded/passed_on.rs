//! Errors whose words were passed on, whoever met them first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashSet;

use crate::fingerprint::Fingerprint;

/// Errors whose words one of several folds has passed on: the others only count them. Memory follows the
/// number of distinct errors.
#[derive(Debug, Default)]
pub struct PassedOn(Mutex<FxHashSet<Fingerprint>>);

impl PassedOn {
    pub(super) fn has(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprints().contains(fingerprint)
    }

    /// Whether it is for the one who asks to pass them on.
    pub(super) fn insert(&self, fingerprint: Fingerprint) -> bool {
        self.fingerprints().insert(fingerprint)
    }

    fn fingerprints(&self) -> MutexGuard<'_, FxHashSet<Fingerprint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
