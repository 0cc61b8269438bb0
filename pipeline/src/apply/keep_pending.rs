//! Passes pending counts on to the keeper.

use std::collections::VecDeque;

use crossbeam_channel::{Sender, TrySendError};
use errsift_ops::{fingerprint::Fingerprint, id::Epoch};
use timely::dataflow::{StreamVec, channels::pact::Pipeline, operators::Operator};

use crate::apply::keeper::Keep;

/// Where the counts go.
pub(crate) struct PendingHandle {
    pub(crate) keeper: Sender<Keep>,
}

/// The sink of `pending`.
pub(crate) trait KeepPending {
    /// Hands counts to the keeper; what it has no room for waits here until it is next activated.
    fn keep_pending(self, handle: PendingHandle);
}

impl KeepPending for StreamVec<'_, u64, (Fingerprint, u64)> {
    fn keep_pending(self, handle: PendingHandle) {
        let mut waiting: VecDeque<Keep> = VecDeque::new();
        self.sink(Pipeline, "KeepPending", move |(input, _frontier)| {
            input.for_each_stamp(|time, counts| {
                let Some(epoch) = time.least().copied() else {
                    return;
                };
                let counts = counts.flat_map(|counts| counts.drain(..)).collect();
                waiting.push_back(Keep::Pending(Epoch(epoch), counts));
            });
            while let Some(next) = waiting.pop_front() {
                if let Err(TrySendError::Full(next)) = handle.keeper.try_send(next) {
                    waiting.push_front(next);
                    break;
                }
            }
        });
    }
}
