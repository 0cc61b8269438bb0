//! What happens, and what must hold after each step.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use errsift_ops::id::Seq;
use errsift_pipeline::{
    faulty::Faults,
    memory::{MemoryErrors, MemoryJournal},
    ports::{
        errors::Guard,
        journal::{Backlog, Fence},
    },
    settings::Settings,
    stop::Stop,
};

use super::{
    book::{Book, Name},
    door::Doom,
    process::{Process, wait_until},
    world::{SHARD, World},
};

/// Longer than any test.
const EVER: Duration = Duration::from_secs(100_000_000);

/// One event to send.
#[derive(Clone, Copy, Debug)]
pub enum What {
    Own,
    Common(u8),
    Id(u8),
}

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Events are sent, and perhaps all are answered before anything else happens.
    Offer { events: Vec<What>, answered: bool },
    /// The process dies at a call to come.
    Doom(Doom),
    /// The process dies now.
    Kill,
    /// Another process takes the shard while this one is at work, and goes on.
    TakeOver,
    /// The process ends as it should.
    Drain,
    /// The journal loses its last flights.
    Forget(u8),
    /// The journal loses everything.
    Empty,
    /// The process ends as it should, and another journal takes the place of the one that was.
    Lose,
    /// A copy of each store is made.
    Copy,
    /// The tables become one of the copies, if the journal holds the rest.
    Restore(u8),
    /// The process ends as it should, and the journal becomes one of the copies.
    Older(u8),
    /// The tables go away, or come back.
    Tables(bool),
    /// So does the journal.
    Journal(bool),
    /// Commits arrive whose answers nobody waits for any more.
    Deliver,
    /// So many milliseconds pass.
    Pass(i64),
    /// Threads get on.
    Wait(u8),
    /// Live counts come to show all that is executed.
    Look,
}

/// What a run begins with.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub seed: u64,
    pub per_thousand: u64,
    pub late_every: u64,
    pub workers: usize,
    pub flush_ms: u64,
    /// Whether jobs stay in the journal after they are applied.
    pub trim_late: bool,
    /// Whether only the journal has flights between their commit and apply.
    pub paged: bool,
}

/// The processes, the stores and the model.
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that happened")]
pub struct Machine {
    pub case: Case,
    pub world: Arc<World>,
    pub settings: Settings,
    pub faults: Faults,
    pub book: Book,
    /// Who took the shard last, if it lives.
    pub newest: Option<Process>,
    /// Those that it was taken from, and that do not know.
    pub older: Vec<Process>,
    pub copies: Vec<(MemoryJournal, MemoryErrors)>,
    pub nonce: u64,
    /// The fence before the journal lost flights.
    pub whole: Option<Fence>,
    /// Acknowledged events that processes have counted as lost.
    pub lost: u64,
    /// Whether the tables went back under a process that is alive.
    pub went_back: bool,
    /// Whether both stores have lost at once what they had confirmed.
    pub both_lost: bool,
    /// Whether the journal was put back and not taken since.
    pub behind: bool,
    /// Whether no journal has forgotten anything, and no process was alive beside another.
    pub calm: bool,
    /// Whether the journal has forgotten ids that the process still has in memory.
    pub ids_gone: bool,
    /// Whether the journal may lack pending counts that it had since the process started.
    pub pending_gone: bool,
}

pub type Done = Result<(), String>;

/// A case that fails leaves processes: whoever dropped one that lives would wait for its threads, and
/// never say what failed.
impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
        self.kill_older();
    }
}

impl Machine {
    pub fn new(case: Case) -> Self {
        let standard = Settings::default();
        let settings = Settings {
            flush_interval: Duration::from_millis(case.flush_ms),
            workers: case.workers.try_into().unwrap(),
            watchdog: None,
            operator_metrics: false,
            trim_lag: if case.trim_late { EVER } else { Duration::ZERO },
            backlog_bytes_max: if case.paged { 0 } else { standard.backlog_bytes_max },
            ..standard
        };
        Self {
            case,
            world: Arc::new(World::new(case.late_every)),
            settings,
            faults: Faults::new(case.seed, case.per_thousand),
            book: Book::default(),
            newest: None,
            older: Vec::new(),
            copies: Vec::new(),
            nonce: 0,
            whole: None,
            lost: 0,
            went_back: false,
            both_lost: false,
            behind: false,
            calm: true,
            ids_gone: false,
            pending_gone: false,
        }
    }

    /// Does one step, and looks at everything.
    pub fn step(&mut self, step: &Step) -> Done {
        match step {
            Step::Offer { events, answered } => self.offer(events, *answered)?,
            Step::Doom(doom) => {
                self.heal()?;
                if let Some(process) = &self.newest {
                    process.life.doom(Some(*doom));
                }
            }
            Step::Kill => {
                self.heal()?;
                self.kill();
            }
            Step::TakeOver => {
                self.heal()?;
                self.older.extend(self.newest.take());
                self.calm &= self.older.is_empty();
                self.start();
            }
            Step::Drain => self.drain()?,
            Step::Forget(flights) => self.forget(Some(*flights))?,
            Step::Empty => self.forget(None)?,
            Step::Lose => self.another_journal()?,
            Step::Copy => {
                self.copies.push((self.world.journal.backup(), self.world.tables.backup()));
            }
            Step::Restore(copy) => self.restore(*copy)?,
            Step::Older(copy) => self.older_journal(*copy)?,
            Step::Tables(away) => self.world.tables_away.store(*away, Ordering::SeqCst),
            Step::Journal(away) => self.world.journal_away.store(*away, Ordering::SeqCst),
            Step::Deliver => {
                if !self.world.journal_away.load(Ordering::SeqCst) {
                    self.world.deliver();
                }
            }
            Step::Pass(ms) => self.world.pass(*ms),
            Step::Wait(ms) => thread::sleep(Duration::from_millis((*ms).into())),
            Step::Look => self.look()?,
        }
        self.listen()?;
        let wrong = self.world.wrong();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    fn start(&mut self) {
        self.nonce += 1;
        self.went_back &= !self.older.is_empty();
        self.pending_gone = false;
        if std::mem::take(&mut self.ids_gone) {
            self.book.ids_forgotten();
        }
        self.newest = Process::start(&self.world, &self.settings, self.nonce, &self.faults);
        self.behind &= self.newest.is_none();
    }

    fn offer(&mut self, events: &[What], answered: bool) -> Done {
        if self.newest.is_none() {
            self.start();
        }
        let Some(process) = &mut self.newest else { return Ok(()) };
        for what in events {
            let name = |attempt| match what {
                What::Own => Name::Own(attempt),
                What::Common(common) => Name::Common(*common),
                What::Id(id) => Name::Id(*id),
            };
            let (attempt, body) = self.book.send(name, self.world.now_ms());
            process.offer(attempt, body);
            // one who does not know is sent events too
            if attempt % 5 == 0
                && let Some(older) = self.older.last_mut()
            {
                let (attempt, body) = self.book.send(name, self.world.now_ms());
                older.offer(attempt, body);
            }
        }
        if answered && !self.world.journal_away.load(Ordering::SeqCst) {
            self.await_answers()?;
        }
        Ok(())
    }

    fn await_answers(&mut self) -> Done {
        let mut wrong = Ok(());
        let answered = wait_until(|| {
            wrong = self.listen();
            wrong.is_err() || self.newest.as_ref().is_none_or(|process| process.asked == 0)
        });
        wrong?;
        if answered { Ok(()) } else { Err("not answered".to_owned()) }
    }

    /// Takes in answers, buries the dead, and lets those stop who must.
    pub fn listen(&mut self) -> Done {
        let now_ms = self.world.now_ms();
        let mut stops = Vec::new();
        for process in self.newest.iter_mut().chain(&mut self.older) {
            self.book.heard(process.answers(), now_ms);
            stops.push(process.stop());
        }
        if self.newest.as_ref().is_some_and(|process| process.life.is_dead()) {
            self.kill();
            return Ok(());
        }
        if self.newest.is_some() {
            match stops.remove(0) {
                None => {}
                Some(Stop::JournalRegressed { .. }) => return self.regressed(),
                Some(stop) if self.may_stop(&stop) => self.kill(),
                Some(stop) => return Err(self.stopped(&stop)),
            }
        }
        for (at, stop) in stops.into_iter().enumerate().rev() {
            match stop {
                None => {}
                Some(stop) if matches!(stop, Stop::Fenced(_)) || self.may_stop(&stop) => {
                    let older = self.older.remove(at);
                    self.book.heard(older.kill(), now_ms);
                }
                Some(stop) => return Err(format!("a predecessor stopped: {stop}")),
            }
        }
        Ok(())
    }

    /// Whether this ends a process that holds the shard, and the next start makes it good.
    pub fn may_stop(&self, stop: &Stop) -> bool {
        match stop {
            Stop::ErrorsRegressed { .. } => self.went_back,
            Stop::JournalBehind { .. } => true,
            _ => false,
        }
    }

    pub fn standing(&self) -> (Fence, Guard) {
        (self.world.journal.clone().fence().unwrap(), self.world.tables.guards(SHARD)[0])
    }

    pub fn stopped(&self, stop: &Stop) -> String {
        let (fence, guard) = self.standing();
        let page = self.world.journal.clone().page(Seq(1), 99).unwrap();
        let jobs = page.jobs.len();
        format!(
            "the holder stopped: {stop}; {fence:?}, {jobs} jobs from {:?}, {guard:?}",
            page.base
        )
    }

    pub fn kill(&mut self) {
        if let Some(process) = self.newest.take() {
            self.book.heard(process.kill(), self.world.now_ms());
        }
    }

    pub fn kill_older(&mut self) {
        for older in std::mem::take(&mut self.older) {
            self.book.heard(older.kill(), self.world.now_ms());
        }
    }

    /// Has both stores answer.
    pub fn back(&self) {
        self.world.tables_away.store(false, Ordering::SeqCst);
        self.world.journal_away.store(false, Ordering::SeqCst);
    }

    /// Drains the process; one that stops after all, or dies, is dead then.
    pub fn drain(&mut self) -> Done {
        self.heal()?;
        self.back();
        let Some(process) = self.newest.take() else { return Ok(()) };
        if process.life.is_doomed() || process.life.is_dead() {
            self.newest = Some(process);
            self.kill();
            return Ok(());
        }
        let (asked, life) = (process.asked, Arc::clone(&process.life));
        let (answers, stop) = process.drain().ok_or("does not end")?;
        life.end();
        let unanswered = asked - answers.len();
        self.book.heard(answers, self.world.now_ms());
        match stop {
            None if unanswered > 0 => Err(format!("{unanswered} of {asked} got no answer")),
            Some(stop) if !self.may_stop(&stop) => Err(self.stopped(&stop)),
            _ => Ok(()),
        }
    }
}
