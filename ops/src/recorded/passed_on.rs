//! Errors whose words were passed on, whoever met them first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::fingerprint::Fingerprint;

/// Where something belongs: what lies before it is applied before it, or together with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which of the logs.
    pub log: u64,
    /// Which of its ranges.
    pub range: u64,
}

/// Errors whose words one of several folds has passed on, and where: who is there or behind it only
/// counts them. Who is before it passes them on as well, or they would be counted without words until
/// that place is applied. Memory follows the number of distinct errors.
#[derive(Debug, Default)]
pub struct PassedOn(Mutex<FxHashMap<Fingerprint, Place>>);

impl PassedOn {
    /// Whether nobody at `at` has to pass them on.
    pub(super) fn has(&self, fingerprint: &Fingerprint, at: Place) -> bool {
        self.places().get(fingerprint).is_some_and(|passed| *passed <= at)
    }

    /// Whether it is for the one who asks, at `at`, to pass them on.
    pub(super) fn insert(&self, fingerprint: Fingerprint, at: Place) -> bool {
        let mut places = self.places();
        let is_for_it = places.get(&fingerprint).is_none_or(|passed| *passed > at);
        if is_for_it {
            places.insert(fingerprint, at);
        }
        is_for_it
    }

    fn places(&self) -> MutexGuard<'_, FxHashMap<Fingerprint, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
