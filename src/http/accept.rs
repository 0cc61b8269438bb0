//! The listener's loop: a permit first, then a connection.

use std::{
    io,
    net::{self, IpAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    pin, select,
    sync::{Semaphore, watch},
};

use super::{
    Front, Intake, Operations, Policy, Requests, Threads, batch::BatchRoom, connection, limit,
    request_id, requests::Open,
};

/// Accepts connections, which then live on `threads`, until `shutdown` resolves; then stops
/// accepting, lets every connection finish the exchange it is in, and returns when all have closed.
///
/// Connections at rest are closed at once; a request whose head has begun gets its answer. How
/// long that takes is bounded by the limits and by how soon the pipeline answers; who drops this
/// future earlier leaves the remaining connections to the runtime's end. Errors of single accepts
/// are logged and survived: `Err` only says that `listener` is not listening, or that the system
/// has no randomness.
pub async fn serve<I: Intake>(
    listener: TcpListener,
    threads: Threads,
    intake: I,
    operations: Arc<dyn Operations>,
    requests: Arc<dyn Requests>,
    policy: Policy,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "listening");
    let connections_max = policy.limits.connections_max;
    let permits = Arc::new(Semaphore::new(connections_max as usize));
    let front = Arc::new(Front {
        intake,
        operations,
        requests,
        policy,
        ids: request_id::Process::new(nonce()?),
        calls: Arc::new(Semaphore::new(limit::CALLS_MAX)),
        list_calls: Arc::new(Semaphore::new(limit::LIST_CALLS_MAX)),
        metrics_calls: Arc::new(Semaphore::new(limit::METRICS_CALLS_MAX)),
        batches: BatchRoom::default(),
        room: Arc::new(Semaphore::new(limit::HELD_KIB_MAX)),
    });
    // nothing is ever sent: that the sender is gone is the word to stop
    let (running, stop) = watch::channel(());

    pin!(shutdown);
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, accept(&listener).await)
        };
        let (permit, (stream, peer)) = select! {
            () = &mut shutdown => break,
            next = next => next,
        };
        let (front, stop) = (Arc::clone(&front), stop.clone());
        let open = Open::begin(&front.requests);
        threads.spawn(async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => connection::attend(stream, peer, front, stop).await,
                Err(error) => tracing::warn!(%error, %peer, "connection not taken over"),
            }
            drop((open, permit));
        });
    }
    drop(listener);
    drop(running);
    let open = connections_max as usize - permits.available_permits();
    tracing::info!(open, "no longer listening; finishing open exchanges");
    // every permit is back when every connection is done; the semaphore is never closed
    let _all = permits.acquire_many(connections_max).await;
    Ok(())
}

/// The next connection, however often the system says no before.
async fn accept(listener: &TcpListener) -> (net::TcpStream, IpAddr) {
    loop {
        let accepted = listener.accept().await;
        // it is another runtime's from here on
        match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok((stream, peer)) => {
                // answers are written whole: waiting to fill a segment only delays them
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "nodelay refused");
                }
                return (stream, peer.ip());
            }
            // the client went away while it waited; the next one may be fine
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, "connection lost before it was accepted");
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept; trying again");
                tokio::time::sleep(Duration::from_millis(limit::ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

fn nonce() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
