//! Which flight apply gets next, from memory or from the journal.

use std::{collections::BTreeMap, sync::Arc};

use crossbeam_channel::{Receiver, Sender};
use errsift_ops::{
    flight::{Entry, Flight},
    id::{Epoch, Seq, Shard, Term},
    job::{self, Job},
};

use crate::{
    apply::keeper::Keep,
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
    /// The last flight that was given, or is in `paged`, or that a job given stands for.
    read: Seq,
    /// Where the page after the last one begins.
    page_from: Seq,
    /// Bytes of jobs in the dataflow from which on nothing of a further epoch is given.
    bytes_max: usize,
    held: Option<Executed>,
    paged: std::collections::VecDeque<(usize, Flight)>,
    paging: bool,
    /// Whether the journal ends before `next` for good.
    is_alone: bool,
    /// Epochs up to here were journaled by an earlier process.
    recovered: Epoch,
    reset: Epoch,
    epoch: Epoch,
    /// Bytes of jobs in the dataflow, by epoch.
    fed: BTreeMap<Epoch, usize>,
}

impl Feeder {
    /// A feeder that starts at the journal's first job; epochs up to `recovered` were written by
    /// an earlier process, and what was pending in them is counted anew.
    pub(crate) fn new(
        claim: &Claim,
        (feed, live): (Arc<Feed>, Receiver<Executed>),
        (keeper, pages): (Sender<Keep>, Receiver<Page>),
        (epochs, journaled): (Arc<OpenEpochs>, Arc<JournaledIds>),
        recovered: Epoch,
        bytes_max: usize,
    ) -> Self {
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
            page_from: Seq::default(),
            bytes_max,
            held: None,
            paged: std::collections::VecDeque::new(),
            paging: false,
            is_alone: false,
            recovered,
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
            self.feed.reach.gave(flight.seq);
            return self.give(flight, job_bytes);
        }
        // what was blank at the end of the last page
        self.next = self.next.max(self.page_from);
        while let Some(executed) = self.held.take().or_else(|| self.live.try_recv().ok()) {
            let is_next = executed.seq == self.next && executed.flight.is_some();
            let may_give = || self.is_alone || self.feed.reach.give_live(executed.seq);
            if executed.seq > self.next || (is_next && !may_give()) {
                self.held = Some(executed);
                break;
            }
            self.feed.taken(&executed);
            if let Some(flight) = executed.flight.filter(|_| is_next) {
                return self.give(flight, executed.job_bytes);
            }
        }
        if !self.paging && self.keeper.try_send(Keep::Page(self.next)).is_ok() {
            self.paging = true;
        }
        Feeding::Wait
    }

    fn give(&mut self, flight: Flight, job_bytes: usize) -> Feeding {
        self.next = flight.seq.next();
        self.read = self.read.max(flight.seq);
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
        while self.held.is_none()
            && let Ok(live) = self.live.try_recv()
        {
            if live.seq < self.next {
                self.feed.taken(&live);
            } else {
                self.held = Some(live);
            }
        }
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
        for bytes in &page.jobs {
            if bytes == job::BLANK {
                // a later job stands for it
                expected = expected.next();
                continue;
            }
            let Job { shard, term, first, flight } =
                job::decode(bytes).map_err(|error| Stop::Poison { seq: expected, error })?;
            if term > self.term {
                // a journal that went back has given this number to a successor's flight
                return Err(Stop::Fenced(format!(
                    "flight {expected} is of term {term}, ours is {}",
                    self.term
                )));
            }
            if flight.seq != expected || shard != self.shard {
                return Err(Stop::Gap { expected, found: flight.seq });
            }
            if first <= self.read {
                // it stands for flights that are counted already
                return Err(Stop::Gap { expected: self.read.next(), found: first });
            }
            if first > self.read.next() && self.read >= page.base {
                tracing::error!(from = self.read.next().0, to = first.0 - 1, "flights in no job");
            }
            self.read = flight.seq;
            expected = expected.next();
            self.paged.push_back((bytes.len(), flight));
        }
        self.page_from = expected;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
