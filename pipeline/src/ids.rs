//! Event ids on their way through the journal: read back at the start, and kept when their jobs
//! are trimmed, until they are too old to matter.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use errsift_ops::{
    flight::Flight,
    id::{Epoch, Seq},
    job,
    recent_ids::{IDS_KEPT, RecentIds},
    timestamp::Timestamp,
};

use crate::{
    apply::{retry::Retry, suspicion::Care},
    ports::{
        dead::Recovery,
        errors::Claim,
        journal::{Backlog, JobIds, JournalFault},
    },
    settings::{IDS_MAX, PAGE_JOBS},
};

/// Flights are put together whose events were received within this time, in milliseconds, so that
/// what is kept has few and not too large pieces.
const GROUP_MS: i64 = 5_000;
/// Ids of one piece.
const GROUP_IDS: usize = 32 * 1024;
/// Attempts to read the journal at the start.
const READS_MAX: u32 = 12;
/// The same, before the shard is taken.
const BRIEF_READS_MAX: u32 = 6;

/// What is received before this need not be remembered at `now`.
fn since(now: Timestamp) -> Timestamp {
    now.plus_millis(-i64::try_from(IDS_KEPT.as_millis()).unwrap_or(i64::MAX))
}

/// The ids of journaled flights by epoch, until their jobs are trimmed, and how many ids the journal
/// keeps of those that are.
#[derive(Debug, Default)]
pub(crate) struct JournaledIds(Mutex<Journaled>);

#[derive(Debug, Default)]
struct Journaled {
    open: VecDeque<Group>,
    open_ids: usize,
    /// When each piece that the journal keeps was received, and its ids.
    kept: VecDeque<(Timestamp, usize)>,
}

#[derive(Debug)]
struct Group {
    epoch: Epoch,
    first: Timestamp,
    ids: JobIds,
}

impl JournaledIds {
    /// Notes the ids of a flight that has reached apply; flights come in order.
    pub(crate) fn note(&self, flight: &Flight) {
        if flight.ids.is_empty() {
            return;
        }
        let mut journaled = self.lock();
        journaled.open_ids += flight.ids.len();
        let received = flight.received_max;
        match journaled.open.back_mut() {
            Some(Group { epoch, first, ids })
                if *epoch == flight.epoch
                    && received <= first.plus_millis(GROUP_MS)
                    && ids.ids.len() < GROUP_IDS =>
            {
                ids.seq = flight.seq;
                ids.received = received.max(ids.received);
                ids.ids.extend(&flight.ids);
            }
            _ => {
                let ids = JobIds { seq: flight.seq, received, ids: flight.ids.clone() };
                journaled.open.push_back(Group { epoch: flight.epoch, first: received, ids });
            }
        }
        // apply may lag for hours, but ids matter for minutes
        while journaled.open.front().is_some_and(|group| {
            group.ids.received < since(received) || journaled.open_ids > IDS_MAX
        }) {
            journaled.forget_first();
        }
    }

    /// What a trim of all up to `epoch` is to keep, and since when at `now`.
    pub(crate) fn keeping(&self, epoch: Epoch, now: Timestamp) -> (Vec<JobIds>, Timestamp) {
        let journaled = self.lock();
        let mut since = since(now);
        let groups = journaled.open.iter().take_while(|group| group.epoch <= epoch);
        let ids: Vec<_> = groups
            .filter(|group| group.ids.received >= since)
            .map(|group| group.ids.clone())
            .collect();
        let more: usize = ids.iter().map(|ids| ids.ids.len()).sum();
        let mut room = IDS_MAX.saturating_sub(more);
        for (received, ids) in journaled.kept.iter().rev() {
            let Some(left) = room.checked_sub(*ids) else {
                since = since.max(received.plus_millis(1));
                break;
            };
            room = left;
        }
        (ids, since)
    }

    /// Notes that the journal has been trimmed up to `epoch`, and keeps this.
    pub(crate) fn kept(&self, epoch: Epoch, (ids, since): (&[JobIds], Timestamp)) {
        let mut journaled = self.lock();
        while journaled.open.front().is_some_and(|group| group.epoch <= epoch) {
            journaled.forget_first();
        }
        journaled.kept.extend(ids.iter().map(|ids| (ids.received, ids.ids.len())));
        journaled.kept.retain(|(received, _)| *received >= since);
    }

    fn lock(&self) -> MutexGuard<'_, Journaled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journaled {
    fn forget_first(&mut self) {
        let forgotten = self.open.pop_front();
        self.open_ids -= forgotten.map_or(0, |group| group.ids.ids.len());
    }
}

/// Reads back which events were stored lately: from the jobs of the journal that has come to
/// `executed`, and from what trims have kept. `wall` and `now` are the same moment on both clocks.
///
/// Also says where the journal begins: every part has what came before.
///
/// To be called once the shard is taken. Jobs are read before what is kept, so that a predecessor
/// that trims meanwhile hides nothing. Ones that cannot be read are left to apply to report.
pub(crate) fn recover(
    backlog: &mut dyn Backlog,
    care: (&Claim, Recovery),
    executed: Seq,
    (wall, now): (Timestamp, Duration),
    journaled: &JournaledIds,
) -> Result<(RecentIds<u64>, Seq), JournalFault> {
    let (mut found, base) = of_jobs(backlog, care, executed, since(wall))?;
    let kept = patiently(|| backlog.kept_ids())?;
    journaled.lock().kept.extend(kept.iter().map(|ids| (ids.received, ids.ids.len())));
    found.extend(kept);
    found.retain(|ids| ids.received >= since(wall));
    found.sort_by_key(|ids| ids.received);
    let mut recent = RecentIds::new(IDS_MAX);
    recent.advance(now);
    for JobIds { received, ids, .. } in found {
        // a wall clock that was put back gives no one more than the full time
        let age = wall.millis().saturating_sub(received.millis()).max(0).unsigned_abs();
        let until = now + IDS_KEPT.saturating_sub(Duration::from_millis(age));
        for id in ids {
            recent.keep(id, until);
        }
    }
    Ok((recent, base))
}

/// The ids of all jobs since `since`, read page by page from the last one back, and where the
/// journal begins.
fn of_jobs(
    backlog: &mut dyn Backlog,
    care: (&Claim, Recovery),
    executed: Seq,
    since: Timestamp,
) -> Result<(Vec<JobIds>, Seq), JournalFault> {
    let mut found = Vec::new();
    let mut end = executed.0;
    loop {
        let from = Seq(end.saturating_sub(PAGE_JOBS as u64 - 1).max(1));
        let page = patiently(|| backlog.page(from, PAGE_JOBS))?;
        let mut newest = None;
        let first = from.max(page.base).0;
        for flight in read(backlog, care, Seq(first), &page.jobs)? {
            newest = newest.max((!flight.entries.is_empty()).then_some(flight.received_max));
            if !flight.ids.is_empty() {
                let (seq, received) = (flight.seq, flight.received_max);
                found.push(JobIds { seq, received, ids: flight.ids });
            }
        }
        let old = newest.is_some_and(|newest| newest < since);
        if old || page.jobs.is_empty() || from <= page.base.max(Seq(1)) {
            return Ok((found, page.base));
        }
        end = from.0 - 1;
    }
}

/// The flights of a page's jobs from `first` on, as far as they can be read. If the last starts did
/// not come through, what is read is noted first, and a job that has killed the process often enough
/// is left alone; apply has it set aside.
fn read(
    backlog: &mut dyn Backlog,
    (claim, recovery): (&Claim, Recovery),
    first: Seq,
    jobs: &[Bytes],
) -> Result<Vec<Flight>, JournalFault> {
    let decode = |bytes: &Bytes| job::decode(bytes).ok().map(|job| job.flight);
    let mut noted = |recovery| patiently(|| backlog.note_recovery(claim, &recovery));
    let mut flights = Vec::with_capacity(jobs.len());
    let care = recovery.care(first, jobs.len());
    if care == Care::Together {
        noted(recovery.suspecting(first))?;
    }
    for (seq, bytes) in (first.0..).map(Seq).zip(jobs) {
        if care != Care::Singly || bytes == job::BLANK {
            flights.extend(decode(bytes));
        } else if !recovery.condemns(seq) {
            noted(recovery.suspecting(seq))?;
            flights.extend(decode(bytes));
        }
    }
    if care != Care::None {
        // apply has not met them yet, so an accusation stays
        noted(recovery)?;
    }
    Ok(flights)
}

/// Asks again for some 12 s: a start that has the shard should not fail for a journal that is away
/// for a moment.
pub(crate) fn patiently<T>(
    ask: impl FnMut() -> Result<T, JournalFault>,
) -> Result<T, JournalFault> {
    attempt(READS_MAX, ask)
}

/// Asks again for a second: a start should not fail for one lost answer, and one that finds no journal
/// should say so.
pub(crate) fn briefly<T>(ask: impl FnMut() -> Result<T, JournalFault>) -> Result<T, JournalFault> {
    attempt(BRIEF_READS_MAX, ask)
}

fn attempt<T>(
    retries: u32,
    mut ask: impl FnMut() -> Result<T, JournalFault>,
) -> Result<T, JournalFault> {
    let mut retry = Retry::default();
    loop {
        match ask() {
            Err(fault) if retry.failures() < retries => {
                tracing::debug!(%fault, "journal not read at the start");
                retry.pause();
            }
            ended => return ended,
        }
    }
}
