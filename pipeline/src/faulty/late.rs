//! What was asked for, lost on its way as far as the caller knows, and happens after all.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

type Change<S> = Box<dyn FnOnce(&mut S) + Send>;

/// Changes of a store that are on their way. A clone of a handle has none: it is another connection.
/// What is still on its way when the handle is dropped is lost.
pub(super) struct Late<S>(Mutex<Vec<(u64, Change<S>)>>);

impl<S> Late<S> {
    /// Has `change` happen before the call that comes as the `calls`th from here.
    pub(super) fn delay(&mut self, calls: u64, change: impl FnOnce(&mut S) + Send + 'static) {
        let late = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        late.push((calls, Box::new(change)));
    }

    /// One call more: what is due happens, in the order in which it was asked for.
    pub(super) fn arrive(&mut self, store: &mut S) {
        let late = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (calls, _) in late.iter_mut() {
            *calls = calls.saturating_sub(1);
        }
        for (_, change) in late.extract_if(.., |(calls, _)| *calls == 0) {
            change(store);
        }
    }
}

impl<S> Default for Late<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S> Clone for Late<S> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<S> fmt::Debug for Late<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_happens_once_after_so_many_calls() {
        let (mut late, mut store) = (Late::default(), Vec::new());
        late.delay(2, |store: &mut Vec<u32>| store.push(2));
        late.delay(1, |store| store.push(1));
        let mut seen = Vec::new();
        for _ in 0..4 {
            late.arrive(&mut store);
            seen.push(store.clone());
        }
        assert_eq!(seen, [vec![1], vec![1, 2], vec![1, 2], vec![1, 2]]);
        assert!(late.clone().0.get_mut().unwrap().is_empty());
    }
}
