//! The apply graph: wiring only.

use std::{cell::Cell, rc::Rc, sync::Arc};

use errsift_ops::{
    by_part::ByPart, first_seen::FirstSeen, flight::Entry, pending::Pending,
    window_counts::WindowCounts,
};
use timely::{
    dataflow::{
        InputHandleVec, ProbeHandle, Scope,
        operators::{Concat, Probe, vec::Input},
    },
    scheduling::Activator,
};

use crate::{
    apply::{
        apply_counts::{ApplyCounts, CountsHandle},
        keep_pending::{KeepPending, PendingHandle},
        store_details::{DetailsHandle, StoreDetails},
    },
    epochs::OpenEpochs,
    settings::KNOWN_MAX,
};

/// What a worker holds of the graph.
pub(crate) struct Handles {
    /// Takes the entries of flights, at their epoch.
    pub(crate) input: InputHandleVec<u64, Entry>,
    /// Passes an epoch when all its details and counts are in the tables.
    pub(crate) applied: ProbeHandle<u64>,
    /// Has the pending counts that have grown passed on, if `due` is set.
    pub(crate) pending: Activator,
}

/// Connects the operators to the sinks' threads.
pub(crate) fn apply(
    scope: Scope<'_, u64>,
    due: Rc<Cell<bool>>,
    epochs: Arc<OpenEpochs>,
    (details, pending, counts): (DetailsHandle, PendingHandle, CountsHandle),
) -> Handles {
    let (input, entries) = scope.new_input();
    let (first, entries) = entries.by_part().first_seen(KNOWN_MAX);
    let stored = first.store_details(details);
    let (grown, activator) = entries.clone().pending(move || due.take());
    grown.keep_pending(pending);
    let counted = entries.window_counts().apply_counts(counts, epochs);
    let (applied, _) = stored.concat(counted).probe();
    Handles { input, applied, pending: activator }
}
