//! `POST /errors/batch`: many events in, one answer when all that are good are durable.
//!
//! A body is folded as it comes, in pieces that take a fraction of a millisecond each, so that a
//! large one does not hold up who shares its thread; what is kept of it is counted against the room
//! that all batches have together. Nothing of it goes further before its end has come.

use std::sync::Arc;

use bytes::Bytes;
use errsift_ops::{
    batch::{Batch, Fold, Format, Full, Item, Malformed, Rejected, Repeats, Split},
    timestamp::Timestamp,
};
use errsift_pipeline::ack::Outcome;
use hyper::HeaderMap;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Front, Intake, Untaken, Waiting,
    answer::Answer,
    body::Body,
    coding::{Coding, Inflate},
    fault::Fault,
    limit, media,
};

/// What all batches share.
pub struct BatchRoom {
    /// One permit for each KiB that they keep.
    room: Arc<Semaphore>,
    /// One for each that is being inflated.
    inflating: Semaphore,
}

impl Default for BatchRoom {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(limit::BATCHES_KIB_MAX)),
            inflating: Semaphore::new(limit::INFLATING_MAX),
        }
    }
}

/// `data` of an answer.
#[derive(Serialize)]
struct Report<'a> {
    /// Events that are stored, those that came before included.
    accepted: u64,
    /// Events among them that had come before, by their ids, and are not counted again.
    duplicates: u64,
    #[serde(rename = "rejectedCount")]
    rejected_events: u64,
    rejected: Vec<RejectedEvent<'a>>,
}

#[derive(Serialize)]
struct RejectedEvent<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    message: &'a str,
}

impl<'a> From<&'a Rejected> for RejectedEvent<'a> {
    fn from(Rejected { index, fault }: &'a Rejected) -> Self {
        Self { index: *index, field: fault.field.as_deref(), message: &fault.reason }
    }
}

/// Reads a batch, hands its good events to the pipeline and waits for their outcome, which is the
/// same for all. Its sender may report for `service` only, if that is said.
pub async fn batch<I: Intake>(
    front: &Front<I>,
    headers: &HeaderMap,
    body: &mut Body,
    service: Option<Arc<str>>,
) -> Result<Answer, Fault> {
    let (coding, format) = media::check_batch(headers)?;
    let mut taking = Taking::new(front.operations.clock().wall(), service, format, &front.batches);
    let reading = read(front, coding, body, &mut taking);
    tokio::time::timeout(front.policy.limits.body, reading)
        .await
        .unwrap_or(Err(Fault::BodyTooSlow))?;
    let Taking { split, mut fold, held, .. } = taking;
    split.finish(|item| fold.take(item).map_err(Wrong::from))?;
    store(front, fold, held).await
}

/// Hands what was read to the pipeline, with the room that it takes until it is answered, whether or
/// not the client still waits.
async fn store<I: Intake>(front: &Front<I>, fold: Fold, held: BatchHeld) -> Result<Answer, Fault> {
    let clock = front.operations.clock();
    if fold.items() == 0 {
        return Err(Fault::EmptyBatch);
    }
    front.intake.refused(fold.rejected_events());
    let rejected_events = fold.rejected_events();
    if rejected_events == fold.items() as u64 {
        let is_forbidden = fold.forbidden_events() == rejected_events;
        let report = report(0, 0, rejected_events, fold.rejected());
        return Ok(Answer::no_good_event(is_forbidden, &report, clock.wall()));
    }
    let rejected = fold.rejected().to_vec();
    let folded = Box::new(fold.finish());
    let (events, repeats): (u64, Repeats) = (folded.events(), folded.repeats.clone());
    let (waiter, outcome) = Waiting::for_batch(clock.monotonic(), held);
    front.intake.offer_batch(Batch { folded, waiter }).map_err(|untaken| match untaken {
        Untaken::Full => Fault::BatchBusy,
        Untaken::StandingBy => Fault::BatchStandingBy,
    })?;
    match outcome.await {
        Ok(Outcome::Stored) => {
            let report = report(events, repeats.get(), rejected_events, &rejected);
            Ok(Answer::success(report, clock.wall()))
        }
        Ok(Outcome::NotStored | Outcome::Invalid(_)) => Err(Fault::BatchNotStored),
        Ok(Outcome::MaybeStored) | Err(_) => Err(Fault::BatchMaybeStored),
    }
}

fn report(
    accepted: u64,
    duplicates: u64,
    rejected_events: u64,
    rejected: &[Rejected],
) -> Report<'_> {
    let rejected = rejected.iter().map(RejectedEvent::from).collect();
    Report { accepted, duplicates, rejected_events, rejected }
}

/// Reads the whole body: as it comes, or, if it is compressed, when all of it has come, so that what
/// an inflation needs is needed for no longer than it computes.
async fn read<I: Intake>(
    front: &Front<I>,
    coding: Coding,
    body: &mut Body,
    taking: &mut Taking<'_>,
) -> Result<(), Fault> {
    let bytes_max = front.policy.limits.batch_bytes_max;
    body.check_announced(bytes_max)?;
    if coding == Coding::Identity {
        let (mut bytes, mut since_pause) = (0, 0);
        while let Some(piece) = body.piece().await? {
            bytes += piece.len();
            if bytes > bytes_max {
                return Err(Fault::BodyTooLarge(bytes_max));
            }
            taking.piece(&piece)?;
            since_pause += piece.len();
            if since_pause >= limit::BATCH_TURN_BYTES {
                since_pause = 0;
                tokio::task::yield_now().await;
            }
        }
        return Ok(());
    }
    let mut packed = Vec::new();
    while let Some(piece) = body.piece().await? {
        if packed.len() + piece.len() > bytes_max {
            return Err(Fault::BodyTooLarge(bytes_max));
        }
        packed.extend_from_slice(&piece);
        taking.held.hold(packed.capacity())?;
    }
    taking.inflate(coding, packed.into(), bytes_max).await
}

/// What is wrong with a batch as a whole.
enum Wrong {
    Full,
    Malformed(Malformed),
}

impl From<Malformed> for Wrong {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Full => Self::BatchTooLong,
            Wrong::Malformed(malformed) => Self::NotABatch(malformed),
        }
    }
}

impl From<Full> for Wrong {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// A batch that is being read.
struct Taking<'a> {
    split: Split,
    fold: Fold,
    held: BatchHeld,
    inflating: &'a Semaphore,
}

impl<'a> Taking<'a> {
    fn new(
        at: Timestamp,
        service: Option<Arc<str>>,
        format: Format,
        shared: &'a BatchRoom,
    ) -> Self {
        Self {
            split: Split::new(format),
            fold: Fold::new(at, service),
            held: BatchHeld { room: Arc::clone(&shared.room), permit: None, kib: 0 },
            inflating: &shared.inflating,
        }
    }

    /// Folds the next piece in.
    fn piece(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let Self { split, fold, held, .. } = self;
        split.feed(piece, |item: Item<'_>| fold.take(item).map_err(Wrong::from))?;
        held.hold(split.bytes() + fold.bytes())
    }

    async fn inflate(
        &mut self,
        coding: Coding,
        packed: Bytes,
        bytes_max: usize,
    ) -> Result<(), Fault> {
        // never closed
        let _turn = self.inflating.acquire().await;
        let packed_bytes = packed.len();
        let mut inflate = Inflate::new(coding, packed, bytes_max)?;
        loop {
            let mut folded = Ok(());
            let Self { split, fold, held, .. } = self;
            let more = inflate.next(&mut |piece| {
                folded = split.feed(piece, |item: Item<'_>| fold.take(item).map_err(Wrong::from));
            })?;
            folded?;
            held.hold(packed_bytes + split.bytes() + fold.bytes())?;
            if !more {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The room that a batch takes.
#[derive(Debug)]
pub struct BatchHeld {
    room: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    kib: usize,
}

impl BatchHeld {
    /// Takes room for `bytes` in all, or refuses the batch. A small one needs none.
    fn hold(&mut self, bytes: usize) -> Result<(), Fault> {
        let kib = bytes / 1024;
        if kib <= self.kib + limit::BATCH_FREE_KIB {
            return Ok(());
        }
        let more = u32::try_from(kib - self.kib).map_err(|_| Fault::BatchBusy)?;
        let taken = Arc::clone(&self.room).try_acquire_many_owned(more);
        let taken = taken.map_err(|_| Fault::BatchBusy)?;
        match &mut self.permit {
            Some(permit) => permit.merge(taken),
            None => self.permit = Some(taken),
        }
        self.kib = kib;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_in_steps_and_given_back() {
        let shared = BatchRoom::default();
        let mut held = BatchHeld { room: Arc::clone(&shared.room), permit: None, kib: 0 };
        let free = || shared.room.available_permits();
        held.hold(limit::BATCH_FREE_KIB * 1024).ok().unwrap();
        assert_eq!(free(), limit::BATCHES_KIB_MAX);
        held.hold(8 * 1024 * 1024).ok().unwrap();
        held.hold(1024).ok().unwrap();
        assert_eq!(free(), limit::BATCHES_KIB_MAX - 8 * 1024);
        held.hold(9 * 1024 * 1024).ok().unwrap();
        assert_eq!(free(), limit::BATCHES_KIB_MAX - 9 * 1024);
        assert_eq!(held.hold(usize::MAX / 4), Err(Fault::BatchBusy));
        assert_eq!(held.hold(limit::BATCHES_KIB_MAX * 1024 + 1024), Err(Fault::BatchBusy));
        drop(held);
        assert_eq!(free(), limit::BATCHES_KIB_MAX);
    }
}
