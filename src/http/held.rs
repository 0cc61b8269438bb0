//! A large answer's body: it is handed on piece by piece as the client takes it, and its bytes count
//! against a limit until then.
//!
//! A client that does not read would otherwise have its answer lie in memory for as long as it
//! likes, and so would ten thousand of them.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::limit;

/// A body with the room that it takes.
#[derive(Debug)]
pub struct Held {
    rest: Bytes,
    /// Given back when the last piece is handed on, or the connection is gone.
    _room: OwnedSemaphorePermit,
}

impl Held {
    /// A body that has been given room.
    pub fn new(body: Bytes, room: OwnedSemaphorePermit) -> Self {
        Self { rest: body, _room: room }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.rest.len().min(limit::BUFFER_BYTES);
        let piece = self.rest.split_to(piece);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
