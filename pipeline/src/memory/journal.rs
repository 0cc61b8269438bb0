//! A journal in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Nonce, Seq, Term},
    timestamp::Timestamp,
};

use super::locked;
use crate::{
    ports::{
        dead::{Aside, DeadJob, DeadJobs, Recovery, SetAside},
        errors::Claim,
        heal::Heal,
        holder::{Beat, Holder},
        journal::{
            Acquired, Armed, Backlog, Commit, CommitDone, CommitFault, Fence, FenceDone, JobIds,
            Journal, JournalFault, JournalSize, Merge, Page, Progress,
        },
    },
    settings::PAGE_BYTES_MAX,
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
    /// All that it held before each commit since the shard was taken, without histories.
    history: VecDeque<Arc<Contents>>,
    ids: Vec<JobIds>,
    /// Does not run out: there is no clock here.
    holder: Option<Holder>,
}

/// Flights that can be forgotten one by one.
const HISTORY: usize = 256;

impl Contents {
    fn holds(&self, claim: &Claim) -> bool {
        (self.fence.term, self.fence.nonce) == (claim.term, claim.nonce)
    }

    fn base(&self) -> Seq {
        Seq(self.base.max(1))
    }

    fn remember(&mut self) {
        let before = Self {
            jobs: self.jobs.clone(),
            pending: self.pending.clone(),
            dead: self.dead.clone(),
            ids: self.ids.clone(),
            holder: self.holder.clone(),
            history: VecDeque::new(),
            ..*self
        };
        self.history.push_back(Arc::new(before));
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
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

    /// Forgets the last `flights` since the shard was taken, and all that was done since the first
    /// of them, as a server does that had not synced it yet, under the feet of whoever uses it. Says
    /// how many it had.
    pub fn forget(&self, flights: usize) -> usize {
        let mut contents = locked(&self.0);
        let kept = contents.history.len().saturating_sub(flights);
        let mut history = std::mem::take(&mut contents.history);
        let forgotten = history.split_off(kept);
        if let Some(before) = forgotten.front() {
            *contents = Contents::clone(before);
        }
        contents.history = history;
        forgotten.len()
    }

    /// Forgets everything, under the feet of whoever uses it.
    pub fn empty(&self) {
        *locked(&self.0) = Contents::default();
    }
}

impl Journal for MemoryJournal {
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        let mut contents = locked(&self.0);
        let before = contents.fence;
        contents.fence = at_least.taken(&before, nonce)?;
        if at_least.leaves_behind(&before) {
            contents.base = at_least.seq.next().0;
            contents.jobs.clear();
        }
        contents.history.clear();
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
        contents.remember();
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

    fn heal(&mut self, heal: Heal, done: FenceDone) {
        let mut contents = locked(&self.0);
        if contents.fence == heal.found {
            if let Some(base) = heal.base {
                contents.base = base.0;
                contents.jobs.clear();
                contents.history.clear();
            }
            for recent in heal.jobs {
                if contents.fence != heal.found || heal.base.is_none() {
                    // between what was and what takes its place there is nothing
                    contents.remember();
                }
                contents.fence = recent.after;
                contents.jobs.push_back(recent.job);
            }
            contents.fence = heal.after;
        }
        let fence = contents.fence;
        drop(contents);
        done(Ok(fence));
    }
}

impl Backlog for MemoryJournal {
    fn page(&mut self, from: Seq, jobs_max: usize) -> Result<Page, JournalFault> {
        let contents = locked(&self.0);
        let base = contents.base();
        let skip = usize::try_from(from.0.saturating_sub(base.0)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fitting = |job: &&Bytes| {
            bytes += job.len();
            bytes - job.len() < PAGE_BYTES_MAX
        };
        let jobs = contents.jobs.iter().skip(skip).take(jobs_max);
        let jobs = jobs.take_while(fitting).cloned().collect();
        Ok(Page { base, jobs })
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

    fn trim_keeping(
        &mut self,
        upto: Seq,
        epochs: &[Epoch],
        ids: &[JobIds],
        since: Timestamp,
    ) -> Result<(), JournalFault> {
        let mut contents = locked(&self.0);
        let base = contents.base();
        contents.ids.extend(ids.iter().filter(|ids| ids.seq >= base).cloned());
        contents.ids.retain(|ids| ids.received >= since);
        let gone = (upto.0 + 1).saturating_sub(base.0);
        let gone = usize::try_from(gone).unwrap_or(usize::MAX).min(contents.jobs.len());
        contents.base = base.0 + gone as u64;
        contents.jobs.drain(..gone);
        contents.pending.retain(|epoch, _| !epochs.contains(epoch));
        Ok(())
    }

    fn kept_ids(&mut self) -> Result<Vec<JobIds>, JournalFault> {
        Ok(locked(&self.0).ids.clone())
    }

    fn merge(&mut self, merge: &Merge) -> Result<bool, JournalFault> {
        let mut contents = locked(&self.0);
        let base = contents.base();
        let last = Seq(base.0 + contents.jobs.len() as u64 - 1);
        if contents.fence.term != merge.term || !merge.is_within(base, last) {
            return Ok(false);
        }
        let place = |seq: Seq| usize::try_from(seq.0 - base.0).unwrap_or(usize::MAX);
        for seq in &merge.blanked {
            contents.jobs[place(*seq)] = Merge::blank();
        }
        contents.jobs[place(merge.seq)] = merge.job.clone();
        Ok(true)
    }

    fn beat(&mut self, holder: &Holder) -> Result<Beat, JournalFault> {
        let mut contents = locked(&self.0);
        let fence = contents.fence;
        if (fence.term, fence.nonce) != (holder.term, holder.nonce) {
            return Ok(Beat::Fenced(fence));
        }
        contents.holder = Some(holder.clone());
        Ok(Beat::Held)
    }

    fn holder(&mut self) -> Result<Option<Holder>, JournalFault> {
        Ok(locked(&self.0).holder.clone())
    }

    fn release(&mut self, holder: &Holder) -> Result<(), JournalFault> {
        locked(&self.0).holder.take_if(|held| held == holder);
        Ok(())
    }
}
