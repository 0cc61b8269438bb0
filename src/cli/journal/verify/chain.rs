//! Whether each job is whole, and follows the one before it.

use errsift_ops::{
    id::{Epoch, Seq, Shard, Term},
    job::{Job, JobError},
};
use errsift_pipeline::ports::journal::Fence;

use super::report::{Check, Report};

/// What is remembered of the jobs so far.
pub struct Chain {
    shard: Shard,
    /// The number that must come next.
    pub expected: Seq,
    first: Seq,
    epoch: Epoch,
    term: Term,
    jobs: u64,
    bytes: u64,
    /// Where the flights begin that a job still to come must stand for.
    blanks: Option<Seq>,
    /// Whether a job was set aside among them, which may have stood for those before it.
    aside: bool,
    ends_blank: bool,
}

impl Chain {
    /// A chain that begins at `base`.
    pub fn new(shard: Shard, base: Seq) -> Self {
        let (epoch, term) = (Epoch::default(), Term::default());
        Self {
            shard,
            expected: base,
            first: base,
            epoch,
            term,
            jobs: 0,
            bytes: 0,
            blanks: None,
            aside: false,
            ends_blank: false,
        }
    }

    /// Notes that the list now begins at `base`: what is before it was trimmed, and is not missing.
    pub fn trimmed(&mut self, base: Seq) {
        self.expected = self.expected.max(base);
        (self.blanks, self.aside, self.ends_blank) = (None, false, false);
    }

    /// Takes in a blank at the place `at`: its flight was merged into a later job.
    pub fn blank(&mut self, at: Seq, bytes: usize, report: &mut Report) {
        self.bytes += bytes as u64;
        if at > self.expected {
            self.missing(Seq(at.0 - 1), report);
        }
        self.blanks.get_or_insert(at);
        self.ends_blank = true;
        self.expected = at.next();
    }

    /// Takes in what stands in the place `at` of a job that was set aside. It may have been a blank,
    /// or have stood for the blanks before it.
    pub fn set_aside(&mut self, at: Seq) {
        self.blanks.get_or_insert(at);
        (self.aside, self.ends_blank) = (true, false);
    }

    /// Whether `job` stands for the blanks before it. If it stands for more, it was merged while the
    /// list was read: its flights, or some of them, were taken in already.
    pub fn merged_meanwhile(&mut self, job: &Job, report: &mut Report) -> bool {
        let (blanks, seq) = (self.blanks.take(), job.flight.seq);
        let begin = blanks.unwrap_or(seq);
        self.ends_blank = false;
        let aside = std::mem::take(&mut self.aside);
        if begin < job.first && !aside {
            let last = job.first.0 - 1;
            report
                .wrong(Check::Sequence, format!("seq {begin} to {last} are blank, and in no job"));
        }
        begin > job.first
    }

    /// Whether the list has ended before the job that stands for its last blanks.
    pub fn ends_blank(&self) -> bool {
        self.ends_blank
    }

    /// Checks the next job, found at the place `at`. Returns whether all before it were there and
    /// could be read as well.
    pub fn job(
        &mut self,
        at: Seq,
        bytes: usize,
        job: &Result<Job, JobError>,
        report: &mut Report,
    ) -> bool {
        self.jobs += 1;
        self.bytes += bytes as u64;
        // a job that is gone moves those behind it up by a place: their own number is the better
        let seq = match job {
            Ok(job) => job.flight.seq,
            Err(_) => at.max(self.expected),
        };
        let mut whole = true;
        if seq > self.expected {
            self.missing(Seq(seq.0 - 1), report);
            whole = false;
        } else if seq < self.expected {
            let before = self.expected.0 - 1;
            report.wrong(Check::Sequence, format!("seq {seq} comes again after seq {before}"));
            return false;
        }
        self.expected = seq.next();
        match job {
            Ok(job) => self.order(job, report),
            Err(fault) => {
                report.wrong(Check::Jobs, format!("seq {seq}, {bytes} bytes: {fault}"));
                whole = false;
            }
        }
        whole
    }

    fn order(&mut self, job: &Job, report: &mut Report) {
        let Job { shard, term, flight, .. } = job;
        let seq = flight.seq;
        if *shard != self.shard {
            report.wrong(Check::Jobs, format!("seq {seq} is shard {shard}'s"));
        }
        if flight.epoch < self.epoch {
            let (epoch, before) = (flight.epoch, self.epoch);
            report.wrong(Check::Epochs, format!("seq {seq} has epoch {epoch} after {before}"));
        }
        if *term < self.term {
            let before = self.term;
            report.wrong(Check::Epochs, format!("seq {seq} has term {term} after {before}"));
        }
        self.epoch = self.epoch.max(flight.epoch);
        self.term = self.term.max(*term);
    }

    fn missing(&self, last: Seq, report: &mut Report) {
        let first = self.expected;
        let what = if first == last {
            format!("seq {first} is missing")
        } else {
            format!("seq {first} to {last} are missing")
        };
        report.wrong(Check::Sequence, what);
    }

    /// Ends the chain, whose jobs must reach `before`'s seq and not pass `after`: the fence as read
    /// before the first and after the last job.
    pub fn end(self, before: &Fence, after: &Fence, report: &mut Report) {
        if self.expected <= before.seq {
            self.missing(before.seq, report);
        }
        let last = Seq(self.expected.0.saturating_sub(1));
        if last > after.seq && self.jobs > 0 {
            report.wrong(
                Check::Fence,
                format!("the last job is seq {last}, the fence says {}", after.seq),
            );
        }
        if self.epoch > after.epoch || self.term > after.term {
            report.wrong(
                Check::Epochs,
                format!(
                    "the last job has epoch {} and term {}, the fence says {} and {}",
                    self.epoch, self.term, after.epoch, after.term
                ),
            );
        }
        let Self { first, jobs, bytes, epoch, .. } = self;
        report.right(Check::Jobs, format!("{jobs} read, {bytes} bytes, CRC and content of each"));
        let span = if jobs == 0 { "no job".to_owned() } else { format!("seq {first} to {last}") };
        report.right(Check::Sequence, span);
        let newest = if jobs == 0 { "no job".to_owned() } else { format!("up to {epoch}") };
        report.right(Check::Epochs, newest);
    }
}
