//! `POST /errors/log`: one event in, an answer when it is durable.

use std::{ptr, sync::Arc, time::Duration};

use errsift_ops::decode::Received;
use errsift_pipeline::ack::{Outcome, Waiter};
use hyper::HeaderMap;
use tokio::sync::oneshot;

use super::{
    Front, Intake, Untaken,
    answer::Answer,
    batch::BatchHeld,
    body::Body,
    desk::{Desk, Hearer},
    fault::Fault,
    media,
};

/// A client that waits for its answer.
#[derive(Debug)]
pub struct Waiting {
    outcome: Hearer,
    /// By the monotonic clock.
    since: Duration,
    /// That of the thread on which it waits.
    desk: Option<&'static Desk>,
    /// What a batch takes of the room that all batches have.
    _room: Option<Box<BatchHeld>>,
}

impl Waiting {
    /// Who waits for a batch since `since`, and where its outcome arrives.
    pub(super) fn for_batch(
        since: Duration,
        room: BatchHeld,
    ) -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, outcome) = oneshot::channel();
        let (desk, room) = (Desk::here(), Some(Box::new(room)));
        (Self { outcome: sender, since, desk, _room: room }, outcome)
    }
}

impl Waiter for Waiting {
    fn answer(self, outcome: Outcome) {
        // an error means that the client is gone, and with it whom to tell
        let _gone = self.outcome.send(outcome);
    }

    fn waiting_since(&self) -> Option<Duration> {
        Some(self.since)
    }

    fn answer_all(waiters: Vec<Self>, outcome: &Outcome) {
        let mut desks: Vec<(&Desk, Vec<Hearer>)> = Vec::new();
        for Self { outcome: hearer, desk, .. } in waiters {
            let Some(desk) = desk else {
                let _gone = hearer.send(outcome.clone());
                continue;
            };
            // one for each core
            match desks.iter_mut().find(|(known, _)| ptr::eq(*known, desk)) {
                Some((_, hearers)) => hearers.push(hearer),
                None => desks.push((desk, vec![hearer])),
            }
        }
        for (desk, hearers) in desks {
            desk.lay(outcome.clone(), hearers);
        }
    }
}

/// Reads one event's body, hands it to the pipeline and waits for its outcome.
/// Its sender may report for `service` only, if that is said.
///
/// There is no time-out on the outcome: the pipeline keeps its own deadlines and answers every
/// waiter, or drops it, which means that the event may be stored.
pub async fn ingest<I: Intake>(
    front: &Front<I>,
    headers: &HeaderMap,
    body: &mut Body,
    service: Option<Arc<str>>,
) -> Result<Answer, Fault> {
    let coding = media::check(headers)?;
    let body = body.read(&front.policy.limits).await?;
    let body = coding.inflated(body, front.policy.limits.body_bytes_max)?;
    let (sender, outcome) = oneshot::channel();
    let at = front.operations.clock().wall();
    let since = front.operations.clock().monotonic();
    let waiter = Waiting { outcome: sender, since, desk: Desk::here(), _room: None };
    let received = Received { body, at, service, waiter };
    front.intake.offer(received).map_err(|untaken| match untaken {
        Untaken::Full => Fault::Busy,
        Untaken::StandingBy => Fault::StandingBy,
    })?;
    match outcome.await {
        Ok(Outcome::Stored) => Ok(Answer::stored(front.operations.clock().wall())),
        Ok(Outcome::Invalid(fault)) => Err(Fault::NotAnEvent(fault)),
        Ok(Outcome::NotStored) => Err(Fault::NotStored),
        Ok(Outcome::MaybeStored) | Err(_) => Err(Fault::MaybeStored),
    }
}
