//! The ledger alone: what became of every event ever journaled.

use std::{thread, time::Duration};

use errsift_ops::{id::Seq, job};
use errsift_pipeline::ports::journal::JournalFault;

use super::{
    PASSES_MAX,
    ledger::{Account, Ledger},
    pass::Beginning,
};
use crate::inspect::{InspectGuards, InspectJournal, JobPage};

/// Between two passes, so that a server that applies just now comes to its end.
const PAUSE: Duration = Duration::from_millis(100);

/// Reckons it from fence, list and tables of one moment. `Err` in the answer says why there is no
/// such moment: the tables are away, or the server never pauses.
pub fn balance(
    journal: &mut dyn InspectJournal,
    guards: &mut dyn InspectGuards,
) -> Result<Result<Account, String>, JournalFault> {
    let mut why = String::new();
    for _ in 0..PASSES_MAX {
        let Beginning { standing, page, dead, settled } = Beginning::find(journal, guards)?;
        let settled = match settled {
            Ok(settled) => settled,
            Err(reason) => {
                why = reason;
                thread::sleep(PAUSE);
                continue;
            }
        };
        if !dead.is_counted() {
            "the events of a job that was set aside are not known yet".clone_into(&mut why);
            thread::sleep(PAUSE);
            continue;
        }
        match unapplied(journal, page, standing.fence.seq)? {
            Some(ledger) => return Ok(Ok(ledger.account(&standing.fence, &settled, &dead))),
            None => "the server trims faster than the list is read".clone_into(&mut why),
        }
    }
    Ok(Err(why))
}

/// Sums up the jobs up to `last`; `None` if some of them were trimmed before they were read. A job
/// that cannot be read, or is gone, is missed by the sum.
fn unapplied(
    journal: &mut dyn InspectJournal,
    mut page: JobPage,
    last: Seq,
) -> Result<Option<Ledger>, JournalFault> {
    let mut ledger = Ledger::default();
    let mut next = page.base;
    loop {
        if page.base > next {
            return Ok(None);
        }
        for stored in page.jobs.iter().filter(|stored| stored.at <= last) {
            if let Ok(job) = job::decode(&stored.bytes) {
                ledger.add(&job.flight);
            }
        }
        match page.jobs.last() {
            Some(stored) if stored.at < last => next = stored.at.next(),
            _ => return Ok(Some(ledger)),
        }
        page = journal.jobs(next)?;
    }
}

#[cfg(test)]
mod tests {
    use errsift_ops::id::Epoch;

    use super::{
        super::list::{List, Rows},
        *,
    };

    fn five() -> List {
        List::of(&[(1, 100, 2), (2, 100, 3), (3, 200, 4), (4, 200, 5), (5, 200, 6)])
    }

    fn account(list: &mut List, epoch: u64, events: u64) -> Account {
        balance(list, &mut Rows(Some((epoch, events)))).unwrap().unwrap()
    }

    #[test]
    fn every_event_is_somewhere() {
        let right = account(&mut five(), 100, 5);
        assert_eq!((right.journaled, right.counted, right.pending), (20, 5, 15));
        assert_eq!(right.difference(), 0);
        assert_eq!(account(&mut five(), 200, 20).difference(), 0);
        assert_eq!(account(&mut List::of(&[]), 0, 0).difference(), 0);
    }

    #[test]
    fn what_is_missing_or_twice_is_told() {
        assert_eq!(account(&mut five(), 100, 4).difference(), 1);
        assert_eq!(account(&mut five(), 100, 7).difference(), -2);
        let mut list = five();
        list.corrupt(4);
        assert_eq!(account(&mut list, 100, 5).difference(), 5);
    }

    #[test]
    fn what_a_server_does_meanwhile_is_no_difference() {
        let mut list = five();
        list.before_page.insert(2, |list| {
            list.push(6, 300, 7);
            list.push(7, 300, 8);
        });
        assert_eq!(account(&mut list, 100, 5).difference(), 0);
        for page in 1..=4 {
            let mut list = five();
            list.before_page.insert(page, |list| list.trim(2));
            assert_eq!(account(&mut list, 100, 5).difference(), 0, "page {page}");
        }
        let away = balance(&mut five(), &mut Rows(None)).unwrap();
        assert!(away.unwrap_err().contains("no connection"));
        assert_eq!(five().fence.epoch, Epoch(200));
    }
}
