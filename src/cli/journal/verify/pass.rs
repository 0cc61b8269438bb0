//! One reading of the journal from its beginning to its fence.

use errsift_ops::{
    id::{Epoch, Seq, Shard},
    job::{self, Job},
    timestamp::Timestamp,
};
use errsift_pipeline::ports::{
    dead::DeadJobs,
    errors::{ErrorsFault, Settled},
    journal::JournalFault,
};

use super::{
    chain::Chain,
    ledger::Ledger,
    pending::{EpochCounts, LAG_MS, Totals},
    report::{Check, Report},
};
use crate::inspect::{InspectGuards, InspectJournal, JobPage, Standing, StoredJob};

/// How often a beginning is looked for at which no counts are being applied.
const BEGINNINGS_MAX: u32 = 50;

/// Fence, guard rows and first page of one moment.
pub(super) struct Beginning {
    pub(super) standing: Standing,
    pub(super) page: JobPage,
    /// What was set aside.
    pub(super) dead: DeadJobs,
    /// What the tables have settled of it, or why that is not known.
    pub(super) settled: Result<Settled, String>,
}

impl Beginning {
    /// The guard rows are read before the fence, so that they have nothing that the fence lacks,
    /// and again after the page: if they have not moved, all that they lack is in the list.
    pub(super) fn find(
        journal: &mut dyn InspectJournal,
        guards: &mut dyn InspectGuards,
    ) -> Result<Self, JournalFault> {
        let why = |fault: ErrorsFault| format!("the tables were not read: {fault}");
        for _ in 1..BEGINNINGS_MAX {
            let before = guards.settled().map_err(why);
            let standing = journal.standing()?;
            let page = journal.jobs(standing.base)?;
            let dead = journal.dead()?;
            let stands = match &before {
                Ok(before) => guards.settled().is_ok_and(|after| after == *before),
                Err(_) => true,
            };
            if stands {
                return Ok(Self { standing, page, dead, settled: before });
            }
        }
        let standing = journal.standing()?;
        let page = journal.jobs(standing.base)?;
        let dead = journal.dead()?;
        let why = "counts are being applied without a pause".to_owned();
        Ok(Self { standing, page, dead, settled: Err(why) })
    }
}

/// A reading under way.
pub struct Pass<'a> {
    journal: &'a mut dyn InspectJournal,
    begin: Beginning,
    chain: Chain,
    ledger: Ledger,
    epoch: Option<EpochCounts>,
    totals: Totals,
    report: Report,
    /// Jobs received up to here must be counted as pending if any job after them is.
    due: Timestamp,
    /// Whether a job just before the next was missing or could not be read.
    hole: bool,
    /// Whether any was.
    holes: bool,
    /// Whether the server trimmed or merged jobs that were not read yet.
    overtaken: bool,
}

impl<'a> Pass<'a> {
    /// Reads how things stand at the beginning.
    pub fn new(
        journal: &'a mut dyn InspectJournal,
        guards: &mut dyn InspectGuards,
        shard: Shard,
        now: Timestamp,
    ) -> Result<Self, JournalFault> {
        let begin = Beginning::find(journal, guards)?;
        // clocks may differ, and a server may have been killed long ago: its last job has its time
        let last = journal.jobs(begin.standing.fence.seq)?;
        let last = last.jobs.first().and_then(|stored| job::decode(&stored.bytes).ok());
        let latest = last.map_or(now, |job| now.min(job.flight.received_max));
        Ok(Self {
            journal,
            chain: Chain::new(shard, begin.page.base),
            begin,
            ledger: Ledger::default(),
            epoch: None,
            totals: Totals::default(),
            report: Report::default(),
            due: latest.plus_millis(-LAG_MS),
            hole: false,
            holes: false,
            overtaken: false,
        })
    }

    /// Reads to the end. Returns what was found, and whether the server trimmed or merged jobs that
    /// were not read yet: then another pass may find more.
    pub fn run(mut self) -> Result<(Report, bool), JournalFault> {
        let fence = self.begin.standing.fence;
        let mut page = std::mem::take(&mut self.begin.page);
        let mut next = page.base;
        loop {
            self.turn(&page);
            for stored in &page.jobs {
                next = stored.at.next();
                if stored.bytes == job::BLANK {
                    self.chain.blank(stored.at, stored.bytes.len(), &mut self.report);
                    continue;
                }
                let decoded = self.check(stored);
                if let Some(job) = decoded {
                    self.count(&job)?;
                }
            }
            if page.jobs.is_empty() || next > fence.seq {
                break;
            }
            page = self.journal.jobs(next)?;
        }
        self.leave_epoch(None, next)?;
        self.overtaken |= self.chain.ends_blank();
        let after = self.journal.standing()?;
        self.check_fence(&after);
        self.compare_ledger();
        self.chain.end(&fence, &after.fence, &mut self.report);
        Ok((self.report, self.overtaken))
    }

    /// Notes where the list begins now.
    fn turn(&mut self, page: &JobPage) {
        if page.base > self.chain.expected {
            self.overtaken = true;
            // whole epochs are trimmed
            self.epoch = None;
            self.hole = false;
            self.chain.trimmed(page.base);
        }
    }

    fn check(&mut self, stored: &StoredJob) -> Option<Job> {
        let decoded = job::decode(&stored.bytes);
        if job::header(&stored.bytes).is_ok_and(|header| header.tombstone) {
            self.chain.set_aside(stored.at);
        } else if let Ok(job) = &decoded {
            self.overtaken |= self.chain.merged_meanwhile(job, &mut self.report);
        }
        let whole = self.chain.job(stored.at, stored.bytes.len(), &decoded, &mut self.report);
        if !whole {
            self.hole = true;
            self.holes = true;
            if let Some(epoch) = &mut self.epoch {
                epoch.whole = false;
            }
        }
        decoded.ok()
    }

    fn count(&mut self, job: &Job) -> Result<(), JournalFault> {
        let flight = &job.flight;
        let fence = self.begin.standing.fence;
        if flight.seq <= fence.seq {
            self.ledger.add(flight);
        }
        if self.epoch.as_ref().is_some_and(|open| open.epoch != flight.epoch) {
            self.leave_epoch(Some(flight.epoch), flight.seq)?;
        }
        let due = job.term == fence.term && flight.received_max <= self.due;
        let open = self.epoch.get_or_insert_with(|| EpochCounts::new(flight.epoch, flight.seq));
        open.whole &= !self.hole;
        self.hole = false;
        open.add(flight, due);
        Ok(())
    }

    /// Holds the epoch's pending counts against its jobs. The last one may go on: jobs from `next`
    /// on are read until all are there that can have been pending.
    fn leave_epoch(&mut self, into: Option<Epoch>, next: Seq) -> Result<(), JournalFault> {
        let Some(mut open) = self.epoch.take() else { return Ok(()) };
        self.journal.pending(open.epoch, &mut |row| open.pending(row))?;
        let after = self.journal.standing()?;
        if after.base > open.first {
            // trimmed, and its pending counts with it
            return Ok(());
        }
        if let Ok(Settled { guards, .. }) = &self.begin.settled
            && guards.iter().all(|guard| guard.epoch >= open.epoch)
        {
            // applied, and kept for --trim-lag without its pending counts
            return Ok(());
        }
        if into.is_none() {
            self.read_on(&mut open, next, after.fence.seq)?;
        }
        self.totals.follow(&open);
        if open.whole {
            open.compare(&mut self.totals, &mut self.report);
        } else {
            let why = format!("epoch {}: not all of its jobs can be read", open.epoch);
            self.report.unknown(Check::Pending, why);
        }
        Ok(())
    }

    fn read_on(
        &mut self,
        open: &mut EpochCounts,
        mut next: Seq,
        last: Seq,
    ) -> Result<(), JournalFault> {
        while next <= last {
            let page = self.journal.jobs(next)?;
            if page.jobs.is_empty() {
                return Ok(());
            }
            for stored in &page.jobs {
                next = stored.at.next();
                if stored.bytes == job::BLANK {
                    continue;
                }
                match job::decode(&stored.bytes) {
                    Ok(job) if job.flight.epoch == open.epoch => open.add(&job.flight, false),
                    Ok(_) => return Ok(()),
                    Err(_) => open.whole = false,
                }
            }
        }
        Ok(())
    }

    fn check_fence(&mut self, after: &Standing) {
        let Standing { fence, base, jobs, .. } = after;
        let right = format!("seq {}, the end of {jobs} jobs from seq {base} on", fence.seq);
        if base.0.checked_add(*jobs) == Some(fence.seq.next().0) {
            self.report.right(Check::Fence, right);
        } else {
            let wrong = format!("seq {}, but {jobs} jobs from seq {base} on", fence.seq);
            self.report.wrong(Check::Fence, wrong);
        }
        self.totals.conclude(&mut self.report);
    }

    fn compare_ledger(&mut self) {
        let fence = self.begin.standing.fence;
        match &self.begin.settled {
            Err(why) => self.report.unknown(Check::Ledger, why.clone()),
            Ok(_) if self.overtaken => {
                let why = "the server trims or merges faster than the list is read".to_owned();
                self.report.unknown(Check::Ledger, why);
            }
            Ok(settled) => {
                self.ledger.compare(&fence, settled, &self.begin.dead, &mut self.report);
            }
        }
    }
}
