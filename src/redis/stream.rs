//! The two ends of a socket to Redis, in plain text or encrypted.
//!
//! They are used by different threads. In plain text each has the socket to itself. Encrypted, they
//! share the session's state: the writing end holds it while it encrypts and sends, so that records
//! leave in order; the reading end waits on the socket without it and takes it to decrypt what came.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

type Session = Arc<Mutex<ClientConnection>>;

/// Encrypted bytes taken from the socket at once: a whole record of TLS and its frame.
const RAW_BYTES: usize = 17 * 1024;

fn locked(session: &Session) -> MutexGuard<'_, ClientConnection> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Writes to the server.
pub(super) struct Outgoing {
    socket: TcpStream,
    session: Option<Session>,
}

/// Reads from the server.
pub(super) enum Incoming {
    Plain(TcpStream),
    Encrypted(Encrypted),
}

/// Both ends of a connected socket, in plain text.
pub(super) fn plain(socket: TcpStream) -> io::Result<(Outgoing, Incoming)> {
    let incoming = Incoming::Plain(socket.try_clone()?);
    Ok((Outgoing { socket, session: None }, incoming))
}

/// Both ends of a connected socket, encrypted, once the server has shown that it is `host`. The
/// socket's read time-out is how long each of its answers may take.
pub(super) fn encrypted(
    mut socket: TcpStream,
    client: Arc<ClientConfig>,
    host: &str,
) -> io::Result<(Outgoing, Incoming)> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut session = ClientConnection::new(client, name).map_err(invalid)?;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    let session = Arc::new(Mutex::new(session));
    let incoming = Encrypted {
        socket: socket.try_clone()?,
        session: Arc::clone(&session),
        raw: vec![0; RAW_BYTES],
        unread: 0..0,
    };
    Ok((Outgoing { socket, session: Some(session) }, Incoming::Encrypted(incoming)))
}

impl Outgoing {
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, session: self.session.clone() })
    }

    /// How long one read of the other end waits.
    pub(super) fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(timeout))
    }

    /// Ends the connection in both directions.
    pub(super) fn shutdown(&self) {
        // it may be gone already
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// How the connection is encrypted, for people; `None` in plain text.
    pub(super) fn encryption(&self) -> Option<String> {
        let session = locked(self.session.as_ref()?);
        let version = session.protocol_version()?.as_str()?;
        let suite = session.negotiated_cipher_suite()?.suite().as_str()?;
        Some(format!("{}, {suite}", version.replace('_', ".")))
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(session) = &self.session else {
            return self.socket.write(bytes);
        };
        let mut session = locked(session);
        let taken = session.writer().write(bytes)?;
        send(&mut session, &mut self.socket)?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Sends what the session has encrypted.
fn send(session: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(socket)?;
    }
    Ok(())
}

impl Incoming {
    /// Waits for bytes after all that came before were read, for one read time-out of the socket
    /// at most; whether there are any.
    pub(super) fn wait(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(socket) => match socket.peek(&mut [0])? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(true),
            },
            Self::Encrypted(encrypted) => encrypted.wait(),
        }
    }
}

impl Read for Incoming {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(bytes),
            Self::Encrypted(encrypted) => encrypted.read(bytes),
        }
    }
}

/// The reading end of an encrypted connection.
pub(super) struct Encrypted {
    socket: TcpStream,
    session: Session,
    /// What came from the socket; `unread` is the part that the session has not got yet.
    raw: Vec<u8>,
    unread: std::ops::Range<usize>,
}

impl Encrypted {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match locked(&self.session).reader().read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            if !self.decrypt()? {
                self.receive()?;
            }
        }
    }

    /// What comes may be the protocol's own (tickets, new keys): that is no answer.
    fn wait(&mut self) -> io::Result<bool> {
        self.decrypt()?;
        if !self.has_text()? {
            self.receive()?;
            while self.decrypt()? && !self.has_text()? {}
        }
        self.has_text()
    }

    /// Whether there is something to read.
    fn has_text(&self) -> io::Result<bool> {
        let state = locked(&self.session).process_new_packets().map_err(invalid)?;
        match state.plaintext_bytes_to_read() {
            0 if state.peer_has_closed() => Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => Ok(bytes > 0),
        }
    }

    /// Gives the session some of what came; `false` if nothing is left of it. Text is taken out
    /// between two calls, or the session would be full.
    fn decrypt(&mut self) -> io::Result<bool> {
        if self.unread.is_empty() {
            return Ok(false);
        }
        let mut session = locked(&self.session);
        let taken = session.read_tls(&mut &self.raw[self.unread.clone()])?;
        self.unread.start += taken;
        session.process_new_packets().map_err(invalid)?;
        send(&mut session, &mut self.socket)?;
        Ok(true)
    }

    /// Waits for more from the socket.
    fn receive(&mut self) -> io::Result<()> {
        match self.socket.read(&mut self.raw)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => {
                self.unread = 0..bytes;
                Ok(())
            }
        }
    }
}
