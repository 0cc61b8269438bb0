//! A connection's socket, which notes in its [`Standing`] when bytes come and closes without
//! losing the last answer.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::standing::{Phase, Standing};

/// A socket and where its connection stands.
pub struct Socket {
    stream: TcpStream,
    standing: Arc<Standing>,
}

impl Socket {
    /// A socket just accepted.
    pub fn new(stream: TcpStream, standing: Arc<Standing>) -> Self {
        Self { stream, standing }
    }

    /// Throws away what comes, until the client closes.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut thrown_away = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut thrown_away);
            // an error means that the client is gone: nobody is left to spare
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.standing.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Shuts the writing side; if the client may still be sending, reads on until it stops, because
    /// closing a socket with unread bytes resets the connection. The connection's deadline for
    /// [`Phase::Closing`] bounds this.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.standing.turn().phase() != Phase::Closing {
            if self.standing.is_unread() {
                // a refused head is known by its phase, which ends here
                self.standing.leave_unread();
            }
            self.standing.enter(Phase::Closing);
        }
        // an error means that the client is gone, and must not hide why the connection ends
        let _gone = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        if self.standing.is_unread() {
            ready!(self.poll_discard(cx));
        }
        Poll::Ready(Ok(()))
    }
}
