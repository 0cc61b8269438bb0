//! Which job to suspect when a process does not come through its recovery.
//!
//! A start is counted until its recovery has come through. From the [`CAREFUL_STARTS`]th in a row
//! on, jobs are fed one at a time, and each is noted in the journal before it is decoded until the
//! dataflow has taken it in. The one that was noted in the moment of [`DEATHS_MAX`] deaths in a row
//! is set aside.
//!
//! Before that a start reads the event ids of the last minutes' jobs, a page at a time: see [`Care`].
//!
//! The moment lasts two writes to the journal and one step of the dataflow, and never waits for the
//! tables: a process that is killed for another reason dies three times at the same job only by a
//! chance that can be neglected. If it does, the job lies among the dead and can be counted later.

use errsift_ops::id::Seq;

use crate::{ports::dead::Recovery, settings::PAGE_JOBS};

/// The start from which on jobs are fed one at a time.
pub(crate) const CAREFUL_STARTS: u64 = 3;
/// How often in a row a process must die at a job until it is set aside.
pub(crate) const DEATHS_MAX: u64 = 3;

/// How jobs are looked into before they are fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Nothing is noted.
    None,
    /// The first of a page is noted for all of it: two writes to the journal for each would keep a
    /// long journal's process from serving for minutes. If it dies, the next looks at each job of
    /// that page by itself.
    Together,
    /// Each is noted.
    Singly,
}

impl Recovery {
    /// One start more. What the last process was just feeding when it died is accused.
    #[must_use]
    pub(crate) fn begun(self) -> Self {
        let starts = self.starts.saturating_add(1);
        if !self.suspects() {
            return Self { starts, ..self };
        }
        let deaths = if self.accused == self.suspect { self.deaths.saturating_add(1) } else { 1 };
        Self { starts, suspect: Seq::default(), accused: self.suspect, deaths }
    }

    /// Whether jobs are to be fed one at a time.
    pub(crate) fn is_careful(&self) -> bool {
        self.starts >= CAREFUL_STARTS
    }

    /// Whether `seq` is to be set aside instead of being fed.
    pub(crate) fn condemns(&self, seq: Seq) -> bool {
        self.accused == seq && self.deaths >= DEATHS_MAX
    }

    /// How to look into `jobs` jobs from `first` on before they are fed.
    pub(crate) fn care(&self, first: Seq, jobs: usize) -> Care {
        let last = first.0.saturating_add(jobs as u64);
        // a process may have died at a page that began there
        let near = first.0 < self.accused.0.saturating_add(PAGE_JOBS as u64);
        match (self.is_careful(), self.accused != Seq::default() && near && self.accused.0 < last) {
            (false, _) => Care::None,
            (true, false) => Care::Together,
            (true, true) => Care::Singly,
        }
    }

    /// `seq` is about to be fed.
    #[must_use]
    pub(crate) fn suspecting(self, seq: Seq) -> Self {
        Self { suspect: seq, ..self }
    }

    /// `seq` was fed, or set aside, and does no harm.
    #[must_use]
    pub(crate) fn cleared(self, seq: Seq) -> Self {
        let suspect = if self.suspect == seq { Seq::default() } else { self.suspect };
        if self.accused == seq {
            return Self { suspect, accused: Seq::default(), deaths: 0, ..self };
        }
        Self { suspect, ..self }
    }

    /// Whether a job is suspected now.
    pub(crate) fn suspects(&self) -> bool {
        self.suspect != Seq::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Where a process dies: before, while or after it feeds the job, or not at all.
    #[derive(Clone, Copy, Debug)]
    enum Death {
        Before,
        While,
        After,
    }

    /// Feeds jobs 1 to `jobs`, those in `deadly` kill; so does `death` at the job it names.
    /// Returns what was noted last, and whether the process came through.
    fn start(
        noted: Recovery,
        jobs: u64,
        deadly: &mut BTreeSet<u64>,
        death: Option<(u64, Death)>,
    ) -> (Recovery, bool) {
        let mut noted = noted.begun();
        for seq in 1..=jobs {
            if let Some((at, Death::Before)) = death
                && at == seq
            {
                return (noted, false);
            }
            if noted.is_careful() {
                if noted.condemns(Seq(seq)) {
                    deadly.remove(&seq);
                    noted = noted.cleared(Seq(seq));
                    continue;
                }
                noted = noted.suspecting(Seq(seq));
            }
            let killed = matches!(death, Some((at, Death::While)) if at == seq);
            if killed || deadly.contains(&seq) {
                return (noted, false);
            }
            if noted.is_careful() {
                noted = noted.cleared(Seq(seq));
            }
            if matches!(death, Some((at, Death::After)) if at == seq) {
                return (noted, false);
            }
        }
        (Recovery::default(), true)
    }

    #[test]
    fn only_pages_that_a_process_may_have_died_at_are_read_job_by_job() {
        let page = PAGE_JOBS as u64;
        let recovery = |starts, accused| Recovery { starts, accused, ..Recovery::default() };
        let care = |accused, first| recovery(CAREFUL_STARTS, accused).care(Seq(first), PAGE_JOBS);
        assert_eq!(recovery(2, Seq(5)).care(Seq(1), PAGE_JOBS), Care::None);
        assert_eq!(care(Seq::default(), 1), Care::Together);
        let accused = Seq(1_000);
        let singly = |first| care(accused, first) == Care::Singly;
        assert!(!singly(1_000 - page) && singly(1_001 - page));
        assert!(singly(1_000) && singly(999 + page) && !singly(1_000 + page));
    }

    /// A start that reads a page of jobs of which some kill, and then each by itself.
    #[test]
    fn a_deadly_page_is_narrowed_down_to_its_deadly_job() {
        let pages = [0, 1, 2].map(|page| 1 + page * PAGE_JOBS as u64);
        let deadly = 100;
        let mut noted = Recovery::default();
        for starts in 1.. {
            assert!(starts < 10, "{noted:?}");
            noted = noted.begun();
            let died_at = pages.into_iter().rev().find_map(|first| {
                let page = first..first + PAGE_JOBS as u64;
                match noted.care(Seq(first), PAGE_JOBS) {
                    Care::None => page.contains(&deadly).then_some(Seq::default()),
                    Care::Together => page.contains(&deadly).then_some(Seq(first)),
                    Care::Singly => {
                        let died = page.contains(&deadly) && !noted.condemns(Seq(deadly));
                        died.then_some(Seq(deadly))
                    }
                }
            });
            let Some(suspect) = died_at else {
                // two that nobody watched, one at the page, three at the job
                assert_eq!(starts, 2 + 1 + DEATHS_MAX + 1);
                return;
            };
            noted = noted.suspecting(suspect);
        }
    }

    #[test]
    fn deadly_jobs_are_set_aside_after_three_deaths_each() {
        let mut deadly = BTreeSet::from([2, 4]);
        let mut noted = Recovery::default();
        let mut starts = 0;
        while !deadly.is_empty() || noted != Recovery::default() {
            (noted, _) = start(noted, 5, &mut deadly, None);
            starts += 1;
            assert!(starts < 20, "{noted:?} {deadly:?}");
        }
        // two that nobody watched, three at each, and the one that comes through
        assert_eq!(starts, 2 + 3 + 3 + 1);
    }

    proptest! {
        /// Kills that do not fall on the same job three times, without its being fed in between,
        /// set nothing aside.
        #[test]
        fn the_innocent_stay(
            deaths in proptest::collection::vec((1..6_u64, 0..3_u8), 0..60)
        ) {
            let mut noted = Recovery::default();
            let (mut victim, mut kills) = (0, 0);
            for (at, kind) in deaths {
                let mut kind = [Death::Before, Death::While, Death::After][usize::from(kind)];
                if at == victim && kills == 2 && matches!(kind, Death::While) {
                    kind = Death::After;
                }
                match kind {
                    Death::While if at == victim => kills += 1,
                    Death::While => (victim, kills) = (at, 1),
                    Death::Before if at > victim => (victim, kills) = (0, 0),
                    Death::After if at >= victim => (victim, kills) = (0, 0),
                    Death::Before | Death::After => {}
                }
                (noted, _) = start(noted, 5, &mut BTreeSet::new(), Some((at, kind)));
                prop_assert!((1..=5).all(|seq| !noted.begun().condemns(Seq(seq))), "{:?}", noted);
            }
        }

        /// Whatever else kills it in between, in the end the deadly job is gone.
        #[test]
        fn the_deadly_go(
            deaths in proptest::collection::vec((1..6_u64, 0..3_u8), 0..40), at in 1..6_u64
        ) {
            let mut noted = Recovery::default();
            let mut deadly = BTreeSet::from([at]);
            for (at, kind) in deaths {
                let kind = [Death::Before, Death::While, Death::After][usize::from(kind)];
                (noted, _) = start(noted, 5, &mut deadly, Some((at, kind)));
            }
            let through = (0..7).any(|_| {
                let through;
                (noted, through) = start(noted, 5, &mut deadly, None);
                through
            });
            prop_assert!(through, "{:?} {:?}", noted, deadly);
        }
    }
}
