//! One process's way to the stores. When the process dies, at a call that was chosen before, its
//! way leads to copies from then on: its threads end there, and the stores hear no more of it.

use std::{
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Nonce, Seq, Shard, Term},
    timestamp::Timestamp,
};
use errsift_pipeline::{
    memory::{MemoryErrors, MemoryJournal},
    ports::{
        clock::Clock,
        dead::{Aside, DeadJobs, Recovery, SetAside},
        errors::{
            Applied, Claim, DeadLetters, DetailsRow, ErrorRow, Errors, ErrorsFault, ErrorsReader,
            ErrorsWriter, Guards, Range, Settled,
        },
        heal::Heal,
        holder::{Beat, Holder},
        journal::{
            Acquired, Armed, Backlog, Commit, CommitDone, CommitFault, Fence, FenceDone, JobIds,
            Journal, JournalFault, JournalSize, Merge, Page, Progress,
        },
    },
};

use super::world::{Late, World};

/// When a process dies: after so many calls, before or after that call does its work.
#[derive(Clone, Copy, Debug)]
pub struct Doom {
    pub calls: u8,
    pub done: bool,
}

/// One process's life.
pub struct Life {
    pub world: Arc<World>,
    dead: AtomicBool,
    /// Whether nobody cares any more what its threads do.
    buried: AtomicBool,
    doom: Mutex<Option<Doom>>,
    /// Once it is dead.
    copies: RwLock<Option<(MemoryJournal, MemoryErrors)>>,
}

/// A process's handle on both stores.
#[derive(Clone)]
pub struct Door(pub Arc<Life>);

impl Life {
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        let world = Arc::clone(world);
        let (dead, buried) = (AtomicBool::default(), AtomicBool::default());
        let (doom, copies) = (Mutex::default(), RwLock::default());
        Arc::new(Self { world, dead, buried, doom, copies })
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Has the process die at a call to come, or no more; says whether it lives.
    pub fn doom(&self, at: Option<Doom>) -> bool {
        *self.doom.lock().unwrap() = at;
        !self.is_dead()
    }

    /// Whether it dies at a call to come.
    pub fn is_doomed(&self) -> bool {
        self.doom.lock().unwrap().is_some()
    }

    /// Ends the process: what it has asked for is done, and nothing that it asks from now on.
    pub fn end(&self) {
        self.world.tell(|| "a process ends".to_owned());
        self.dead.store(true, Ordering::SeqCst);
        let mut copies = self.copies.write().unwrap();
        copies.get_or_insert_with(|| (self.world.journal.backup(), self.world.tables.backup()));
    }

    /// Ends its threads, each when it looks at the time: one that had to stop would else wait for
    /// what never comes, and thousands of them would slow down all that follows.
    pub fn bury(&self) {
        self.buried.store(true, Ordering::SeqCst);
    }

    /// Adds what it asks for to what has happened, while it lives.
    fn asks(&self, line: impl FnOnce() -> String) {
        if !self.is_dead() {
            self.world.tell(line);
        }
    }

    /// Does `work`, unless the process dies before; gets `None` for the world itself.
    fn call<T>(&self, work: impl FnOnce(Option<&(MemoryJournal, MemoryErrors)>) -> T) -> T {
        let fate = {
            let mut doom = self.doom.lock().unwrap();
            let fate = doom.take_if(|doom| doom.calls == 0);
            if let Some(doom) = doom.as_mut() {
                doom.calls -= 1;
            }
            if fate.is_some() {
                // nobody hears of what it does from here on
                self.dead.store(true, Ordering::SeqCst);
            }
            fate
        };
        if fate.is_some_and(|doom| !doom.done) {
            self.end();
        }
        let result = work(self.copies.read().unwrap().as_ref());
        if fate.is_some() {
            self.end();
        }
        result
    }

    fn journal<T>(
        &self,
        work: impl FnOnce(&mut MemoryJournal) -> Result<T, JournalFault>,
    ) -> Result<T, JournalFault> {
        self.call(|copies| match copies {
            Some((journal, _)) => work(&mut journal.clone()),
            None if self.world.journal_away.load(Ordering::SeqCst) => {
                Err(JournalFault::new("away"))
            }
            None => work(&mut self.world.journal.clone()),
        })
    }

    fn tables<T>(
        &self,
        work: impl FnOnce(&mut MemoryErrors, bool) -> Result<T, ErrorsFault>,
    ) -> Result<T, ErrorsFault> {
        self.call(|copies| match copies {
            Some((_, tables)) => work(&mut tables.clone(), false),
            None if self.world.tables_away.load(Ordering::SeqCst) => {
                Err(ErrorsFault::Transient("away".to_owned()))
            }
            None => work(&mut self.world.tables.clone(), true),
        })
    }
}

impl Clock for Life {
    fn wall(&self) -> Timestamp {
        self.world.wall()
    }

    fn monotonic(&self) -> Duration {
        if self.buried.load(Ordering::SeqCst) {
            // says nothing, and ends no more than this thread
            std::panic::resume_unwind(Box::new(()));
        }
        self.world.monotonic()
    }
}

impl Journal for Door {
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        self.0.asks(|| format!("take the shard, {at_least:?}"));
        let world = Arc::clone(&self.0.world);
        self.0.journal(|journal| {
            world.acquire(|| {
                let acquired = journal.acquire(nonce, at_least);
                let fence = acquired.as_ref().ok().map(|acquired| *acquired.armed.fence());
                (acquired, fence.map(|fence| (fence.term, fence.nonce)))
            })
        })
    }

    fn commit(&mut self, commit: Commit, done: CommitDone) {
        let (send, receive) = std::sync::mpsc::channel();
        let noted: CommitDone = Box::new(move |result| send.send(result).unwrap());
        let world = &self.0.world;
        self.0.call(|copies| match copies {
            Some((journal, _)) => journal.clone().commit(commit, noted),
            None if world.journal_away.load(Ordering::SeqCst) => {
                noted(Err(CommitFault::Refused { reason: "away".to_owned(), armed: None }));
            }
            None if world.next_is_late() => {
                world.keep(Late::new(commit));
                noted(Err(CommitFault::Unknown { reason: "late".to_owned() }));
            }
            None => world.commit(commit, noted),
        });
        done(receive.recv().unwrap());
    }

    fn confirm(&mut self, armed: Armed, done: CommitDone) {
        let away = self.0.journal(|_| Ok(())).err();
        done(match away {
            Some(fault) => Err(CommitFault::Unknown { reason: fault.reason }),
            None => Ok(armed),
        });
    }

    fn rearm(&mut self, done: FenceDone) {
        done(self.0.journal(Backlog::fence));
    }

    fn heal(&mut self, heal: Heal, done: FenceDone) {
        let (send, receive) = std::sync::mpsc::channel();
        self.0.asks(|| format!("heal {:?} to {:?} from {:?}", heal.found, heal.after, heal.base));
        let read = self.0.journal(|journal| {
            journal.heal(heal, Box::new(move |read| send.send(read).unwrap()));
            receive.recv().unwrap()
        });
        done(read);
    }
}

impl Backlog for Door {
    fn page(&mut self, from: Seq, jobs_max: usize) -> Result<Page, JournalFault> {
        self.0.journal(|journal| journal.page(from, jobs_max))
    }

    fn add_pending(
        &mut self,
        term: Term,
        epoch: Epoch,
        counts: &[(Fingerprint, u64)],
    ) -> Result<(), JournalFault> {
        self.0.asks(|| format!("add pending in {epoch:?} as {term:?}"));
        self.0.journal(|journal| journal.add_pending(term, epoch, counts))
    }

    fn reset_pending(&mut self, epochs: &[Epoch]) -> Result<(), JournalFault> {
        self.0.asks(|| format!("reset pending in {epochs:?}"));
        self.0.journal(|journal| journal.reset_pending(epochs))
    }

    fn pending(
        &mut self,
        fingerprint: &Fingerprint,
        epochs: &[Epoch],
    ) -> Result<Vec<u64>, JournalFault> {
        self.0.journal(|journal| journal.pending(fingerprint, epochs))
    }

    fn fence(&mut self) -> Result<Fence, JournalFault> {
        self.0.journal(Backlog::fence)
    }

    fn size(&mut self) -> Result<JournalSize, JournalFault> {
        self.0.journal(Backlog::size)
    }

    fn set_aside(&mut self, claim: &Claim, aside: &Aside) -> Result<SetAside, JournalFault> {
        if !self.0.is_dead() {
            self.0.world.set_aside(aside.seq);
        }
        self.0.journal(|journal| journal.set_aside(claim, aside))
    }

    fn dead(&mut self) -> Result<DeadJobs, JournalFault> {
        self.0.journal(Backlog::dead)
    }

    fn dead_jobs(&mut self, skipped: u64, jobs_max: usize) -> Result<Vec<Bytes>, JournalFault> {
        self.0.journal(|journal| journal.dead_jobs(skipped, jobs_max))
    }

    fn count_dead(
        &mut self,
        claim: &Claim,
        counted: Seq,
        events: u64,
    ) -> Result<bool, JournalFault> {
        self.0.journal(|journal| journal.count_dead(claim, counted, events))
    }

    fn drop_dead(&mut self, dead: &Bytes, redriven: u64) -> Result<bool, JournalFault> {
        self.0.journal(|journal| journal.drop_dead(dead, redriven))
    }

    fn recovery(&mut self) -> Result<Recovery, JournalFault> {
        let recovery = self.0.journal(Backlog::recovery)?;
        // one death less than sets a job aside: here it was none of them that killed
        Ok(Recovery { deaths: recovery.deaths.min(1), ..recovery })
    }

    fn note_recovery(&mut self, claim: &Claim, recovery: &Recovery) -> Result<bool, JournalFault> {
        self.0.journal(|journal| journal.note_recovery(claim, recovery))
    }

    fn trim_keeping(
        &mut self,
        upto: Seq,
        epochs: &[Epoch],
        ids: &[JobIds],
        since: Timestamp,
    ) -> Result<(), JournalFault> {
        self.0.asks(|| format!("trim up to {upto:?} and {epochs:?}, keeping {ids:?}"));
        self.0.journal(|journal| journal.trim_keeping(upto, epochs, ids, since))
    }

    fn kept_ids(&mut self) -> Result<Vec<JobIds>, JournalFault> {
        self.0.journal(Backlog::kept_ids)
    }

    fn merge(&mut self, merge: &Merge) -> Result<bool, JournalFault> {
        self.0.journal(|journal| journal.merge(merge))
    }

    fn beat(&mut self, holder: &Holder) -> Result<Beat, JournalFault> {
        self.0.journal(|journal| journal.beat(holder))
    }

    fn holder(&mut self) -> Result<Option<Holder>, JournalFault> {
        self.0.journal(Backlog::holder)
    }

    fn release(&mut self, holder: &Holder) -> Result<(), JournalFault> {
        self.0.journal(|journal| journal.release(holder))
    }
}

impl Errors for Door {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(self.clone())
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        Box::new(self.clone())
    }
}

impl ErrorsWriter for Door {
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault> {
        self.0.tables(|tables, _| tables.take_guards(claim))
    }

    fn insert_details(
        &mut self,
        shard: Shard,
        rows: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault> {
        self.0.asks(|| format!("store words of {} errors", rows.len()));
        self.0.tables(|tables, _| tables.insert_details(shard, rows))
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        let Range { after, upto, seq, .. } = range;
        self.0.asks(|| format!("apply {after:?} to {upto:?} up to {seq:?} as {:?}", claim.term));
        self.0.tables(|tables, shared| {
            let applied = tables.apply(claim, range);
            if shared && applied.as_ref().is_ok_and(Applied::is_whole) {
                self.0.world.applied(range);
            }
            applied
        })
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        self.0.tables(|tables, _| Ok(MemoryErrors::guards(tables, shard)))
    }

    fn settled(&mut self, shard: Shard) -> Result<Settled, ErrorsFault> {
        self.0.tables(|tables, _| tables.settled(shard))
    }
}

impl ErrorsReader for Door {
    fn read(&mut self, shard: Shard, fingerprint: &Fingerprint) -> Result<ErrorRow, ErrorsFault> {
        self.0.tables(|tables, _| tables.read(shard, fingerprint))
    }
}
