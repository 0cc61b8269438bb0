//! Which flight apply gets next, from memory or from the journal.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use errsift_ops::{
    flight::{Entry, Flight},
    id::{Epoch, Seq, Shard, Term},
    job::{self, Job, JobError},
};

use crate::{
    apply::{
        keeper::Keep,
        unreadable::{Place, Unreadable},
    },
    epochs::OpenEpochs,
    failpoints,
    feed::{Executed, Feed, Horizon},
    ids::JournaledIds,
    ports::{errors::Claim, journal::Page},
    stop::Stop,
};

/// What the worker is to do with the dataflow's input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Feeding {
    /// Send these at this epoch; earlier epochs are over.
    Entries(Epoch, Vec<Entry>),
    /// Epochs before this one are over.
    Advance(Epoch),
    /// Nothing follows.
    End,
    /// Nothing to do now.
    Wait,
}

/// Whether jobs of an earlier process are fed one at a time, because the last starts did not come
/// through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Care {
    /// Not, or not any more.
    Off,
    /// The next one is noted before it is read.
    Next,
    /// This one was given to the dataflow, which has not had its turn yet.
    Given(Seq),
    /// This one was taken in by the dataflow.
    TakenIn(Seq),
}

/// Puts flights in order: the next number comes from the channel if it is there, else from the
/// journal. After a restart the channel is empty and everything comes from the journal; when
/// apply has lagged, what did not fit into memory does.
pub(crate) struct Feeder {
    shard: Shard,
    /// This writer's generation.
    term: Term,
    feed: Arc<Feed>,
    live: Receiver<Executed>,
    pages: Receiver<Page>,
    keeper: Sender<Keep>,
    epochs: Arc<OpenEpochs>,
    journaled: Arc<JournaledIds>,
    next: Seq,
    /// The last flight that was given, or is in `paged`, or that a job given stands for; but for
    /// tombstones, the last of which is `tombstone`.
    read: Seq,
    tombstone: Seq,
    /// Where the page after the last one begins.
    page_from: Seq,
    /// Bytes of jobs in the dataflow from which on nothing of a further epoch is given.
    bytes_max: usize,
    held: Option<Executed>,
    paged: std::collections::VecDeque<(usize, Flight)>,
    paging: bool,
    /// Whether the journal ends before `next` for good.
    is_alone: bool,
    /// Epochs up to here, and flights up to there, were journaled by an earlier process.
    recovered: Epoch,
    recovered_seq: Seq,
    /// Whether the keeper has heard that they are all fed.
    told: bool,
    care: Care,
    /// The term of the last job that was read.
    read_term: Term,
    reset: Epoch,
    epoch: Epoch,
    /// Bytes of jobs in the dataflow, by epoch.
    fed: BTreeMap<Epoch, usize>,
}

impl Feeder {
    /// A feeder that starts at the journal's first job; epochs up to `recovered` were written by
    /// an earlier process, and what was pending in them is counted anew. If `careful`, their jobs
    /// are fed one at a time.
    pub(crate) fn new(
        claim: &Claim,
        (feed, live): (Arc<Feed>, Receiver<Executed>),
        (keeper, pages): (Sender<Keep>, Receiver<Page>),
        (epochs, journaled): (Arc<OpenEpochs>, Arc<JournaledIds>),
        (recovered, careful): (Epoch, bool),
        bytes_max: usize,
    ) -> Self {
        let recovered_seq = feed.horizon().executed;
        Self {
            shard: claim.shard,
            term: claim.term,
            feed,
            live,
            pages,
            keeper,
            epochs,
            journaled,
            next: Seq(1),
            read: Seq::default(),
            tombstone: Seq::default(),
            page_from: Seq::default(),
            bytes_max,
            held: None,
            paged: std::collections::VecDeque::new(),
            paging: false,
            is_alone: false,
            recovered,
            recovered_seq,
            told: false,
            care: if careful { Care::Next } else { Care::Off },
            read_term: Term::default(),
            reset: Epoch::default(),
            epoch: Epoch::default(),
            fed: BTreeMap::new(),
        }
    }

    /// Notes that all epochs before `frontier` are applied (`None`: all).
    pub(crate) fn applied(&mut self, frontier: Option<Epoch>) {
        self.fed.retain(|epoch, _| frontier.is_some_and(|frontier| *epoch >= frontier));
        self.feed.note_turn(frontier);
        self.feed.note_fed(self.fed.values().sum());
        self.epochs.applied(frontier);
    }

    /// The next thing to do. To be called until it says [`Feeding::Wait`] or [`Feeding::End`].
    pub(crate) fn turn(&mut self) -> Result<Feeding, Stop> {
        if let Ok(page) = self.pages.try_recv() {
            self.unpack(&page)?;
        }
        if !self.recovers() {
            return Ok(Feeding::Wait);
        }
        self.drop_stale();
        // read before the channel: what is executed by now is in the channel, or never will be
        let horizon = self.feed.horizon();
        if self.next <= horizon.executed {
            // what waits in memory behind flights that must be paged counts as well
            let held = self.fed.values().sum::<usize>() + self.feed.waiting_bytes();
            let full = held >= self.bytes_max;
            if full && self.fed.len() > 1 {
                return Ok(Feeding::Wait);
            }
            return Ok(self.next_flight());
        }
        if let Some((epoch, _)) =
            horizon.closed.filter(|(epoch, seq)| *epoch >= self.epoch && *seq < self.next)
        {
            self.epoch = Epoch(epoch.0 + 1);
            return Ok(Feeding::Advance(self.epoch));
        }
        Ok(if horizon.ended { Feeding::End } else { Feeding::Wait })
    }

    /// Sees to it that a job that was noted is cleared once the dataflow has had its turn, and that
    /// the keeper hears when recovery is fed. Returns whether to go on.
    fn recovers(&mut self) -> bool {
        match self.care {
            Care::Off | Care::Next => {}
            Care::Given(seq) => {
                self.care = Care::TakenIn(seq);
                return false;
            }
            Care::TakenIn(seq) => {
                if self.keeper.try_send(Keep::Clear(seq)).is_err() {
                    return false;
                }
                self.care = Care::Next;
            }
        }
        if !self.told && self.next > self.recovered_seq {
            self.care = Care::Off;
            self.told = self.keeper.try_send(Keep::Recovered).is_ok();
        }
        true
    }

    fn next_flight(&mut self) -> Feeding {
        let recovering = self.paged.front().map(|(_, flight)| flight.epoch);
        if let Some(epoch) =
            recovering.filter(|epoch| *epoch <= self.recovered && *epoch > self.reset)
        {
            if self.keeper.try_send(Keep::ResetPending(epoch)).is_err() {
                return Feeding::Wait;
            }
            self.reset = epoch;
        }
        if let Some((job_bytes, flight)) = self.paged.pop_front() {
            failpoints::pass("recover_fed");
            if !flight.entries.is_empty() {
                failpoints::pass_at("recover_fed", flight.seq.0);
            }
            self.feed.reach.gave(flight.seq);
            return self.give(flight, job_bytes);
        }
        // what was blank at the end of the last page
        self.next = self.next.max(self.page_from);
        self.drop_stale();
        let may_go = |held: &Executed| {
            // whose bytes memory lacks comes from the journal in any case
            held.flight.is_none() || self.is_alone || self.feed.reach.give_live(held.seq)
        };
        if let Some(executed) = self.held.take_if(|held| held.seq == self.next && may_go(held)) {
            self.feed.taken(&executed);
            if let Some(flight) = executed.flight {
                self.read = self.read.max(flight.seq);
                return self.give(flight, executed.job_bytes);
            }
        }
        let page = match self.care {
            Care::Off => Keep::Page(self.next),
            _ => Keep::Suspect(self.next),
        };
        if !self.paging && self.keeper.try_send(page).is_ok() {
            self.paging = true;
        }
        Feeding::Wait
    }

    /// Lets go of flights in the channel that have come from the journal, and holds the first that
    /// has not. Also when nothing follows: nobody else takes them out.
    fn drop_stale(&mut self) {
        loop {
            match self.held.take_if(|held| held.seq < self.next) {
                Some(stale) => self.feed.taken(&stale),
                None if self.held.is_some() => return,
                None => {}
            }
            let Ok(executed) = self.live.try_recv() else { return };
            self.held = Some(executed);
        }
    }

    fn give(&mut self, flight: Flight, job_bytes: usize) -> Feeding {
        self.next = flight.seq.next();
        if self.care != Care::Off {
            self.care = Care::Given(flight.seq);
        }
        self.epoch = self.epoch.max(flight.epoch);
        self.epochs.note(flight.epoch, flight.seq, flight.received_min);
        self.journaled.note(&flight);
        *self.fed.entry(flight.epoch).or_default() += job_bytes;
        // one more, so that an empty flight counts too
        self.feed.note_entries(flight.entries.len() + 1);
        Feeding::Entries(flight.epoch, flight.entries)
    }

    /// Goes on with the next flight that memory has: those before it are nowhere any more.
    fn pass_over(&mut self, executed: Seq) {
        self.is_alone = true;
        self.drop_stale();
        let found = self.held.as_ref().map_or(executed.next(), |held| held.seq);
        if found > self.next {
            let (from, to) = (self.next.0, found.0 - 1);
            tracing::error!(from, to, "flights are lost: the journal has forgotten them");
            self.next = found;
        }
    }

    /// Checks a page: each job readable, of this shard, and the list without a gap.
    fn unpack(&mut self, page: &Page) -> Result<(), Stop> {
        self.paging = false;
        let Horizon { executed, forgotten, .. } = self.feed.horizon();
        if page.base > executed.next() {
            return Err(Stop::Gap { expected: executed.next(), found: page.base });
        }
        if page.base > self.next {
            // trimmed by an earlier process: applied
            self.next = page.base;
            self.feed.note_base(page.base);
            if page.jobs.is_empty() {
                // what is executed since it was read is not in it
                return Ok(());
            }
        }
        if page.jobs.is_empty() && self.next <= executed && forgotten {
            self.pass_over(executed);
            return Ok(());
        }
        if page.jobs.is_empty() && self.next <= executed {
            return Err(Stop::Gap { expected: self.next, found: executed.next() });
        }
        let mut expected = self.next;
        for (at, bytes) in page.jobs.iter().enumerate() {
            if bytes == job::BLANK {
                // a later job stands for it
                expected = expected.next();
                continue;
            }
            let job = match job::decode(bytes) {
                Ok(job) => job,
                Err(error @ JobError::Newer { .. }) => {
                    return Err(Stop::Newer { seq: expected, error });
                }
                Err(error) => {
                    // what is before it is fed first, then it is asked for again
                    if at == 0 {
                        self.set_aside(expected, &page.jobs, &error);
                    }
                    break;
                }
            };
            if job.term > self.term {
                // a journal that went back has given this number to a successor's flight
                let (term, ours) = (job.term, self.term);
                let found = format!("flight {expected} is of term {term}, ours is {ours}");
                return Err(Stop::Fenced(found));
            }
            if job.flight.seq != expected || job.shard != self.shard {
                return Err(Stop::Gap { expected, found: job.flight.seq });
            }
            if job::header(bytes).is_ok_and(|header| header.tombstone) {
                self.tombstone = expected;
            } else {
                self.follows(&job, page.base)?;
                self.read = expected;
            }
            expected = expected.next();
            self.read_term = job.term;
            self.paged.push_back((bytes.len(), job.flight));
        }
        self.page_from = expected;
        Ok(())
    }

    /// Checks that a job begins where the last one before it ended. A tombstone stands for its own
    /// place, for blanks before it, or for a blank that a later job stands for as well: between two
    /// jobs there may be any number of them.
    fn follows(&self, job: &Job, base: Seq) -> Result<(), Stop> {
        let first = job.first;
        if first <= self.read {
            // it stands for flights that are counted already
            return Err(Stop::Gap { expected: self.read.next(), found: first });
        }
        if first > self.read.next() && self.read >= base && self.tombstone <= self.read {
            tracing::error!(from = self.read.next().0, to = first.0 - 1, "flights in no job");
        }
        Ok(())
    }

    /// Has the first of `jobs` set aside; the keeper answers with a page that begins with what
    /// stands there then.
    fn set_aside(&mut self, seq: Seq, jobs: &[Bytes], error: &JobError) {
        let Some((job, following)) = jobs.split_first() else { return };
        let before =
            Some((self.read_term, self.epoch)).filter(|(_, epoch)| *epoch != Epoch::default());
        let readable = following.iter().find_map(|job| job::decode(job).ok());
        let after: Option<Place> = readable.map(|job| (job.term, job.flight.epoch));
        let unreadable = Unreadable::between((self.shard, seq), job, error, before, after);
        self.paging = self.keeper.try_send(Keep::SetAside(unreadable)).is_ok();
    }
}

#[cfg(test)]
mod tests;
