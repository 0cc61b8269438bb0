//! Closed epochs go to the tables, one after the other.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use errsift_ops::{
    id::{Epoch, Seq},
    window_counts::WindowCount,
};
use timely::{
    container::CapacityContainerBuilder,
    dataflow::{StreamVec, channels::pact::Pipeline, operators::Operator},
    scheduling::SyncActivator,
};

use crate::{epochs::OpenEpochs, ports::errors::CountRow};

/// Who knows which dataflow times are closed, and what the tables are to call them.
pub(crate) trait ClosedEpochs: 'static {
    /// Those after `after` that are before `open`, or all after it, in order.
    fn between(&self, after: Epoch, open: Option<Epoch>) -> Vec<ClosedEpoch>;
}

/// A dataflow time that is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClosedEpoch {
    pub(crate) time: Epoch,
    /// Where guard rows stand afterwards.
    pub(crate) epoch: Epoch,
    pub(crate) seq: Seq,
}

/// A live epoch is its own time.
impl ClosedEpochs for Arc<OpenEpochs> {
    fn between(&self, after: Epoch, open: Option<Epoch>) -> Vec<ClosedEpoch> {
        let closed = OpenEpochs::between(self, after, open).into_iter();
        closed.map(|(epoch, seq)| ClosedEpoch { time: epoch, epoch, seq }).collect()
    }
}

/// All that one worker's parts have to add for one epoch.
#[derive(Debug)]
pub(crate) struct EpochCounts {
    /// The dataflow's.
    pub(crate) time: Epoch,
    pub(crate) epoch: Epoch,
    /// The epoch's last flight.
    pub(crate) seq: Seq,
    /// Sorted by fingerprint and window.
    pub(crate) rows: Vec<CountRow>,
    /// Whom to wake when it is done.
    pub(crate) activator: SyncActivator,
}

/// The worker's end of the thread that writes counts: one epoch is with it at a time.
pub(crate) struct CountsHandle {
    epochs: Sender<EpochCounts>,
    applied: Receiver<Epoch>,
}

/// The thread's end.
pub(crate) struct CountsChannel {
    pub(crate) epochs: Receiver<EpochCounts>,
    pub(crate) applied: Sender<Epoch>,
}

/// Both ends.
pub(crate) fn counts_channel() -> (CountsHandle, CountsChannel) {
    let (send_epoch, epochs) = bounded(1);
    let (send_applied, applied) = bounded(1);
    (CountsHandle { epochs: send_epoch, applied }, CountsChannel { epochs, applied: send_applied })
}

/// The sink of `window_counts`.
pub(crate) trait ApplyCounts<'scope> {
    /// Submits each closed epoch, in order and also when this worker has no rows in it, because
    /// its parts' guards move all the same; holds the epoch until it is applied. Emits nothing.
    fn apply_counts(
        self,
        handle: CountsHandle,
        epochs: impl ClosedEpochs,
    ) -> StreamVec<'scope, u64, ()>;
}

impl<'scope> ApplyCounts<'scope> for StreamVec<'scope, u64, WindowCount<u64>> {
    fn apply_counts(
        self,
        handle: CountsHandle,
        epochs: impl ClosedEpochs,
    ) -> StreamVec<'scope, u64, ()> {
        let worker = self.scope().worker();
        self.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
            Pipeline,
            "ApplyCounts",
            move |capability, info| {
                let activator = worker.sync_activator_for(info.address.to_vec());
                // held at the first epoch that is not applied
                let mut held = Some(capability);
                let mut rows: BTreeMap<Epoch, Vec<CountRow>> = BTreeMap::new();
                let mut closed: VecDeque<ClosedEpoch> = VecDeque::new();
                let mut noted = Epoch::default();
                let mut out = None;
                move |(input, frontier), _output| {
                    input.for_each(|_time, counts| {
                        for ((fingerprint, window), epoch, tally) in counts.drain(..) {
                            let row = CountRow { fingerprint, window, tally };
                            rows.entry(Epoch(epoch)).or_default().push(row);
                        }
                    });
                    let open = frontier.frontier().first().copied().map(Epoch);
                    closed.extend(epochs.between(noted, open));
                    noted = closed.back().map_or(noted, |closed| closed.time);
                    if handle.applied.try_recv().is_ok() {
                        out = None;
                    }
                    if out.is_none()
                        && let Some(ClosedEpoch { time, epoch, seq }) = closed.pop_front()
                    {
                        out = Some(time);
                        let mut rows = rows.remove(&time).unwrap_or_default();
                        rows.sort_unstable();
                        let activator = activator.clone();
                        // room for one, and none is with the thread
                        let _ =
                            handle.epochs.send(EpochCounts { time, epoch, seq, rows, activator });
                    }
                    match (out.or(open), &mut held) {
                        (Some(first), Some(held)) => held.downgrade(&first.0),
                        (None, held) => *held = None,
                        (Some(_), None) => {}
                    }
                }
            },
        )
    }
}
