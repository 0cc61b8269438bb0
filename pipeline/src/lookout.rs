//! What those who use the journal tell each other about it: how far things have come, and that it
//! may not be what it was.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use errsift_ops::id::Seq;

use crate::wake::Wake;

/// Shared by the sealer, which writes flights, and the keeper, which looks at the journal every
/// second, also while no flight comes.
#[derive(Debug)]
pub(crate) struct Lookout {
    /// The last flight known to be executed.
    executed: AtomicU64,
    /// The last flight that every part has, read back from the tables.
    applied: AtomicU64,
    doubted: AtomicBool,
    /// Wakes the sealer's worker.
    wake: Arc<Wake>,
}

impl Lookout {
    /// A lookout of a shard that was taken after the flight `executed`.
    pub(crate) fn new(executed: Seq, wake: Arc<Wake>) -> Self {
        let executed = AtomicU64::new(executed.0);
        Self { executed, applied: AtomicU64::new(0), doubted: AtomicBool::new(false), wake }
    }

    pub(crate) fn executed(&self) -> Seq {
        Seq(self.executed.load(Ordering::SeqCst))
    }

    pub(crate) fn note_executed(&self, seq: Seq) {
        self.executed.store(seq.0, Ordering::SeqCst);
    }

    pub(crate) fn applied(&self) -> Seq {
        Seq(self.applied.load(Ordering::SeqCst))
    }

    pub(crate) fn note_applied(&self, seq: Seq) {
        self.applied.fetch_max(seq.0, Ordering::SeqCst);
    }

    /// Has the sealer look at fence and settings before its next flight.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::SeqCst);
        self.wake.wake();
    }

    pub(crate) fn doubted(&self) -> bool {
        self.doubted.load(Ordering::SeqCst)
    }

    /// Says that the sealer is looking.
    pub(crate) fn looked_at(&self) {
        self.doubted.store(false, Ordering::SeqCst);
    }
}
