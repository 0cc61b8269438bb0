//! A journal in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Nonce, Seq, Term},
};

use super::locked;
use crate::ports::{
    dead::{Aside, DeadJob, DeadJobs, Recovery, SetAside},
    errors::Claim,
    journal::{
        Acquired, Armed, Backlog, Commit, CommitDone, CommitFault, Fence, FenceDone, Journal,
        JournalFault, JournalSize, Page, Progress,
    },
};

/// One shard's journal in memory; clones share it, as connections share a server.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal(Arc<Mutex<Contents>>);

#[derive(Clone, Debug, Default)]
struct Contents {
    fence: Fence,
    base: u64,
    jobs: VecDeque<Bytes>,
    pending: BTreeMap<Epoch, BTreeMap<Fingerprint, u64>>,
    dead: Vec<Bytes>,
    dead_jobs: DeadJobs,
    recovery: Recovery,
}

impl Contents {
    fn holds(&self, claim: &Claim) -> bool {
        (self.fence.term, self.fence.nonce) == (claim.term, claim.nonce)
    }

    fn base(&self) -> Seq {
        Seq(self.base.max(1))
    }
}

impl MemoryJournal {
    /// A copy that goes its own way from here on, as a backup does.
    #[must_use]
    pub fn backup(&self) -> Self {
        Self(Arc::new(Mutex::new(locked(&self.0).clone())))
    }

    /// Forgets everything since `backup` was made, under the feet of whoever uses it.
    pub fn restore(&self, backup: &Self) {
        let contents = locked(&backup.0).clone();
        *locked(&self.0) = contents;
    }
}

impl Journal for MemoryJournal {
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        let mut contents = locked(&self.0);
        let before = contents.fence;
        contents.fence = at_least.taken(&before, nonce);
        if at_least.leaves_behind(&before) {
            contents.base = at_least.seq.next().0;
            contents.jobs.clear();
        }
        let armed = Armed::verify(&contents.fence, contents.fence);
        let armed = armed.map_err(JournalFault::new)?;
        Ok(Acquired { armed, before })
    }

    fn commit(&mut self, commit: Commit, done: CommitDone) {
        let mut contents = locked(&self.0);
        let found = contents.fence;
        if found != *commit.armed.fence() {
            drop(contents);
            return done(Err(CommitFault::Moved { found }));
        }
        contents.jobs.push_back(commit.job);
        contents.fence = commit.fence;
        drop(contents);
        done(Armed::verify(&commit.fence, commit.fence));
    }

    fn confirm(&mut self, armed: Armed, done: CommitDone) {
        done(Ok(armed));
    }

    fn rearm(&mut self, done: FenceDone) {
        let fence = locked(&self.0).fence;
        done(Ok(fence));
    }
}

impl Backlog for MemoryJournal {
    fn page(&mut self, from: Seq, jobs_max: usize) -> Result<Page, JournalFault> {
        let contents = locked(&self.0);
        let base = contents.base();
        let skip = usize::try_from(from.0.saturating_sub(base.0)).unwrap_or(usize::MAX);
        let jobs = contents.jobs.iter().skip(skip).take(jobs_max).cloned().collect();
        Ok(Page { base, jobs })
    }

    fn trim(&mut self, upto: Seq, epochs: &[Epoch]) -> Result<(), JournalFault> {
        let mut contents = locked(&self.0);
        let gone = (upto.0 + 1).saturating_sub(contents.base().0);
        let gone = usize::try_from(gone).unwrap_or(usize::MAX).min(contents.jobs.len());
        contents.base = contents.base().0 + gone as u64;
        contents.jobs.drain(..gone);
        contents.pending.retain(|epoch, _| !epochs.contains(epoch));
        Ok(())
    }

    fn add_pending(
        &mut self,
        term: Term,
        epoch: Epoch,
        counts: &[(Fingerprint, u64)],
    ) -> Result<(), JournalFault> {
        let mut contents = locked(&self.0);
        if contents.fence.term != term {
            return Err(JournalFault::new("another writer holds the shard"));
        }
        let pending = contents.pending.entry(epoch).or_default();
        for (fingerprint, count) in counts {
            *pending.entry(*fingerprint).or_default() += count;
        }
        Ok(())
    }

    fn reset_pending(&mut self, epochs: &[Epoch]) -> Result<(), JournalFault> {
        locked(&self.0).pending.retain(|epoch, _| !epochs.contains(epoch));
        Ok(())
    }

    fn pending(
        &mut self,
        fingerprint: &Fingerprint,
        epochs: &[Epoch],
    ) -> Result<Vec<u64>, JournalFault> {
        let contents = locked(&self.0);
        let count = |epoch| contents.pending.get(epoch).and_then(|counts| counts.get(fingerprint));
        Ok(epochs.iter().map(|epoch| count(epoch).copied().unwrap_or(0)).collect())
    }

    fn fence(&mut self) -> Result<Fence, JournalFault> {
        Ok(locked(&self.0).fence)
    }

    fn size(&mut self) -> Result<JournalSize, JournalFault> {
        let contents = locked(&self.0);
        let bytes = contents.jobs.iter().map(|job| job.len() as u64).sum();
        Ok(JournalSize { jobs: contents.jobs.len() as u64, bytes })
    }

    fn set_aside(&mut self, claim: &Claim, aside: &Aside) -> Result<SetAside, JournalFault> {
        let mut contents = locked(&self.0);
        if !contents.holds(claim) {
            return Ok(SetAside::Fenced);
        }
        let at = aside.seq.0.checked_sub(contents.base().0);
        let at = at.and_then(|at| usize::try_from(at).ok());
        let Some(job) = at.and_then(|at| contents.jobs.get_mut(at)) else {
            return Ok(SetAside::Changed);
        };
        if *job == aside.tombstone {
            return Ok(SetAside::Done);
        }
        if *job != aside.job {
            return Ok(SetAside::Changed);
        }
        job.clone_from(&aside.tombstone);
        contents.dead.push(aside.dead.clone());
        contents.dead_jobs.last = aside.seq;
        Ok(SetAside::Done)
    }

    fn dead(&mut self) -> Result<DeadJobs, JournalFault> {
        let contents = locked(&self.0);
        Ok(DeadJobs { jobs: contents.dead.len() as u64, ..contents.dead_jobs })
    }

    fn dead_jobs(&mut self, skipped: u64, jobs_max: usize) -> Result<Vec<Bytes>, JournalFault> {
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        Ok(locked(&self.0).dead.iter().skip(skipped).take(jobs_max).cloned().collect())
    }

    fn count_dead(
        &mut self,
        claim: &Claim,
        counted: Seq,
        events: u64,
    ) -> Result<bool, JournalFault> {
        let mut contents = locked(&self.0);
        if !contents.holds(claim) {
            return Ok(false);
        }
        (contents.dead_jobs.counted, contents.dead_jobs.events) = (counted, events);
        Ok(true)
    }

    fn drop_dead(&mut self, dead: &Bytes, redriven: u64) -> Result<bool, JournalFault> {
        let mut contents = locked(&self.0);
        let Some(at) = contents.dead.iter().position(|each| each == dead) else {
            return Ok(false);
        };
        contents.dead.remove(at);
        let seq = DeadJob::decode(dead).map_or(Seq::default(), |dead| dead.seq);
        // what is not reckoned yet will be reckoned without them
        if seq <= contents.dead_jobs.counted {
            contents.dead_jobs.events = contents.dead_jobs.events.saturating_sub(redriven);
        }
        Ok(true)
    }

    fn recovery(&mut self) -> Result<Recovery, JournalFault> {
        Ok(locked(&self.0).recovery)
    }

    fn note_recovery(&mut self, claim: &Claim, recovery: &Recovery) -> Result<bool, JournalFault> {
        let mut contents = locked(&self.0);
        if !contents.holds(claim) {
            return Ok(false);
        }
        contents.recovery = *recovery;
        Ok(true)
    }
}
