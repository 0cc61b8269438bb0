//! The keeper's part with jobs that are set aside: putting them there, and finding out how many
//! events they hold.
//!
//! How many, follows from the ledger: what the fence says at the end of an epoch, less what the
//! guard rows and the dead letters say when all parts stand at it. That is asked once for all jobs
//! that were set aside since the last time; it is their sum that is certain, not each one's share.

use std::sync::Arc;

use bytes::Bytes;
use errsift_ops::{id::Seq, job};

use crate::{
    apply::unreadable::Unreadable,
    counters::Counters,
    epochs::OpenEpochs,
    ports::{
        clock::Clock,
        dead::{Aside, DeadJob, DeadJobs, SetAside},
        errors::{Claim, ErrorsFault, ErrorsWriter, Guards},
        journal::{Backlog, Fence, JournalFault},
    },
    stop::Stop,
};

/// Why a job is not set aside yet, or its events not counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Obstacle {
    #[error(transparent)]
    Journal(#[from] JournalFault),
    #[error(transparent)]
    Tables(#[from] ErrorsFault),
    /// It never will be: the process must end.
    #[error(transparent)]
    Stop(Stop),
}

/// What the keeper knows of dead jobs.
pub(crate) struct Graveyard {
    claim: Claim,
    clock: Arc<dyn Clock>,
    epochs: Arc<OpenEpochs>,
    counters: Arc<Counters>,
    /// As the journal has them; `None` until they were read.
    dead: Option<DeadJobs>,
    /// A fence whose events include those of all the dead.
    fence: Fence,
}

impl Graveyard {
    /// A graveyard whose jobs were all executed before the shard was taken with `fence`.
    pub(crate) fn new(
        claim: Claim,
        fence: Fence,
        clock: Arc<dyn Clock>,
        epochs: Arc<OpenEpochs>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { claim, clock, epochs, counters, dead: None, fence }
    }

    /// Puts a job there and a tombstone in its place; `false` if something else lies there by now.
    /// The guard rows are taken first: what a predecessor may still apply cannot be told.
    pub(crate) fn bury(
        &mut self,
        backlog: &mut dyn Backlog,
        errors: &mut dyn ErrorsWriter,
        unreadable: &Unreadable,
    ) -> Result<bool, Obstacle> {
        let Unreadable { seq, term, epoch, .. } = *unreadable;
        let guards = errors.take_guards(&self.claim)?;
        let (ours, nonce) = (self.claim.term, self.claim.nonce);
        if guards.iter().any(|guard| (guard.term, guard.nonce) != (ours, nonce)) {
            let found = "a guard row holds another writer's term".to_owned();
            return Err(Obstacle::Stop(Stop::Fenced(found)));
        }
        let fence = backlog.fence()?;
        let dead = DeadJob {
            shard: self.claim.shard,
            seq,
            epoch,
            at: self.clock.wall(),
            guards: guards.map(|guard| guard.epoch),
            reason: unreadable.reason.clone(),
            job: unreadable.job.clone(),
        };
        let aside = Aside {
            seq,
            job: unreadable.job.clone(),
            tombstone: Bytes::from(job::tombstone(self.claim.shard, term, seq, epoch)),
            dead: Bytes::from(dead.encode()),
        };
        match backlog.set_aside(&self.claim, &aside)? {
            SetAside::Done => {}
            SetAside::Changed => return Ok(false),
            SetAside::Fenced => {
                let found = "the fence holds another term or nonce".to_owned();
                return Err(Obstacle::Stop(Stop::Fenced(found)));
            }
        }
        self.fence = fence;
        self.dead = None;
        tracing::error!(
            seq = seq.0,
            epoch = epoch.0,
            bytes = aside.job.len(),
            reason = unreadable.reason,
            "job set aside, its events are not counted; see errsift dead"
        );
        Ok(true)
    }

    /// Reads how many there are, unless that is known, and shows it.
    pub(crate) fn read(&mut self, backlog: &mut dyn Backlog) -> Result<DeadJobs, JournalFault> {
        let dead = match self.dead {
            Some(dead) => dead,
            None => *self.dead.insert(backlog.dead()?),
        };
        self.counters.dead_jobs.set(dead.jobs);
        self.counters.dead_job_events.set(dead.events);
        Ok(dead)
    }

    /// Whether the events of all dead jobs are known, as far as the journal was asked.
    pub(crate) fn is_counted(&self) -> bool {
        self.dead.is_some_and(|dead| dead.is_counted())
    }

    /// Reads how many there are: somebody else may have counted or dropped a job. If the journal
    /// does not answer, what is known stays.
    pub(crate) fn look_again(&mut self, backlog: &mut dyn Backlog) {
        if let Ok(dead) = backlog.dead() {
            self.dead = Some(dead);
        }
    }

    /// Finds out the events of jobs for which that is not known, if the tables stand where it can
    /// be told, and has the journal keep it. `apart` are the events that only the journal and only
    /// the tables knew of; if that is still to be reckoned, what the tables lack is taken to be in
    /// dead jobs.
    pub(crate) fn count(
        &mut self,
        backlog: &mut dyn Backlog,
        errors: &mut dyn ErrorsWriter,
        apart: Option<(u64, u64)>,
    ) -> Result<(), Obstacle> {
        let dead = self.read(backlog)?;
        if dead.is_counted() {
            return Ok(());
        }
        let settled = errors.settled(self.claim.shard)?;
        if settled.guards.iter().any(|guard| guard.seq < self.fence.seq) {
            return Ok(());
        }
        let Some(journaled) = self.journaled(&settled.guards) else { return Ok(()) };
        let (lost, foreign) = apart.unwrap_or_default();
        let accounted = settled.events() + lost;
        let events = match (journaled + foreign).checked_sub(accounted) {
            Some(events) => events,
            None if apart.is_none() => 0,
            None => {
                tracing::error!(journaled, accounted, "more is counted than was journaled");
                return Ok(());
            }
        };
        if backlog.count_dead(&self.claim, dead.last, events)? {
            tracing::warn!(jobs = dead.jobs, events, "events in jobs that were set aside");
        }
        self.dead = None;
        self.read(backlog)?;
        Ok(())
    }

    /// What the fence said when the last flight that all parts have was executed, if they all stand
    /// at one epoch and this process knows it.
    pub(crate) fn journaled(&self, guards: &Guards) -> Option<u64> {
        let epoch = guards[0].epoch;
        if !guards.iter().all(|guard| guard.epoch == epoch) {
            return None;
        }
        // the tombstone of the last flight may stand in the epoch before its own
        let has_dead = self.dead.is_some_and(|dead| dead.last > Seq::default());
        if has_dead && guards.iter().all(|guard| guard.seq == self.fence.seq) {
            return Some(self.fence.events);
        }
        self.epochs.total(epoch)
    }
}
