//! One connection: hyper's state machine, the deadline that follows its [`Standing`], and the word
//! to stop.

use std::{
    future::poll_fn,
    net::IpAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpStream, sync::watch, time::Instant};

use super::{
    Front, Intake, limit,
    route::answer,
    seat::Seat,
    socket::Socket,
    standing::{Phase, Standing},
};

/// How a connection ended, unless by itself.
struct TimedOut(Phase);

/// Serves `stream` until the client closes it, a deadline passes, or `stop`'s sender is gone and
/// the exchange under way is finished.
pub async fn attend<I: Intake>(
    stream: TcpStream,
    peer: IpAddr,
    front: Arc<Front<I>>,
    mut stop: watch::Receiver<()>,
) {
    let standing = Arc::new(Standing::fresh());
    // one pointer to clone for a request, and not one that all connections count up and down
    let seat = Arc::new(Seat::new(Arc::clone(&front), Arc::clone(&standing), peer));
    let service = service_fn(move |request| answer(Arc::clone(&seat), request));
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&standing)));
    let mut connection = pin!(builder().serve_connection(socket, service));

    let stop_seen = stop.clone();
    let mut stopped = pin!(stop.changed());
    let mut stopping = false;
    // this task's waker stays the same, so being registered once is enough: a request costs a look
    // at an atomic instead of a lock
    let mut registered = false;

    // the timer, and when patience really ends: a later end does not move the timer, which looks
    // again when it fires, so that a request does not cost a turn in the runtime's timer wheel
    let mut timer = pin!(tokio::time::sleep(front.policy.limits.head));
    let mut deadline = timer.deadline();
    let mut turn = Some(standing.turn());
    let poll = |cx: &mut Context<'_>| {
        if !stopping && (!registered || stop_seen.has_changed().is_err()) {
            registered = true;
            if stopped.as_mut().poll(cx).is_ready() {
                stopping = true;
                turn = None;
                connection.as_mut().graceful_shutdown();
            }
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(Ok(ended));
        }
        let now = standing.turn();
        let Some(patience) = now.patience(&front.policy.limits, stopping) else {
            turn = Some(now);
            return Poll::Pending;
        };
        if turn != Some(now) {
            turn = Some(now);
            // the runtime's clock, because the runtime's timer measures by it
            deadline = Instant::now() + patience;
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                break;
            }
            timer.as_mut().reset(deadline);
        }
        if now.phase() == Phase::Closing {
            // the connection now ends by itself and says why
            standing.stop_lingering();
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(Ok(ended));
            }
        }
        Poll::Ready(Err(TimedOut(now.phase())))
    };
    match poll_fn(poll).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.is_parse() => count_refused_head(&front, peer, &error),
        Ok(Err(error)) => tracing::debug!(%error, %peer, "connection failed"),
        Err(TimedOut(phase)) => tracing::debug!(?phase, %peer, "connection timed out"),
    }
}

/// hyper has answered, with 431 or 400; no handler was reached.
fn count_refused_head<I>(front: &Front<I>, peer: IpAddr, error: &hyper::Error) {
    let status = if error.is_parse_too_large() { 431 } else { 400 };
    tracing::debug!(%error, %peer, status, "head refused");
    front.requests.begun();
    front.requests.observe("other", "other", status, 0.0);
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // see `standing` for why not hyper's
        .header_read_timeout(None)
        .half_close(true)
        .max_headers(limit::HEADERS_MAX)
        .max_header_size(limit::HEAD_BYTES_MAX)
        .max_buf_size(limit::BUFFER_BYTES)
        // an answer is a few hundred bytes: copying them behind their head is cheaper than a
        // gathering write
        .writev(false);
    builder
}
