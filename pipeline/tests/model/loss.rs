//! Stores that lose what they had confirmed, and what becomes of that.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use errsift_pipeline::{memory::MemoryJournal, ports::journal::Backlog, stop::Stop};

use super::{
    machine::{Done, Machine},
    process::wait_until,
};

impl Machine {
    /// A journal that cannot be healed: what is in memory is applied, and the process ends, or dies
    /// over that.
    pub fn regressed(&mut self) -> Done {
        let Some(process) = self.newest.take() else { return Ok(()) };
        self.whole = None;
        self.renumbered();
        self.world.lost();
        self.back();
        let (life, counters) = (Arc::clone(&process.life), Arc::clone(&process.counters));
        if self.nonce % 3 == self.case.seed % 3 {
            thread::sleep(Duration::from_millis(self.case.seed % 16));
            self.lost += counters.acked_lost.get();
            self.book.heard(process.kill(), self.world.now_ms());
            return Ok(());
        }
        let (answers, stop) = process.drain().ok_or("does not end after the journal went back")?;
        life.end();
        self.lost += counters.acked_lost.get();
        self.book.heard(answers, self.world.now_ms());
        match stop {
            // the journal has given the numbers of what it lost to a successor
            Some(Stop::Fenced(_)) if !self.older.is_empty() => Ok(()),
            Some(stop) if !self.may_stop(&stop) => Err(self.stopped(&stop)),
            _ => Ok(()),
        }
    }

    /// The journal loses flights, under a process that has given it some.
    pub fn forget(&mut self, flights: Option<u8>) -> Done {
        self.heal()?;
        let Some(process) = &self.newest else { return Ok(()) };
        if !process.life.doom(None) {
            return Ok(());
        }
        if self.went_back {
            self.nothing_left_of_it();
        }
        // what was kept of trimmed jobs' ids went with them, and is not given back
        (self.pending_gone, self.ids_gone, self.calm) = (true, true, false);
        // connections end with the server that forgets
        self.world.cut();
        self.world.journal_away.store(false, Ordering::SeqCst);
        let before = self.world.journal.clone().fence().unwrap();
        self.world.forgets();
        if let Some(flights) = flights {
            self.world.journal.forget(flights.into());
        } else {
            self.kill_older();
            self.world.journal.empty();
        }
        self.whole = Some(before);
        Ok(())
    }

    /// Waits until the journal has again what it lost.
    pub fn heal(&mut self) -> Done {
        let Some(whole) = self.whole else { return Ok(()) };
        self.world.journal_away.store(false, Ordering::SeqCst);
        let mut wrong = Ok(());
        let healed = wait_until(|| {
            wrong = self.listen();
            let fence = self.world.journal.clone().fence().unwrap();
            let ended = self.whole.is_none() || self.newest.is_none();
            wrong.is_err() || ended || !whole.went_back(&fence)
        });
        wrong?;
        if self.whole.take().is_some() && self.newest.is_none() {
            // it had to stop for another reason before it came to that
            self.nothing_left_of_it();
        }
        if healed { Ok(()) } else { Err(format!("the journal never got {whole:?} again")) }
    }

    /// Notes that nobody has what was acknowledged any more.
    fn nothing_left_of_it(&mut self) {
        self.both_lost = true;
        self.renumbered();
        self.world.lost_all();
    }

    /// Notes that numbers of flights may be given once more: what was copied before does not fit what
    /// comes now, and a journal has lost which ids it had.
    fn renumbered(&mut self) {
        (self.ids_gone, self.calm) = (true, false);
        self.copies.clear();
    }

    /// The tables lose what they committed since one of the copies.
    pub fn restore(&mut self, copy: u8) -> Done {
        self.heal()?;
        if !self.case.trim_late {
            // one that is about to trim has read the guards already
            self.kill();
            self.kill_older();
        }
        let at = usize::from(copy) % self.copies.len().max(1);
        let Some((_, copy)) = self.copies.get(at) else { return Ok(()) };
        if !self.behind && self.world.holds_what_lacks(copy) {
            self.went_back = self.newest.is_some() || !self.older.is_empty();
            self.world.restore_tables(copy);
        }
        Ok(())
    }

    /// Another journal takes the place of the one that was, while nobody uses it, once the tables have
    /// all.
    pub fn another_journal(&mut self) -> Done {
        self.drain()?;
        self.kill_older();
        if self.world.all_applied() {
            self.world.cut();
            self.world.renumbered();
            self.world.journal.empty();
            self.renumbered();
        }
        Ok(())
    }

    /// The journal is put back from a copy while nobody uses it, once the tables have all.
    pub fn older_journal(&mut self, copy: u8) -> Done {
        self.drain()?;
        self.kill_older();
        let at = usize::from(copy) % self.copies.len().max(1);
        let Some((copy, _)) = self.copies.get(at) else { return Ok(()) };
        let seq = |journal: &MemoryJournal| journal.clone().fence().unwrap().seq;
        // numbers that began anew since then are another story
        if self.world.all_applied() && seq(copy) <= seq(&self.world.journal) {
            self.world.cut();
            self.world.renumbered();
            self.behind = true;
            self.world.journal.restore(copy);
            self.renumbered();
        }
        Ok(())
    }
}
