//! What happens, and what must hold after each step and at the end.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use errsift_ops::{fingerprint::Fingerprint, id::Seq};
use errsift_pipeline::{
    faulty::Faults, memory::MemoryErrors, ports::journal::Backlog, settings::Settings, stop::Stop,
};

use super::{
    book::{Book, Name},
    door::Doom,
    process::{Process, wait_until},
    world::{World, counts},
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
    /// A copy of the tables is made.
    Copy,
    /// The tables become one of the copies, if the journal holds the rest.
    Restore(u8),
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
}

/// The processes, the stores and the model.
pub struct Machine {
    case: Case,
    world: Arc<World>,
    settings: Settings,
    faults: Faults,
    book: Book,
    /// Who took the shard last, if it lives.
    newest: Option<Process>,
    /// Those that it was taken from, and that do not know.
    older: Vec<Process>,
    copies: Vec<MemoryErrors>,
    nonce: u64,
    /// The last flight before the journal lost some.
    whole: Option<Seq>,
    /// Acknowledged events that processes have counted as lost.
    lost: u64,
    /// Whether the tables went back under a process that is alive.
    went_back: bool,
}

type Done = Result<(), String>;

impl Machine {
    pub fn new(case: Case) -> Self {
        let settings = Settings {
            flush_interval: Duration::from_millis(case.flush_ms),
            workers: case.workers.try_into().unwrap(),
            watchdog: None,
            operator_metrics: false,
            trim_lag: if case.trim_late { EVER } else { Duration::ZERO },
            ..Settings::default()
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
                self.start();
            }
            Step::Drain => self.drain()?,
            Step::Forget(flights) => self.forget(Some(*flights))?,
            Step::Empty => self.forget(None)?,
            Step::Copy => self.copies.push(self.world.tables.backup()),
            Step::Restore(copy) => self.restore(*copy)?,
            Step::Tables(away) => self.world.tables_away.store(*away, Ordering::SeqCst),
            Step::Journal(away) => self.world.journal_away.store(*away, Ordering::SeqCst),
            Step::Deliver => {
                if !self.world.journal_away.load(Ordering::SeqCst) {
                    self.world.deliver();
                }
            }
            Step::Pass(ms) => self.world.pass(*ms),
            Step::Wait(ms) => thread::sleep(Duration::from_millis((*ms).into())),
        }
        self.listen()?;
        let wrong = self.world.wrong();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    fn start(&mut self) {
        self.nonce += 1;
        self.went_back &= !self.older.is_empty();
        self.newest = Process::start(&self.world, &self.settings, self.nonce, &self.faults);
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
    fn listen(&mut self) -> Done {
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
                Some(Stop::ErrorsRegressed { .. }) if self.went_back => self.kill(),
                Some(Stop::JournalBehind { .. }) => self.kill(),
                Some(stop) => {
                    let mut journal = self.world.journal.backup();
                    let (fence, page) =
                        (journal.fence().unwrap(), journal.page(Seq(1), 99).unwrap());
                    let guard = self.world.tables.guards(super::world::SHARD)[0];
                    let jobs = page.jobs.len();
                    return Err(format!(
                        "the holder stopped: {stop}; {fence:?}, {jobs} jobs from {:?}, {guard:?}",
                        page.base
                    ));
                }
            }
        }
        for (at, stop) in stops.into_iter().enumerate().rev() {
            match stop {
                None => {}
                Some(Stop::Fenced(_) | Stop::JournalBehind { .. }) => {
                    let older = self.older.remove(at);
                    self.book.heard(older.kill(), now_ms);
                }
                Some(Stop::ErrorsRegressed { .. }) if self.went_back => {
                    let older = self.older.remove(at);
                    self.book.heard(older.kill(), now_ms);
                }
                Some(stop) => return Err(format!("a predecessor stopped: {stop}")),
            }
        }
        Ok(())
    }

    fn kill(&mut self) {
        if let Some(process) = self.newest.take() {
            self.book.heard(process.kill(), self.world.now_ms());
        }
    }

    fn kill_older(&mut self) {
        for older in std::mem::take(&mut self.older) {
            self.book.heard(older.kill(), self.world.now_ms());
        }
    }

    /// A journal that cannot be healed: what is in memory is applied, and the process ends.
    fn regressed(&mut self) -> Done {
        let Some(process) = self.newest.take() else { return Ok(()) };
        self.whole = None;
        self.book.ids_forgotten();
        self.world.lost();
        self.lost += process.counters.acked_lost.get();
        self.world.tables_away.store(false, Ordering::SeqCst);
        self.world.journal_away.store(false, Ordering::SeqCst);
        let life = Arc::clone(&process.life);
        // what it had yet to read from the journal is gone: then it ends at its deadline
        let answers = process.drain().unwrap_or_default();
        life.end();
        self.book.heard(answers, self.world.now_ms());
        Ok(())
    }

    fn drain(&mut self) -> Done {
        self.heal()?;
        let Some(process) = self.newest.take() else { return Ok(()) };
        self.world.tables_away.store(false, Ordering::SeqCst);
        self.world.journal_away.store(false, Ordering::SeqCst);
        if !process.life.doom(None) || self.went_back {
            self.newest = Some(process);
            self.kill();
            return Ok(());
        }
        let asked = process.asked;
        let answers = process.drain().ok_or("does not end")?;
        if answers.len() != asked {
            return Err(format!("{} answers of {asked} at the end", answers.len()));
        }
        self.book.heard(answers, self.world.now_ms());
        Ok(())
    }

    /// The journal loses flights, under a process that has given it some.
    fn forget(&mut self, flights: Option<u8>) -> Done {
        self.heal()?;
        let Some(process) = &self.newest else { return Ok(()) };
        // of two stores that lose what they confirmed at the same time, nothing is promised
        if !process.life.doom(None) || self.went_back {
            return Ok(());
        }
        // connections end with the server that forgets
        self.world.cut();
        self.world.journal_away.store(false, Ordering::SeqCst);
        let before = self.world.journal.clone().fence().unwrap().seq;
        match flights {
            Some(flights) => {
                self.world.journal.forget(flights.into());
            }
            None => {
                self.kill_older();
                self.book.ids_forgotten();
                self.world.journal.empty();
            }
        }
        self.whole = Some(before);
        Ok(())
    }

    /// Waits until the journal has again what it lost.
    fn heal(&mut self) -> Done {
        let Some(whole) = self.whole else { return Ok(()) };
        self.world.journal_away.store(false, Ordering::SeqCst);
        let mut wrong = Ok(());
        let healed = wait_until(|| {
            wrong = self.listen();
            let fence = self.world.journal.clone().fence().unwrap();
            wrong.is_err() || self.whole.is_none() || fence.seq >= whole
        });
        self.whole = None;
        wrong?;
        if healed { Ok(()) } else { Err(format!("the journal never got {whole:?} again")) }
    }

    /// The tables lose what they committed since one of the copies.
    fn restore(&mut self, copy: u8) -> Done {
        self.heal()?;
        if !self.case.trim_late {
            // one that is about to trim has read the guards already
            self.kill();
            self.kill_older();
        }
        let at = usize::from(copy) % self.copies.len().max(1);
        let Some(copy) = self.copies.get(at) else { return Ok(()) };
        if self.world.holds_what_lacks(copy) {
            self.went_back = true;
            self.world.restore_tables(copy);
        }
        Ok(())
    }

    /// Ends all faults, has the last process settle everything, and compares with the model.
    pub fn settle(mut self) -> Done {
        self.heal()?;
        self.world.tables_away.store(false, Ordering::SeqCst);
        self.world.journal_away.store(false, Ordering::SeqCst);
        self.world.deliver();
        if !self.went_back && self.case.seed.is_multiple_of(2) {
            self.drain()?;
        }
        self.kill();
        self.kill_older();
        let settings = Settings { trim_lag: Duration::ZERO, ..self.settings.clone() };
        let last = Process::start(&self.world, &settings, u64::MAX, &Faults::new(0, 0));
        let last = last.ok_or("the last process cannot start")?;
        let counters = Arc::clone(&last.counters);
        last.drain().ok_or("the last process does not end")?;
        let wrong = self.world.wrong();
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        self.compare()?;
        let differences = (counters.acked_difference.get(), counters.applied_difference.get());
        if differences != (0, 0) {
            return Err(format!("the ledger's differences are {differences:?}: {counters:?}"));
        }
        self.nothing_left()
    }

    fn compare(&self) -> Done {
        let counts = counts(&self.world.tables)?;
        let bounds = self.book.bounds();
        let mut missing = 0;
        for (name, (least, most)) in &bounds {
            let count = counts.get(name).copied().unwrap_or(0);
            missing += least.saturating_sub(count);
            if count > *most || (count < *least && self.lost == 0) {
                return Err(format!("{name} is counted {count}, not {least}..={most}"));
            }
        }
        if missing > self.lost {
            return Err(format!("{missing} are missing, {} are said to be lost", self.lost));
        }
        match counts.keys().find(|name| !bounds.contains_key(*name)) {
            Some(name) => Err(format!("{name} was never sent")),
            None => Ok(()),
        }
    }

    /// All that was journaled is applied: no job is left, and nothing is pending.
    fn nothing_left(&self) -> Done {
        let mut journal = self.world.journal.clone();
        let left = journal.size().unwrap();
        if left.jobs > 0 {
            return Err(format!("{left:?} after all was applied"));
        }
        let epochs = self.world.epochs();
        let names: Vec<Fingerprint> = self.world.tables.counts().into_keys().collect();
        let pending = journal.pending_all(&names, &epochs).unwrap();
        let pending: u64 = pending.into_iter().flatten().sum();
        if pending > 0 {
            return Err(format!("{pending} are pending after all was applied"));
        }
        Ok(())
    }
}
