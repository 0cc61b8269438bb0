//! What the tables have counted before a journal began that knows nothing of it.
//!
//! A journal that is new while the tables are away counts its events from 0, and the tables turn out
//! to have counted some of this shard before: the ledger would lack these on its left side for ever.
//! Whoever takes the shard while both stores answer adds them to the fence. That a journal began so
//! is told by its terms, which go on from the unix time then; of all others the fence is never
//! touched, so that no start hides a difference.

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

/// Terms from here on, in unix seconds the year 2001, go on from a time and not from a number of
/// starts.
const TIMED_TERM_MIN: Term = Term(1_000_000_000);

/// Whether the journal of this fence began while the tables were away.
pub(super) fn began_alone(fence: &Fence) -> bool {
    fence.term >= TIMED_TERM_MIN
}

/// Events that the tables, when they were `settled`, had counted beyond all that the journal knows
/// of. To be called after the tables were read: what is trimmed since makes it less, and the next
/// start finds the rest.
pub(super) fn find(backlog: &mut dyn Backlog, settled: &Settled) -> Result<Foreign, JournalFault> {
    let fence = briefly(|| backlog.fence())?;
    if !began_alone(&fence) {
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
            "the tables had counted events before this journal began: its total goes on from them"
        );
    }
    Ok(Foreign { term: fence.term, events })
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
        if page.jobs.is_empty() {
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
