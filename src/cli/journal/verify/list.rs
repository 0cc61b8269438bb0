//! A journal in memory, for tests, that a test can damage, and that can move on between readings.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use errsift_ops::{
    event::{EventId, Payload},
    fingerprint::{Fingerprint, RULE},
    flight::{Details, Entry, Flight},
    id::{Epoch, Nonce, Part, Seq, Shard, Term},
    job::{self, Job},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};
use errsift_pipeline::ports::{
    dead::DeadJobs,
    errors::{DeadLetters, ErrorsFault, Guard, Settled},
    journal::{Fence, JournalFault},
};

use crate::inspect::{InspectGuards, InspectJournal, JobPage, PendingRow, Standing, StoredJob};

/// All events are of this error.
pub const FINGERPRINT: Fingerprint = Fingerprint([1; 32]);

pub struct List {
    pub fence: Fence,
    pub base: u64,
    pub jobs: Vec<Vec<u8>>,
    pub pending: BTreeMap<Epoch, Vec<PendingRow>>,
    pub page_jobs: usize,
    /// What a server does before the n-th page is read.
    pub before_page: BTreeMap<u32, fn(&mut List)>,
    pub pages: u32,
    pub dead: DeadJobs,
}

impl List {
    /// Jobs by number, epoch and count; received at the second of their epoch. All of it pending.
    pub fn of(jobs: &[(u64, u64, u64)]) -> Self {
        let fence = Fence { term: Term(1), nonce: Nonce(7), ..Fence::default() };
        let mut list = Self {
            fence,
            base: 1,
            jobs: Vec::new(),
            pending: BTreeMap::new(),
            page_jobs: 2,
            before_page: BTreeMap::new(),
            pages: 0,
            dead: DeadJobs::default(),
        };
        for (seq, epoch, count) in jobs {
            list.push(*seq, *epoch, *count);
            list.count(*epoch, *count);
        }
        list
    }

    /// Journals a job that is not pending yet.
    pub fn push(&mut self, seq: u64, epoch: u64, count: u64) {
        self.jobs.push(encoded(seq, epoch, count));
        self.fence.seq = Seq(seq);
        self.fence.epoch = Epoch(epoch);
        self.fence.events += count;
    }

    pub fn count(&mut self, epoch: u64, count: u64) {
        let rows = self.pending.entry(Epoch(epoch)).or_default();
        let before = rows.pop().flatten().map_or(0, |(_, before)| before);
        rows.push(Some((FINGERPRINT, before + count)));
    }

    pub fn corrupt(&mut self, seq: u64) {
        let at = usize::try_from(seq - self.base).unwrap();
        self.jobs[at][0] ^= 1;
    }

    /// Sets a job aside; its events are not known yet.
    pub fn set_aside(&mut self, seq: u64) {
        let at = usize::try_from(seq - self.base).unwrap();
        let epoch = job::header(&self.jobs[at]).unwrap().epoch;
        self.jobs[at] = job::tombstone(Shard(0), Term(1), Seq(seq), epoch);
        self.dead.jobs += 1;
        self.dead.last = Seq(seq);
    }

    pub fn trim(&mut self, upto: u64) {
        for job in self.jobs.drain(..usize::try_from(upto + 1 - self.base).unwrap()) {
            self.pending.remove(&job::decode(&job).unwrap().flight.epoch);
        }
        self.base = upto + 1;
    }
}

fn encoded(seq: u64, epoch: u64, count: u64) -> Vec<u8> {
    let at = Timestamp::from_millis(i64::try_from(epoch).unwrap() * 1000);
    let payload = Payload { message: "a\u{1b}b\nc".into(), ..Payload::default() };
    let entry = Entry {
        fingerprint: FINGERPRINT,
        window: Window::of(at),
        tally: Tally { count, first: at, last: at },
        details: (seq == 1).then(|| Arc::new(Details { rule: RULE, payload })),
    };
    let (seq, epoch) = (Seq(seq), Epoch(epoch));
    let (entries, ids) = (vec![entry], vec![EventId(seq.0.into())]);
    let flight = Flight { seq, epoch, received_min: at, received_max: at, entries, ids };
    job::encode(&Job { shard: Shard(0), term: Term(1), first: seq, flight })
}

impl InspectJournal for List {
    fn standing(&mut self) -> Result<Standing, JournalFault> {
        let jobs = self.jobs.len() as u64;
        Ok(Standing { fence: self.fence, base: Seq(self.base), jobs, bytes: 0 })
    }

    fn jobs(&mut self, from: Seq) -> Result<JobPage, JournalFault> {
        self.pages += 1;
        if let Some(act) = self.before_page.remove(&self.pages) {
            act(self);
        }
        let skipped = usize::try_from(from.0.saturating_sub(self.base)).unwrap();
        let jobs = (self.base..)
            .zip(&self.jobs)
            .skip(skipped)
            .take(self.page_jobs)
            .map(|(at, job)| StoredJob { at: Seq(at), bytes: Bytes::from(job.clone()) })
            .collect();
        Ok(JobPage { base: Seq(self.base), jobs })
    }

    fn pending(
        &mut self,
        epoch: Epoch,
        each: &mut dyn FnMut(PendingRow),
    ) -> Result<(), JournalFault> {
        self.pending.get(&epoch).into_iter().flatten().for_each(|row| each(*row));
        Ok(())
    }

    fn dead(&mut self) -> Result<DeadJobs, JournalFault> {
        Ok(self.dead)
    }

    fn dead_jobs(&mut self, _: u64, _: usize) -> Result<Vec<Bytes>, JournalFault> {
        Ok(Vec::new())
    }
}

/// Guard rows that all stand at one epoch, or tables that are away.
pub struct Rows(pub Option<(u64, u64)>);

impl InspectGuards for Rows {
    fn settled(&mut self) -> Result<Settled, ErrorsFault> {
        let Some((epoch, events)) = self.0 else {
            return Err(ErrorsFault::Transient("no connection".to_owned()));
        };
        let mut guards = [Guard { epoch: Epoch(epoch), ..Guard::default() }; Part::COUNT];
        guards[FINGERPRINT.part().index()].events = events;
        Ok(Settled { guards, dead: DeadLetters::default() })
    }
}
