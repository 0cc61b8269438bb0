//! The keeper's part with what is applied: dropping its jobs, and comparing the ledger.

use errsift_ops::id::{Epoch, Part, Seq};

use super::Keeper;
use crate::{
    failpoints,
    ports::{errors::Settled, journal::JournalFault},
    stop::Stop,
};

/// Epochs trimmed last whose pending counts are dropped once more with each trim: a journal that
/// goes back has them again, and nobody else would know of them.
const RECENT_EPOCHS: usize = 64;

impl Keeper {
    /// Drops what every part confirms, read back from the tables; returns whether it is done.
    pub(super) fn trim(&mut self, epoch: Epoch, seq: Seq) -> bool {
        failpoints::pass("trim_begin");
        self.count_dead();
        let confirmed = match self.errors.settled(self.claim.shard) {
            Ok(settled) => {
                self.counters.settled(&settled);
                self.compare(&settled);
                settled.guards.iter().all(|guard| guard.epoch >= epoch)
            }
            Err(fault) => {
                tracing::debug!(%fault, "guards not read back, nothing trimmed");
                return false;
            }
        };
        if !confirmed {
            tracing::error!(
                epoch = epoch.0,
                "applied epoch is not in the guard rows, keeping its jobs"
            );
            return false;
        }
        failpoints::pass("trim_confirmed");
        self.lookout.note_applied(seq);
        let mut epochs: Vec<_> = self
            .epochs
            .between(Epoch(self.counters.applied_epoch.get()), Some(Epoch(epoch.0 + 1)))
            .into_iter()
            .map(|(epoch, _)| epoch)
            .collect();
        let trimmed = epochs.clone();
        epochs.extend(&self.recent);
        let dropped = if self.trim_lag.is_zero() {
            self.drop_jobs(epoch, seq, &epochs)
        } else {
            self.backlog.reset_pending(&epochs)
        };
        if let Err(fault) = dropped {
            tracing::warn!(%fault, "journal not trimmed");
            return false;
        }
        failpoints::pass("trim_done");
        self.recent.extend(trimmed);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT_EPOCHS));
        self.counters.applied_epoch.set(epoch.0);
        if !self.trim_lag.is_zero() {
            self.lagging.push_back((self.clock.monotonic() + self.trim_lag, epoch, seq));
        }
        self.read_size();
        self.come_through();
        true
    }

    /// Drops what was confirmed long enough ago, if it still is.
    pub(super) fn trim_lagging(&mut self) {
        let now = self.clock.monotonic();
        let due = self.lagging.iter().take_while(|(due, ..)| now >= *due).count();
        let Some((_, epoch, seq)) = due.checked_sub(1).map(|last| self.lagging[last]) else {
            return;
        };
        let Ok(guards) = self.errors.guards(self.claim.shard) else { return };
        if let Some((part, guard)) = Part::all().zip(&guards).find(|(_, at)| at.epoch < epoch) {
            // whoever listens ends the process
            let (expected, found) = (epoch, guard.epoch);
            let _ = self.stops.send(Stop::ErrorsRegressed { part, expected, found });
            self.lagging.clear();
            return;
        }
        match self.drop_jobs(epoch, seq, &[]) {
            Ok(()) => drop(self.lagging.drain(..due)),
            Err(fault) => tracing::warn!(%fault, "journal not trimmed"),
        }
    }

    /// Drops the jobs up to the flight `seq`, the last of `epoch`, and the pending counts of
    /// `epochs`; the ids of the jobs are kept.
    fn drop_jobs(&mut self, epoch: Epoch, seq: Seq, epochs: &[Epoch]) -> Result<(), JournalFault> {
        let (ids, since) = self.journaled.keeping(epoch, self.clock.wall());
        self.backlog.trim_keeping(seq, epochs, &ids, since)?;
        self.journaled.kept(epoch, (&ids, since));
        self.epochs.forget(epoch);
        Ok(())
    }

    /// Compares what the tables have counted, set aside and dropped, and what is in dead jobs, with
    /// what the fence said at the end of the epoch that they stand at: the ledger's second
    /// difference. Between two epochs there is nothing to say, nor while the events of a dead job
    /// are not known.
    fn compare(&mut self, settled: &Settled) {
        if !self.graveyard.is_counted() {
            return;
        }
        if let Some(journaled) = self.graveyard.journaled(&settled.guards) {
            let accounted = settled.events() + self.counters.dead_job_events.get();
            if self.apart.is_none() && self.counters.tables_apart.get() > 0 {
                self.reckon_apart(journaled, accounted);
            }
            let (lost, foreign) = self.apart.unwrap_or_default();
            self.counters.applied_difference.set(journaled + foreign, accounted + lost);
        }
    }

    /// How far apart journal and tables were when this process found them, once all that the journal
    /// had is applied.
    fn reckon_apart(&mut self, journaled: u64, accounted: u64) {
        let lost = journaled.saturating_sub(accounted);
        if lost > 0 {
            tracing::error!(events = lost, "acknowledged events are lost with the tables");
            self.counters.acked_lost.add(lost);
        }
        let foreign = accounted.saturating_sub(journaled);
        if foreign > 0 {
            tracing::warn!(
                events = foreign,
                "tables have events that the journal does not know of"
            );
        }
        self.apart = Some((lost, foreign));
    }
}
