//! The thread that moves guards and adds counts: each part's epochs once and in order.

use std::{ops::Range as Span, sync::Arc, time::Duration};

use crossbeam_channel::Sender;
use errsift_ops::id::{Epoch, Part};

use crate::{
    apply::{
        apply_counts::{CountsChannel, EpochCounts},
        retry::Retry,
        store_details::{report, set_aside},
    },
    counters::{Counter, Counters},
    failpoints,
    ports::{
        errors::{
            Applied, Claim, CountRow, ErrorsFault, ErrorsWriter, Guard, Guards, PartStep, Range,
        },
        journal::Fence,
        words::{Words, WordsFrontier},
    },
    stop::Stop,
};

/// How long a transaction waits for words, with the locks of what it has written. Others wait 5 s for
/// such a lock before they try again; what writing takes is part of that.
const WORDS_PATIENCE: Duration = Duration::from_secs(3);

/// Words that must be stored before counts are committed.
pub(crate) struct WordsFirst {
    pub(crate) frontier: Arc<WordsFrontier>,
    /// Bytes of them that are not stored.
    pub(crate) waiting: Arc<Counter>,
    /// Up to so many of them are stored while counts are written; more are stored before.
    pub(crate) beside_bytes: u64,
}

impl WordsFirst {
    /// Counts wait for no words.
    pub(crate) fn none() -> Self {
        let frontier = Arc::new(WordsFrontier::new(None));
        Self { frontier, waiting: Arc::default(), beside_bytes: 0 }
    }

    fn of(&self, time: Epoch) -> Words<'_> {
        Words { frontier: &self.frontier, time: time.0, patience: WORDS_PATIENCE }
    }
}

/// Writes the counts of the parts that belong to one worker.
pub(crate) struct CountsWriter {
    pub(crate) channel: CountsChannel,
    pub(crate) errors: Box<dyn ErrorsWriter>,
    pub(crate) claim: Claim,
    /// The fence's epoch when the shard was taken: new epochs are later.
    pub(crate) acquired: Epoch,
    /// Where the journal stood, as far as the tables go along with it, if they did not say where they
    /// are when the shard was taken.
    pub(crate) unseen: Option<Fence>,
    pub(crate) words: WordsFirst,
    /// This worker's parts.
    pub(crate) parts: Vec<Part>,
    /// Rows after which a transaction takes no further part.
    pub(crate) rows_max: usize,
    pub(crate) counters: Arc<Counters>,
    pub(crate) stops: Sender<Stop>,
}

/// One transaction to come.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    after: Epoch,
    parts: Vec<PartStep>,
    rows: Span<usize>,
}

impl CountsWriter {
    /// Applies epoch after epoch until the worker is gone or this process must stop.
    pub(crate) fn run(mut self) {
        let mut guards = None;
        while let Ok(counts) = self.channel.epochs.recv() {
            let counters = Arc::clone(&self.counters);
            let call = counters.pulse.call();
            let applied = self.apply(&mut guards, &counts);
            drop(call);
            if let Err(stop) = applied {
                // whoever listens ends the process
                let _ = self.stops.send(stop);
                return;
            }
            failpoints::pass("apply_done");
            self.counters.epochs.add(1);
            // the worker is gone only when the process ends
            let _ = self.channel.applied.send(counts.epoch);
            let _ = counts.activator.activate();
        }
    }

    /// Brings every part to the epoch; tries for ever, and reads the guards whenever it is not
    /// certain where they stand.
    fn apply(&mut self, guards: &mut Option<Guards>, counts: &EpochCounts) -> Result<(), Stop> {
        if self.words.waiting.get() > self.words.beside_bytes {
            self.words.frontier.wait(counts.time.0);
        }
        let mut retry = Retry::default();
        let mut known: Option<Guards> = *guards;
        loop {
            let (fault, reread) = match self.attempt(guards, &mut known, counts)? {
                Ok(()) => {
                    self.counters.errors_failing.sub(u64::from(retry.failures() > 0));
                    return Ok(());
                }
                Err(fault) => {
                    let reread = !matches!(fault, ErrorsFault::Transient(_));
                    (fault, reread)
                }
            };
            if reread {
                *guards = None;
            }
            self.counters.errors_retries.add(1);
            self.counters.errors_failing.add(u64::from(retry.failures() == 0));
            if retry.worth_a_line() {
                report(&fault, retry.failures());
            }
            retry.pause();
        }
    }

    fn take_guards(&mut self) -> Result<Guards, ErrorsFault> {
        failpoints::pass("guards_begin");
        let taken = self.errors.take_guards(&self.claim)?;
        failpoints::pass("guards_taken");
        Ok(taken)
    }

    /// One pass over what is left to do. The outer error ends the process.
    fn attempt(
        &mut self,
        guards: &mut Option<Guards>,
        known: &mut Option<Guards>,
        counts: &EpochCounts,
    ) -> Result<Result<(), ErrorsFault>, Stop> {
        let stand = match guards {
            Some(stand) => stand,
            None => match self.take_guards() {
                Ok(taken) => {
                    check(&self.claim, &self.parts, &taken, known.as_ref())?;
                    if known.is_none() {
                        check_acquired(self.acquired, &self.parts, &taken)?;
                        self.compare_journal(&taken);
                    }
                    for part in &self.parts {
                        self.counters.counted_in(*part, taken[part.index()].events);
                    }
                    *known = Some(taken);
                    guards.insert(taken)
                }
                Err(fault) => return Ok(Err(fault)),
            },
        };
        let mut is_certain = true;
        for step in plan(&self.parts, stand, counts.epoch, (&counts.rows, self.rows_max)) {
            let range = Range {
                after: step.after,
                upto: counts.epoch,
                seq: counts.seq,
                parts: &step.parts,
                rows: &counts.rows[step.rows],
                words: self.words.of(counts.time),
            };
            failpoints::pass("apply_begin");
            let added = loop {
                match self.errors.apply(&self.claim, &range) {
                    Ok(Applied::Done(added)) => break added,
                    Ok(Applied::GuardMoved) => {
                        return Ok(Err(ErrorsFault::Unknown("a guard row has moved".to_owned())));
                    }
                    // now without anybody's waiting for it
                    Ok(Applied::WordsLate) => self.words.frontier.wait(counts.time.0),
                    Err(fault) => return Ok(Err(fault)),
                }
            };
            failpoints::pass("apply_committed");
            let is_whole = added.is_whole();
            for PartStep { part, events } in &step.parts {
                let guard = &mut stand[part.index()];
                // of what is set aside, only the tables know which part's it is
                let counted = if is_whole { *events } else { 0 };
                *guard = Guard {
                    epoch: counts.epoch,
                    seq: counts.seq,
                    events: guard.events + counted,
                    ..*guard
                };
                self.counters.counted_in(*part, guard.events);
            }
            if !is_whole {
                is_certain = false;
                set_aside(&self.counters, added.dead);
            }
            self.counters.new_errors.add(added.new_errors);
            self.counters.count_rows.add(range.rows.len() as u64);
            *known = Some(*stand);
            failpoints::pass("apply_noted");
        }
        if !is_certain && let Ok(found) = self.errors.guards(self.claim.shard) {
            // where the guards stand is known; if this is not answered, the keeper tells the sum
            for part in &self.parts {
                stand[part.index()].events = found[part.index()].events;
                self.counters.counted_in(*part, stand[part.index()].events);
            }
        }
        Ok(Ok(()))
    }
}

impl CountsWriter {
    /// Shouts if the tables lack what the journal has trimmed already: they were restored from a copy
    /// that is older than what it still holds, or are other tables. Going on loses nothing more.
    fn compare_journal(&self, taken: &Guards) {
        let base = self.counters.journal_base.get();
        let guards = self.parts.iter().map(|part| &taken[part.index()]);
        if let Some(found) = guards.clone().map(|guard| guard.seq).min()
            && found.next().0 < base
        {
            tracing::error!(
                applied = found.0,
                journal = base,
                "tables went back further than the journal reaches: acknowledged events are lost"
            );
            self.counters.tables_apart.set(1);
        }
        if let Some(known) = self.unseen
            && guards.into_iter().any(|guard| guard.epoch > known.epoch || guard.seq > known.seq)
        {
            // what that is, is told once all that the journal had is applied
            self.counters.tables_apart.set(1);
        }
    }
}

/// Whether the guards are this writer's and none is behind where it was seen before.
fn check(
    claim: &Claim,
    parts: &[Part],
    taken: &Guards,
    known: Option<&Guards>,
) -> Result<(), Stop> {
    for part in parts {
        let guard = &taken[part.index()];
        if (guard.term, guard.nonce) != (claim.term, claim.nonce) {
            return Err(Stop::Fenced(format!(
                "guard row of part {part} holds term {}, ours is {}",
                guard.term, claim.term
            )));
        }
        let expected = known.map_or(Epoch::default(), |known| known[part.index()].epoch);
        if guard.epoch < expected {
            return Err(Stop::ErrorsRegressed { part: *part, expected, found: guard.epoch });
        }
    }
    Ok(())
}

/// The tables did not answer when the shard was taken, and are ahead of what was taken, as after the
/// clock was put back: new epochs could be numbered like old ones and would be skipped. The next
/// start takes the shard anew.
fn check_acquired(acquired: Epoch, parts: &[Part], taken: &Guards) -> Result<(), Stop> {
    let ahead = parts.iter().map(|part| taken[part.index()].epoch).max().unwrap_or_default();
    if ahead > acquired { Err(Stop::JournalBehind { acquired, ahead }) } else { Ok(()) }
}

/// Groups the parts that are not at `upto` yet into transactions: neighbours that stand at the
/// same epoch go together until they have `rows_max` rows. `rows` are sorted, so each part's
/// are one span and those of other workers' parts do not occur.
fn plan(
    parts: &[Part],
    guards: &Guards,
    upto: Epoch,
    (rows, rows_max): (&[CountRow], usize),
) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut at = 0;
    for part in parts {
        let length = rows[at..].partition_point(|row| row.fingerprint.part() <= *part);
        let span = at..at + length;
        at = span.end;
        let after = guards[part.index()].epoch;
        if after >= upto {
            continue;
        }
        let events = rows[span.clone()].iter().map(|row| row.tally.count).sum();
        let step = PartStep { part: *part, events };
        match steps.last_mut() {
            Some(last)
                if last.after == after
                    && last.rows.end == span.start
                    && last.rows.len() < rows_max =>
            {
                last.parts.push(step);
                last.rows.end = span.end;
            }
            _ => steps.push(Step { after, parts: vec![step], rows: span }),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use errsift_ops::{
        fingerprint::Fingerprint,
        id::{Nonce, Shard, Term},
        tally::Tally,
        timestamp::Timestamp,
        window::Window,
    };

    use super::*;

    fn row(first_byte: u8) -> CountRow {
        let at = Timestamp::from_millis(0);
        CountRow {
            fingerprint: Fingerprint([first_byte; 32]),
            window: Window::of(at),
            tally: Tally { count: 2, first: at, last: at },
        }
    }

    #[test]
    fn parts_at_the_same_epoch_share_a_transaction() {
        let parts: Vec<_> = Part::all().take(4).collect();
        let mut guards = [Guard::default(); Part::COUNT];
        let rows = [row(0), row(1), row(9)];
        let step = |part: usize, events| PartStep { part: parts[part], events };
        assert_eq!(
            plan(&parts, &guards, Epoch(5), (&rows, 10)),
            [Step {
                after: Epoch(0),
                parts: vec![step(0, 4), step(1, 0), step(2, 2), step(3, 0)],
                rows: 0..3
            }]
        );
        // part 0 has epoch 5 already; part 2 stands elsewhere than its neighbours
        guards[0].epoch = Epoch(5);
        guards[2].epoch = Epoch(3);
        assert_eq!(
            plan(&parts, &guards, Epoch(5), (&rows, 10)),
            [
                Step { after: Epoch(0), parts: vec![step(1, 0)], rows: 2..2 },
                Step { after: Epoch(3), parts: vec![step(2, 2)], rows: 2..3 },
                Step { after: Epoch(0), parts: vec![step(3, 0)], rows: 3..3 },
            ]
        );
        // a transaction that has its rows takes no further part
        guards.fill(Guard::default());
        let steps = plan(&parts, &guards, Epoch(5), (&rows, 2));
        assert_eq!(steps.iter().map(|step| step.parts.len()).collect::<Vec<_>>(), [1, 3]);
        guards.fill(Guard { epoch: Epoch(6), ..Guard::default() });
        assert_eq!(plan(&parts, &guards, Epoch(5), (&rows, 10)), []);
    }

    #[test]
    fn another_writers_guards_stop_the_process() {
        let claim = Claim { shard: Shard(0), term: Term(2), nonce: Nonce(7) };
        let ours = Guard { term: Term(2), nonce: Nonce(7), epoch: Epoch(4), ..Guard::default() };
        let parts: Vec<_> = Part::all().collect();
        let mut guards = [ours; Part::COUNT];
        assert!(check(&claim, &parts, &guards, None).is_ok());
        guards[9].nonce = Nonce(8);
        assert!(matches!(check(&claim, &parts, &guards, None), Err(Stop::Fenced(_))));
        guards[9] = Guard { epoch: Epoch(3), ..ours };
        let known = [ours; Part::COUNT];
        assert!(matches!(
            check(&claim, &parts, &guards, Some(&known)),
            Err(Stop::ErrorsRegressed { found: Epoch(3), .. })
        ));
    }

    #[test]
    fn tables_ahead_of_what_was_taken_stop_the_process() {
        let parts: Vec<_> = Part::all().filter(|part| part.index() % 2 == 0).collect();
        let mut guards = [Guard { epoch: Epoch(4), ..Guard::default() }; Part::COUNT];
        assert!(check_acquired(Epoch(4), &parts, &guards).is_ok());
        // another worker's part: its own writer has moved it on
        guards[1].epoch = Epoch(9);
        assert!(check_acquired(Epoch(4), &parts, &guards).is_ok());
        guards[2].epoch = Epoch(5);
        assert!(matches!(
            check_acquired(Epoch(4), &parts, &guards),
            Err(Stop::JournalBehind { acquired: Epoch(4), ahead: Epoch(5) })
        ));
    }
}
