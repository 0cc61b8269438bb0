//! What the tables have counted that a journal knows nothing of.
//!
//! A journal may be taken while the tables are away although it is new, or has lost flights that the
//! tables have: it counts its events from where it stands, and the ledger would lack the others on its
//! left side for ever. Whoever takes the shard while both stores answer adds them to the fence. That
//! a journal was taken so is told by its terms, which go on from the time then; that it has lost
//! flights, by guard rows that are ahead of it. Of all others the fence is never touched, so that no
//! start hides a difference.

use errsift_ops::{
    id::{Seq, Term},
    job,
};

use crate::{
    ids::briefly,
    ports::{
        errors::Settled,
        journal::{Backlog, Fence, Foreign, JournalFault},
    },
    settings::PAGE_JOBS,
};

/// Terms from here on go on from a time and not from a number of starts; in microseconds it is the
/// 1st of January 1970, and in seconds, in which such terms were once counted, the year 2001.
const TIMED_TERM_MIN: Term = Term(1_000_000_000);

/// A journal with more bytes is not looked through: nobody is acknowledged meanwhile. A later start
/// finds the same.
const LOOK_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Where a journal taken from `before` stood, as far as the tables are known to go along with it: if
/// they are ahead of that, they have what the journal does not know of.
pub(super) fn known(before: Fence) -> Fence {
    if before.term >= TIMED_TERM_MIN { Fence::default() } else { before }
}

/// Whether a journal with this fence may lack what the tables, when they were `settled`, have.
fn may_lack(fence: &Fence, settled: &Settled) -> bool {
    fence.term >= TIMED_TERM_MIN || settled.guards.iter().any(|guard| guard.seq > fence.seq)
}

/// Events that the tables, when they were `settled`, had counted beyond all that the journal knows
/// of. To be called after the tables were read: what is trimmed since makes it less, and the next
/// start finds the rest.
pub(super) fn find(backlog: &mut dyn Backlog, settled: &Settled) -> Result<Foreign, JournalFault> {
    let fence = briefly(|| backlog.fence())?;
    if !may_lack(&fence, settled) {
        return Ok(Foreign::default());
    }
    if briefly(|| backlog.size())?.bytes > LOOK_BYTES_MAX {
        tracing::info!("journal too large to compare its total with the tables at this start");
        return Ok(Foreign::default());
    }
    let dead = briefly(|| backlog.dead())?;
    let Some(unapplied) = unapplied(backlog, settled, fence.seq)?.filter(|_| dead.is_counted())
    else {
        return Ok(Foreign::default());
    };
    let known = settled.events() + unapplied + dead.events;
    let events = known.saturating_sub(fence.events);
    if events > 0 {
        tracing::warn!(
            events,
            "tables have events that the journal does not know of: its total goes on with them"
        );
    }
    Ok(Foreign { found: fence, events })
}

/// Events in jobs up to `last` that the parts do not have; `None` if that cannot be told now.
fn unapplied(
    backlog: &mut dyn Backlog,
    settled: &Settled,
    last: Seq,
) -> Result<Option<u64>, JournalFault> {
    let (mut events, mut read, mut counted) = (0, Seq::default(), Seq::default());
    loop {
        let page = briefly(|| backlog.page(read.next(), PAGE_JOBS))?;
        let first = read.next().max(page.base);
        // a predecessor that is still at work may have trimmed beyond it, and have later ones
        if page.jobs.is_empty() || first > last {
            return Ok((first > last).then_some(events));
        }
        for (seq, bytes) in (first.0..=last.0).map(Seq).zip(&page.jobs) {
            read = seq;
            if bytes == job::BLANK {
                continue;
            }
            let Ok(job) = job::decode(bytes) else { return Ok(None) };
            if job.first <= counted {
                // merged since the page before was read: some of it is counted already
                return Ok(None);
            }
            counted = seq;
            let flight = job.flight;
            let lacks = |part: usize| settled.guards[part].epoch < flight.epoch;
            let entries = flight.entries.iter();
            let lacking = entries.filter(|entry| lacks(entry.fingerprint.part().index()));
            events += lacking.map(|entry| entry.tally.count).sum::<u64>();
        }
        if read >= last {
            return Ok(Some(events));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use errsift_ops::{
        fingerprint::Fingerprint,
        flight::{Entry, Flight},
        id::{Epoch, Nonce, Part, Shard},
        job::Job,
        tally::Tally,
        timestamp::Timestamp,
        window::Window,
    };

    use super::*;
    use crate::{
        memory::MemoryJournal,
        ports::{
            errors::Guard,
            journal::{Commit, Journal, Progress},
        },
    };

    const EPOCH: Epoch = Epoch(50);

    /// A journal with one flight, of an event in the first part and two in the last.
    fn journal(term: Term) -> (MemoryJournal, Fence) {
        let mut journal = MemoryJournal::default();
        let at_least = Progress { term, ..Progress::default() };
        let armed = journal.acquire(Nonce(1), at_least).unwrap().armed;
        let at = Timestamp::default();
        let entry = |byte, count| Entry {
            fingerprint: Fingerprint([byte; 32]),
            window: Window::of(at),
            tally: Tally { count, first: at, last: at },
            details: None,
        };
        let flight = Flight {
            seq: Seq(1),
            epoch: EPOCH,
            received_min: at,
            received_max: at,
            entries: vec![entry(0, 1), entry(255, 2)],
            ids: Vec::new(),
        };
        let before = *armed.fence();
        let fence = Fence { seq: Seq(1), epoch: EPOCH, events: 3, ..before };
        let job = Job { shard: Shard(0), term: before.term, first: Seq(1), flight };
        let job = Bytes::from(job::encode(&job));
        journal.commit(Commit { armed, fence, job }, Box::new(|done| assert!(done.is_ok())));
        (journal, fence)
    }

    /// Tables in which the first part stands here, and the others have nothing.
    fn settled(guard: Guard) -> Settled {
        let mut settled = Settled::default();
        settled.guards[Part::all().next().unwrap().index()] = guard;
        settled
    }

    fn found(term: Term, guard: Guard) -> u64 {
        let (mut journal, fence) = journal(term);
        let foreign = find(&mut journal, &settled(guard)).unwrap();
        assert!(foreign.events == 0 || foreign.found == fence, "{foreign:?}");
        foreign.events
    }

    #[test]
    fn what_only_a_part_has_of_lost_flights_is_foreign() {
        // the flight's event, and four of flights that the journal has lost since
        let ahead = Guard { epoch: Epoch(60), seq: Seq(2), events: 5, ..Guard::default() };
        assert_eq!(found(Term(7), ahead), 4);
    }

    #[test]
    fn only_a_journal_that_was_taken_alone_or_is_behind_lacks_anything() {
        let level = Guard { epoch: EPOCH, seq: Seq(1), events: 5, ..Guard::default() };
        assert_eq!(found(Term(7), level), 0, "a difference that nothing explains stays");
        assert_eq!(found(TIMED_TERM_MIN, level), 4);
        assert_eq!(found(TIMED_TERM_MIN, Guard { events: 1, ..level }), 0);
        assert_eq!(found(TIMED_TERM_MIN, Guard::default()), 0, "all is still to be applied");
    }
}
