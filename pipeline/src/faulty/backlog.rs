//! The reading end of a journal, behind faults.

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Seq, Term},
    timestamp::Timestamp,
};

use super::{Faulty, How};
use crate::ports::{
    dead::{Aside, DeadJobs, Recovery, SetAside},
    errors::Claim,
    holder::{Beat, Holder},
    journal::{Backlog, Fence, JobIds, JournalFault, JournalSize, Merge, Page},
};

impl<B: Backlog> Faulty<B> {
    /// A change of the journal that happens or not, and is told or not.
    fn perhaps<T>(
        &mut self,
        change: impl FnOnce(&mut B) -> Result<T, JournalFault> + Send + 'static,
    ) -> Result<T, JournalFault> {
        self.arrive();
        match self.faults.next_change() {
            None => return change(&mut self.store),
            Some(How::LostAnswer) => drop(change(&mut self.store)?),
            Some(How::Late) => self.delay(|store| drop(change(store))),
            Some(_) => {}
        }
        Err(JournalFault::new("fault on purpose"))
    }
}

impl<B: Backlog> Backlog for Faulty<B> {
    fn page(&mut self, from: Seq, jobs_max: usize) -> Result<Page, JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.page(from, jobs_max)
    }

    fn add_pending(
        &mut self,
        term: Term,
        epoch: Epoch,
        counts: &[(Fingerprint, u64)],
    ) -> Result<(), JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.add_pending(term, epoch, counts)
    }

    fn reset_pending(&mut self, epochs: &[Epoch]) -> Result<(), JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.reset_pending(epochs)
    }

    fn pending(
        &mut self,
        fingerprint: &Fingerprint,
        epochs: &[Epoch],
    ) -> Result<Vec<u64>, JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.pending(fingerprint, epochs)
    }

    fn fence(&mut self) -> Result<Fence, JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.fence()
    }

    fn size(&mut self) -> Result<JournalSize, JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.size()
    }

    fn set_aside(&mut self, claim: &Claim, aside: &Aside) -> Result<SetAside, JournalFault> {
        let (claim, aside) = (*claim, aside.clone());
        self.perhaps(move |store| store.set_aside(&claim, &aside))
    }

    fn dead(&mut self) -> Result<DeadJobs, JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.dead()
    }

    fn dead_jobs(&mut self, skipped: u64, jobs_max: usize) -> Result<Vec<Bytes>, JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.dead_jobs(skipped, jobs_max)
    }

    fn count_dead(
        &mut self,
        claim: &Claim,
        counted: Seq,
        events: u64,
    ) -> Result<bool, JournalFault> {
        let claim = *claim;
        self.perhaps(move |store| store.count_dead(&claim, counted, events))
    }

    fn drop_dead(&mut self, dead: &Bytes, redriven: u64) -> Result<bool, JournalFault> {
        let dead = dead.clone();
        self.perhaps(move |store| store.drop_dead(&dead, redriven))
    }

    /// Never fails: a process that cannot read it does not start.
    fn recovery(&mut self) -> Result<Recovery, JournalFault> {
        self.store.recovery()
    }

    fn note_recovery(&mut self, claim: &Claim, recovery: &Recovery) -> Result<bool, JournalFault> {
        let (claim, recovery) = (*claim, *recovery);
        self.perhaps(move |store| store.note_recovery(&claim, &recovery))
    }

    fn weaker(&mut self) -> Result<Option<String>, JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.weaker()
    }

    fn trim_keeping(
        &mut self,
        upto: Seq,
        epochs: &[Epoch],
        ids: &[JobIds],
        since: Timestamp,
    ) -> Result<(), JournalFault> {
        let (epochs, ids) = (epochs.to_vec(), ids.to_vec());
        self.perhaps(move |store| store.trim_keeping(upto, &epochs, &ids, since))
    }

    fn kept_ids(&mut self) -> Result<Vec<JobIds>, JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.kept_ids()
    }

    fn merge(&mut self, merge: &Merge) -> Result<bool, JournalFault> {
        let merge = merge.clone();
        self.perhaps(move |store| store.merge(&merge))
    }

    fn beat(&mut self, holder: &Holder) -> Result<Beat, JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.beat(holder)
    }

    fn holder(&mut self) -> Result<Option<Holder>, JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.holder()
    }

    fn release(&mut self, holder: &Holder) -> Result<(), JournalFault> {
        self.arrive();
        self.faults.journal()?;
        self.store.release(holder)
    }
}
