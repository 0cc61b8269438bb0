//! The one journal and the one set of tables that all processes share, and what must hold of them
//! at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Nonce, Seq, Shard, Term},
    job::{self, Job},
    timestamp::Timestamp,
};
use errsift_pipeline::{
    memory::{MemoryErrors, MemoryJournal},
    ports::{
        clock::Clock,
        errors::{Guards, Range},
        journal::{Armed, Backlog, Commit, Journal},
    },
};

/// When the clock starts.
pub const START_MS: i64 = 1_700_000_000_000;
/// The shard of all processes.
pub const SHARD: Shard = Shard(0);

/// Who writes.
pub type Writer = (Term, Nonce);

/// A commit that was sent and has not arrived yet: its sender knows nothing of it any more.
pub struct Late {
    fence: errsift_pipeline::ports::journal::Fence,
    commit: Commit,
}

impl Late {
    /// What `commit` asks for.
    pub fn new(commit: Commit) -> Self {
        Self { fence: *commit.armed.fence(), commit }
    }
}

/// What has been seen of the journal.
#[derive(Default)]
struct Seen {
    /// Who took the shard last.
    holder: Option<Writer>,
    late: Vec<Late>,
    /// Epochs of executed flights that hold something, but for those that are gone for good.
    epochs: BTreeSet<Epoch>,
    /// Epochs that the journal has had and lost for good.
    gone: BTreeSet<Epoch>,
    /// Epochs of which the journal may have forgotten what it had, under a process that has not said
    /// yet whether it can give it again.
    forgotten: BTreeSet<Epoch>,
    /// All jobs ever executed.
    jobs: BTreeSet<Bytes>,
    /// Events in all flights ever executed.
    executed: BTreeMap<(Epoch, Fingerprint), u64>,
    guards: Option<Guards>,
    renumbered: bool,
    /// Up to this epoch, pending counts that were reset may be there again.
    reset_lost: Epoch,
    wrong: Vec<String>,
    /// What has happened, line by line.
    story: Vec<String>,
}

/// Stores, and the time.
#[derive(Default)]
pub struct World {
    pub journal: MemoryJournal,
    pub tables: MemoryErrors,
    pub journal_away: AtomicBool,
    pub tables_away: AtomicBool,
    now_ms: AtomicI64,
    /// Every so many commits, one arrives late; 0 for never.
    late_every: u64,
    commits: AtomicU64,
    seen: Mutex<Seen>,
}

impl Clock for World {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(START_MS + self.now_ms())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.now_ms.fetch_add(1, Ordering::Relaxed).unsigned_abs())
    }
}

impl World {
    /// A world at its start.
    pub fn new(late_every: u64) -> Self {
        Self { late_every, ..Self::default() }
    }

    /// Milliseconds since the start.
    pub fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Lets this much time pass at once.
    pub fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Whether this commit is one that arrives late.
    pub fn next_is_late(&self) -> bool {
        let number = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
        self.late_every > 0 && number.is_multiple_of(self.late_every)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Adds a line to what is printed if the case fails.
    pub fn tell(&self, line: impl FnOnce() -> String) {
        let line = format!("{:>9} {}", self.now_ms(), line());
        self.seen().story.push(line);
    }

    /// What has happened.
    pub fn story(&self) -> String {
        self.seen().story.join("\n")
    }

    /// Keeps a commit for [`World::deliver`].
    pub fn keep(&self, late: Late) {
        self.seen().late.push(late);
    }

    /// Forgets the commits that are under way, as connections do to a server that dies, and that
    /// will have forgotten more.
    pub fn cut(&self) {
        let mut seen = self.seen();
        seen.late.clear();
        seen.reset_lost = self.journal.clone().fence().unwrap().epoch;
    }

    /// Has the commits arrive that are under way.
    pub fn deliver(&self) {
        let late = std::mem::take(&mut self.seen().late);
        for Late { fence, commit } in late {
            let armed = Armed::verify(&fence, fence).unwrap();
            self.commit(Commit { armed, ..commit }, Box::new(|_| ()));
        }
    }

    /// Executes a commit, and holds it to who took the shard last.
    pub fn commit(&self, commit: Commit, done: errsift_pipeline::ports::journal::CommitDone) {
        let (writer, bytes) = ((commit.fence.term, commit.fence.nonce), commit.job.clone());
        let fence = commit.fence;
        let (send, receive) = std::sync::mpsc::channel();
        let mut seen = self.seen();
        let noted = Box::new(move |result| send.send(result).unwrap());
        self.journal.clone().commit(commit, noted);
        let result = receive.recv().unwrap();
        let ended = if result.is_ok() { "executed" } else { "not executed" };
        seen.story.push(format!("{:>9} {fence:?} {ended}", self.now_ms()));
        if result.is_ok() {
            if seen.holder != Some(writer) {
                let holder = seen.holder;
                seen.wrong.push(format!("{writer:?} committed after {holder:?} took the shard"));
            }
            let flight = job::decode(&bytes).unwrap().flight;
            let known = !seen.jobs.insert(bytes);
            seen.gone.remove(&flight.epoch);
            if !flight.entries.is_empty() {
                seen.epochs.insert(flight.epoch);
            }
            // one whose answer was lost is sent again if the journal has forgotten it
            for entry in flight.entries.iter().filter(|_| !known) {
                let executed = seen.executed.entry((flight.epoch, entry.fingerprint));
                *executed.or_default() += entry.tally.count;
            }
        }
        drop(seen);
        done(result);
    }

    /// Notes who takes the shard, while nobody commits.
    pub fn acquire<T>(&self, take: impl FnOnce() -> (T, Option<Writer>)) -> T {
        let mut seen = self.seen();
        let (taken, writer) = take();
        seen.holder = writer.or(seen.holder);
        taken
    }

    /// Notes that a job is to be set aside: each can be read, and none has killed a process.
    pub fn set_aside(&self, seq: Seq) {
        self.seen().wrong.push(format!("job {seq:?} is set aside"));
    }

    /// Notes that the tables have committed `range`, which must not pass an epoch by.
    pub fn applied(&self, range: &Range<'_>) {
        let mut seen = self.seen();
        let (after, upto) = (range.after.0, range.upto.0);
        let left = epochs_left(&self.journal);
        // what the journal has forgotten and nobody has in memory is gone: it is passed by before the
        // process says so, and must say how much that was
        let is_gone = |epoch: &Epoch| seen.forgotten.contains(epoch) && !left.contains(epoch);
        let first = seen.epochs.range(Epoch(after + 1)..).find(|epoch| !is_gone(epoch)).copied();
        if let Some(first) = first.filter(|first| *first < range.upto) {
            seen.wrong.push(format!("guards went from {after} to {upto} past {first:?}"));
        }
    }

    /// Notes that the journal is about to forget flights under a process that is alive.
    pub fn forgets(&self) {
        let mut seen = self.seen();
        let Seen { forgotten, epochs, .. } = &mut *seen;
        forgotten.clone_from(epochs);
    }

    /// Events executed of each error.
    pub fn executed(&self) -> BTreeMap<Fingerprint, u64> {
        let mut executed = BTreeMap::new();
        for ((_, name), events) in &self.seen().executed {
            *executed.entry(*name).or_default() += events;
        }
        executed
    }

    /// Epochs in which events were executed, but for those that are gone for good.
    pub fn epochs(&self) -> Vec<Epoch> {
        let seen = self.seen();
        let epochs: BTreeSet<_> = seen.executed.keys().map(|(epoch, _)| *epoch).collect();
        epochs.difference(&seen.gone).copied().collect()
    }

    /// Notes that flights are gone for good: epochs of which the journal has none may be passed by.
    pub fn lost(&self) {
        let mut seen = self.seen();
        let left = epochs_left(&self.journal);
        seen.epochs.retain(|epoch| left.contains(epoch));
        self.lost_after_fence(&mut seen);
    }

    /// Notes that any flight may be gone for good.
    pub fn lost_all(&self) {
        let mut seen = self.seen();
        seen.epochs.clear();
        self.lost_after_fence(&mut seen);
    }

    /// Notes that the epochs after the fence's are gone for good.
    fn lost_after_fence(&self, seen: &mut Seen) {
        let last = self.journal.clone().fence().unwrap().epoch;
        let executed = seen.executed.keys().map(|(epoch, _)| *epoch);
        seen.gone.extend(executed.filter(|epoch| *epoch > last));
        seen.renumbered = true;
    }

    /// Notes that numbers of flights may be given once more, in later epochs.
    pub fn renumbered(&self) {
        self.seen().renumbered = true;
    }

    /// Puts older tables in the place of these.
    pub fn restore_tables(&self, backup: &MemoryErrors) {
        self.tables.restore(backup);
        self.seen().guards = None;
    }

    /// Whether every part has all that the journal has ever had, and its words.
    pub fn all_applied(&self) -> bool {
        let fence = self.journal.clone().fence().unwrap();
        let guards = self.tables.guards(SHARD);
        let events: u64 = guards.iter().map(|guard| guard.events).sum();
        let words = self.tables.messages();
        let worded = self.tables.counts().keys().all(|name| words.contains_key(name));
        let passed = guards.iter().all(|guard| guard.epoch >= fence.epoch);
        events == fence.events && passed && worded
    }

    /// Whether the journal still holds all that `tables` lack, be it counts or words.
    pub fn holds_what_lacks(&self, tables: &MemoryErrors) -> bool {
        let guards = tables.guards(SHARD);
        let last = guards.iter().map(|guard| guard.epoch).min().unwrap_or_default();
        let mut words: BTreeSet<_> = tables.messages().into_keys().collect();
        let mut held: BTreeMap<_, u64> = BTreeMap::new();
        for job in jobs(&self.journal) {
            for entry in job.flight.entries {
                let events = held.entry((job.flight.epoch, entry.fingerprint)).or_default();
                *events += entry.tally.count;
                words.extend(entry.details.is_some().then_some(entry.fingerprint));
            }
        }
        let seen = self.seen();
        // not by the numbers of flights, which may have begun anew since the copy was made; nor by
        // epochs alone: a trim that meets a journal without its last flights drops the first ones
        let mut lacking = seen.executed.iter().filter(|((epoch, _), _)| *epoch > last);
        let holds = lacking.all(|(at, events)| {
            seen.gone.contains(&at.0) || held.get(at).is_some_and(|held| held >= events)
        });
        holds && tables.counts().keys().all(|name| words.contains(name))
    }

    /// What is wrong now or was before.
    pub fn wrong(&self) -> Vec<String> {
        let mut seen = self.seen();
        // others commit and take the shard under the same lock
        let journal = self.journal.backup();
        let mut wrong = std::mem::take(&mut seen.wrong);
        wrong.extend(wrong_in(&journal));
        wrong.extend(too_much_pending(&journal, &seen));
        let guards = self.tables.guards(SHARD);
        if let Some(before) = &seen.guards {
            for (part, (before, now)) in before.iter().zip(&guards).enumerate() {
                if (now.epoch, now.seq, now.term) < (before.epoch, before.seq, before.term)
                    || now.term < before.term
                    || (now.seq < before.seq && !seen.renumbered)
                    || now.events < before.events
                {
                    wrong.push(format!("part {part} went from {before:?} to {now:?}"));
                }
            }
        }
        seen.guards = Some(guards);
        wrong
    }
}

/// Epochs of the jobs that the journal holds.
fn epochs_left(journal: &MemoryJournal) -> BTreeSet<Epoch> {
    jobs(&journal.backup()).into_iter().map(|job| job.flight.epoch).collect()
}

/// Jobs follow each other up to the fence, and neither terms nor epochs go back.
fn wrong_in(journal: &MemoryJournal) -> Vec<String> {
    let mut journal = journal.clone();
    let fence = journal.fence().unwrap();
    let mut wrong = Vec::new();
    let (mut next, mut last) = (Seq(1), (Term(0), Epoch(0)));
    loop {
        let page = journal.page(next, 64).unwrap();
        next = next.max(page.base);
        if page.jobs.is_empty() {
            break;
        }
        for bytes in page.jobs {
            let seq = next;
            next = next.next();
            if *bytes == *job::BLANK {
                continue;
            }
            let job = job::decode(&bytes).unwrap();
            let at = (job.term, job.flight.epoch);
            if job.flight.seq != seq || at.0 < last.0 || at.1 < last.1 || at.0 > fence.term {
                wrong.push(format!("job {seq:?} is {:?} of {at:?} after {last:?}", job.flight.seq));
            }
            last = at;
        }
    }
    if next != fence.seq.next() {
        wrong.push(format!("the list ends before {next:?}, the fence is {fence:?}"));
    }
    wrong
}

/// The jobs that can be read, in order.
fn jobs(journal: &MemoryJournal) -> Vec<Job> {
    let mut journal = journal.clone();
    let (mut next, mut jobs) = (Seq(1), Vec::new());
    loop {
        let page = journal.page(next, 64).unwrap();
        if page.jobs.is_empty() {
            return jobs;
        }
        next = Seq(next.max(page.base).0 + page.jobs.len() as u64);
        jobs.extend(page.jobs.iter().filter_map(|bytes| job::decode(bytes).ok()));
    }
}

/// Nothing is pending that was not executed, whoever counts it anew.
fn too_much_pending(journal: &MemoryJournal, seen: &Seen) -> Option<String> {
    let mut journal = journal.clone();
    let mut too_much = |epoch: Epoch, name: Fingerprint, events: u64| {
        let pending = journal.pending(&name, &[epoch]).unwrap()[0];
        (pending > events)
            .then(|| format!("{pending} of {name} are pending in {epoch}, executed are {events}"))
    };
    let mut executed = seen.executed.iter().filter(|((epoch, _), _)| *epoch > seen.reset_lost);
    executed.find_map(|((epoch, name), events)| too_much(*epoch, *name, *events))
}

/// How often each error is counted, and the first that has no words.
pub fn counts(tables: &MemoryErrors) -> (BTreeMap<Fingerprint, u64>, Option<Fingerprint>) {
    let (words, counted) = (tables.messages(), tables.counts());
    let wordless = counted.keys().find(|name| !words.contains_key(name)).copied();
    (counted.into_iter().map(|(name, tally)| (name, tally.count)).collect(), wordless)
}
