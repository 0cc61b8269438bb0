//! What must hold once all is quiet.

use std::{sync::Arc, time::Duration};

use errsift_ops::{event::Event, fingerprint::Fingerprint};
use errsift_pipeline::{faulty::Faults, ports::journal::Backlog, settings::Settings};

use super::{
    machine::{Done, Machine},
    process::{Process, wait_until},
    world::{SHARD, counts},
};

impl Machine {
    /// Waits until live counts show all that is executed: what is pending is what is not applied.
    pub fn look(&mut self) -> Done {
        self.heal()?;
        self.back();
        let mut wrong = Ok(());
        let mut last = String::new();
        let agrees = wait_until(|| {
            wrong = self.listen();
            let Some(process) = self.newest.as_ref().filter(|_| wrong.is_ok()) else { return true };
            let pending_lost = process.counters.pending_lost.get() > 0 || self.pending_gone;
            if pending_lost
                || self.lost > 0
                || self.both_lost
                || self.went_back
                || process.life.is_doomed()
            {
                return true;
            }
            self.world.pass(20);
            // read first: what is executed meanwhile only adds to it
            let executed = self.world.executed();
            let names: Vec<_> = executed.keys().copied().collect();
            match process.live(&names) {
                Ok(live) => {
                    let executed: Vec<_> = executed.into_values().collect();
                    last = format!("{executed:?} are executed, live counts are {live:?}");
                    live == executed
                }
                Err(fault) => {
                    last = fault.to_string();
                    false
                }
            }
        });
        wrong?;
        if agrees { Ok(()) } else { Err(last) }
    }

    /// Ends all faults, has the last process settle everything, and compares with the model.
    pub fn settle(mut self) -> Done {
        self.world.tell(|| "all faults end".to_owned());
        self.heal()?;
        self.back();
        self.world.deliver();
        if self.case.seed.is_multiple_of(2) {
            self.drain()?;
        }
        self.kill();
        self.kill_older();
        let settings = Settings { trim_lag: Duration::ZERO, ..self.settings.clone() };
        let last = Process::start(&self.world, &settings, u64::MAX, &Faults::new(0, 0));
        let last = last.ok_or("the last process cannot start")?;
        let counters = Arc::clone(&last.counters);
        let (_, stop) = last.drain().ok_or("the last process does not end")?;
        if let Some(stop) = stop {
            return Err(self.stopped(&stop));
        }
        let wrong = self.world.wrong();
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        self.lost += counters.acked_lost.get();
        self.compare()?;
        let differences = (counters.acked_difference.get(), counters.applied_difference.get());
        if differences.0 != 0 || (differences.1 != 0 && !self.both_lost) {
            let (fence, guard) = self.standing();
            let claim = format!("{fence:?}, {guard:?}");
            return Err(format!("the ledger's differences are {differences:?}: {claim}"));
        }
        self.nothing_left()
    }

    fn compare(&self) -> Done {
        // by fingerprint: words may be lost where counts are not
        let (mut counts, wordless) = counts(&self.world.tables);
        // words are lost only with the flights that held them
        if let Some(name) = wordless.filter(|_| self.lost == 0 && !self.both_lost) {
            return Err(format!("{name} has no words"));
        }
        let bounds = self.book.bounds();
        let (mut missing, mut names) = (0, Vec::new());
        for (name, (least, most)) in &bounds {
            let event = Event { message: name.clone(), ..Event::default() };
            let count = counts.remove(&Fingerprint::of(&event)).unwrap_or(0);
            missing += least.saturating_sub(count);
            names.extend((count < *least).then_some(name));
            if count > *most || (count < *least && self.lost == 0 && !self.both_lost) {
                return Err(format!("{name} is counted {count}, not {least}..={most}"));
            }
        }
        if missing > self.lost && !self.both_lost {
            let lost = self.lost;
            return Err(format!("{missing} of {names:?} are missing, {lost} are said to be lost"));
        }
        match counts.keys().next() {
            Some(name) => Err(format!("{name} was never sent")),
            None => Ok(()),
        }
    }

    /// All that was journaled is applied: no job is left, and nothing is pending above a guard row.
    fn nothing_left(&self) -> Done {
        let mut journal = self.world.journal.clone();
        let left = journal.size().unwrap();
        if left.jobs > 0 {
            return Err(format!("{left:?} after all was applied"));
        }
        let guards = self.world.tables.guards(SHARD);
        let epochs = self.world.epochs();
        let names: Vec<Fingerprint> = self.world.executed().into_keys().collect();
        let pending = journal.pending_all(&names, &epochs).unwrap();
        for (name, pending) in names.iter().zip(pending) {
            let guard = guards[name.part().index()].epoch;
            let live = epochs.iter().zip(pending).filter(|(epoch, _)| **epoch > guard || self.calm);
            let live: u64 = live.map(|(_, pending)| pending).sum();
            if live > 0 {
                return Err(format!("{live} of {name} are pending after all was applied"));
            }
        }
        Ok(())
    }
}
