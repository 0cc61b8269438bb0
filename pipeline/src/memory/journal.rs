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
use crate::ports::holder::{Beat, Holder};
use crate::ports::journal::{
    Acquired, Armed, Backlog, Commit, CommitDone, CommitFault, Fence, FenceDone, Journal,
    JournalFault, JournalSize, Page, Progress,
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
    /// Does not run out: there is no clock here.
    holder: Option<Holder>,
}

impl Contents {
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
        contents.fence = at_least.taken(&before, nonce)?;
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
