//! Reading a request's body within its limits.

use std::{future::poll_fn, pin::pin, task::Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use super::{Limits, fault::Fault};

/// A request's body, and whether all of it has come.
pub struct Body {
    incoming: Incoming,
    complete: bool,
}

impl Body {
    /// A body of which nothing is read yet.
    pub fn new(incoming: Incoming) -> Self {
        Self { incoming, complete: false }
    }

    /// Whether nothing is left that the client may still send.
    pub fn is_complete(&self) -> bool {
        self.complete || self.incoming.is_end_stream()
    }

    /// Refuses an announced length beyond `bytes_max`.
    pub fn check_announced(&self, bytes_max: usize) -> Result<(), Fault> {
        let announced = self.incoming.size_hint().exact();
        if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
            return Err(Fault::LengthTooLarge(bytes_max));
        }
        Ok(())
    }

    /// The next piece, as it comes; `None` behind the last.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Fault> {
        while let Some(frame) = self.incoming.frame().await {
            // trailers mean nothing here
            if let Ok(piece) = frame.map_err(|_| Fault::BodyBroken)?.into_data() {
                return Ok(Some(piece));
            }
        }
        self.complete = true;
        Ok(None)
    }

    /// Reads the whole body.
    ///
    /// An announced length beyond the limit is refused before anything is read, so that a client
    /// that waits for `100 Continue` keeps its body to itself. What came together with the head is
    /// taken without a timer, and as it is when it came in one piece.
    pub async fn read(&mut self, limits: &Limits) -> Result<Bytes, Fault> {
        let bytes_max = limits.body_bytes_max;
        self.check_announced(bytes_max)?;
        let whole = {
            let mut reading = pin!(collect(&mut self.incoming, bytes_max));
            match poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
                Poll::Ready(whole) => whole,
                Poll::Pending => tokio::time::timeout(limits.body, reading)
                    .await
                    .unwrap_or(Err(Fault::BodyTooSlow)),
            }
        }?;
        self.complete = true;
        Ok(whole)
    }
}

async fn collect(incoming: &mut Incoming, bytes_max: usize) -> Result<Bytes, Fault> {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        // trailers mean nothing here
        let Ok(piece) = frame.map_err(|_| Fault::BodyBroken)?.into_data() else { continue };
        if first.len().max(joined.len()) + piece.len() > bytes_max {
            return Err(Fault::BodyTooLarge(bytes_max));
        }
        if first.is_empty() {
            first = piece;
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(&piece);
        }
        if incoming.is_end_stream() {
            break;
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}
