//! The replay graph: wiring only.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use errsift_ops::{
    by_part::ByPart, fingerprint::Fingerprint, first_seen::FirstSeen, flight::Entry,
    window_counts::WindowCounts,
};
use rustc_hash::FxHashSet;
use timely::dataflow::{
    InputHandleVec, ProbeHandle, Scope,
    operators::{Concat, Inspect, Probe, vec::Input},
};

use super::worker::Ranges;
use crate::{
    apply::{
        apply_counts::{ApplyCounts, CountsHandle},
        store_details::{DetailsHandle, StoreDetails},
    },
    counters::Counter,
    ports::words::WordsFrontier,
    settings::KNOWN_MAX,
};

/// Errors that a worker's parts have met, each once.
pub(super) type Met = Rc<RefCell<FxHashSet<Fingerprint>>>;

/// Connects what workers have folded to the sinks' threads.
pub(super) fn replay(
    scope: Scope<'_, u64>,
    (met, distinct): (Met, Arc<Counter>),
    ranges: Ranges,
    (words, (details, counts)): (Arc<WordsFrontier>, (DetailsHandle, CountsHandle)),
) -> (InputHandleVec<u64, Entry>, ProbeHandle<u64>) {
    let (input, entries) = scope.new_input();
    let (first, entries) = entries.by_part().first_seen(KNOWN_MAX);
    let first = first.inspect(move |(fingerprint, _)| {
        distinct.add(u64::from(met.borrow_mut().insert(*fingerprint)));
    });
    let stored = first.store_details(details);
    // a guard row says that a range need not be read again: its words must be there first
    let stored = stored.inspect_core(move |event| {
        if let Err(frontier) = event {
            words.move_to(frontier.first().copied());
        }
    });
    let counted = entries.window_counts().apply_counts(counts, ranges);
    let (applied, _) = stored.concat(counted).probe();
    (input, applied)
}
