//! Taking the shard.

use std::sync::Arc;

use errsift_ops::{
    id::{Epoch, Nonce, Seq, Term},
    recent_ids::RecentIds,
    timestamp::Timestamp,
};

use super::{Stores, foreign};
use crate::{
    failpoints,
    ids::{self, JournaledIds},
    ports::{
        clock::Clock,
        dead::Recovery,
        errors::{Claim, Errors, Settled},
        journal::{Acquired, Armed, Backlog, Fence, Foreign, JournalFault, Progress},
    },
    settings::Settings,
};

/// What a journal goes on from while the tables do not say where they are. It may be new, or have
/// lost flights that the tables have; what follows must not get the numbers of these, or it would be
/// taken for applied. Epochs go on from the microseconds since 1970: however short they are, none
/// that was opened before has come so far. So do terms, or guard rows of a lost one could seem to be
/// a successor's; no number of starts comes to them, which is how [`foreign`] tells such a journal.
fn without_tables(now: Timestamp) -> Progress {
    let microseconds = now.millis().max(0).unsigned_abs() * 1_000;
    Progress { term: Term(microseconds), epoch: Epoch(microseconds), ..Progress::default() }
}

/// How far the tables have come, if they answer.
fn tables_stand(settings: &Settings, errors: &dyn Errors) -> Option<Settled> {
    match errors.writer().settled(settings.shard) {
        Ok(settled) => Some(settled),
        Err(fault) => {
            tracing::warn!(%fault, "tables do not answer, starting without them");
            None
        }
    }
}

/// What follows from that for whoever takes the shard.
fn progress(settled: &Settled, foreign: Foreign) -> Progress {
    let guards = &settled.guards;
    Progress {
        term: guards.iter().map(|guard| guard.term).max().unwrap_or_default(),
        seq: guards.iter().map(|guard| guard.seq).max().unwrap_or_default(),
        epoch: guards.iter().map(|guard| guard.epoch).max().unwrap_or_default(),
        applied: guards.iter().map(|guard| guard.epoch).min().unwrap_or_default(),
        events: settled.events(),
        foreign,
    }
}

/// A shard that was taken.
pub(super) struct Taken {
    pub(super) armed: Armed,
    /// Every part has what came before this flight.
    pub(super) base: Seq,
    /// The fence before.
    pub(super) before: Fence,
    /// Where the journal stood, as far as the tables go along with it, if they did not say where they
    /// are.
    pub(super) unseen: Option<Fence>,
    /// The last epoch that every part has, as far as the tables said.
    pub(super) applied: Epoch,
    /// How starts have gone, this one included.
    pub(super) recovery: Recovery,
    pub(super) journaled: Arc<JournaledIds>,
    pub(super) ids: RecentIds<u64>,
}

/// Takes the shard and reads back which events were stored lately.
pub(super) fn take(
    settings: &Settings,
    stores: &mut Stores,
    clock: &dyn Clock,
    nonce: Nonce,
) -> Result<Taken, JournalFault> {
    let stand = tables_stand(settings, stores.errors.as_ref());
    let at_least = match &stand {
        Some(settled) => progress(settled, foreign::find(stores.backlog.as_mut(), settled)?),
        None => without_tables(clock.wall()),
    };
    let Acquired { armed, before } = stores.journal.acquire(nonce, at_least)?;
    failpoints::pass("acquired");
    let fence = *armed.fence();
    let claim = Claim { shard: settings.shard, term: fence.term, nonce: fence.nonce };
    // before any job is looked into
    let recovery = note_start(&mut *stores.backlog, &claim)?;
    let (journaled, times) = (Arc::<JournaledIds>::default(), (clock.wall(), clock.monotonic()));
    let (ids, base) =
        ids::recover(&mut *stores.backlog, (&claim, recovery), fence.seq, times, &journaled)?;
    tracing::info!(term = fence.term.0, seq = fence.seq.0, before = before.seq.0, "shard taken");
    let unseen = stand.is_none().then(|| foreign::known(before));
    let applied = at_least.applied;
    Ok(Taken { armed, base, before, unseen, applied, recovery, journaled, ids })
}

/// Counts this start until its recovery has come through.
fn note_start(backlog: &mut dyn Backlog, claim: &Claim) -> Result<Recovery, JournalFault> {
    let recovery = backlog.recovery()?.begun();
    ids::patiently(|| backlog.note_recovery(claim, &recovery))?;
    if recovery.is_careful() {
        let (starts, accused) = (recovery.starts, recovery.accused.0);
        tracing::error!(
            starts,
            accused,
            deaths = recovery.deaths,
            "the last starts did not come through their recovery: jobs are fed one at a time"
        );
    }
    Ok(recovery)
}
