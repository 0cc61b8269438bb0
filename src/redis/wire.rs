//! One connection to Redis, spoken to by hand: requests as bytes, answers one by one.
//!
//! The `redis` crate encodes and parses; the socket is ours because the commit path writes and
//! reads it on different threads, which the crate's connection cannot.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use errsift_ops::id::{Epoch, Nonce, Seq, Term};
use errsift_pipeline::ports::journal::{Fence, JournalFault};
use redis::{Cmd, ConnectionAddr, ConnectionInfo, Parser, Value};

use super::{
    ANSWER_MAX, CONNECT_MAX, RedisStore,
    check::ask,
    follow,
    sentinel::Node,
    stream::{self, Incoming, Outgoing},
};
use crate::tls;

/// How long one read waits; several make up [`ANSWER_MAX`].
pub(super) const READ_TICK: Duration = Duration::from_millis(500);
/// How long one write may wait for room: the ingest worker waits with it.
const WRITE_MAX: Duration = Duration::from_secs(1);
/// Reads in a row that may bring nothing while an answer is due.
pub(super) const TICKS_MAX: u32 = 10;

/// The two ends of a connection.
pub(super) struct Wire {
    pub(super) writer: Outgoing,
    reader: Patient,
    /// Keeps what it has read beyond an answer for the next.
    parser: Parser,
    /// The server, if sentinels named it.
    pub(super) node: Option<Node>,
}

/// Reads through several [`READ_TICK`]s, so that an answer is lost only after [`ANSWER_MAX`].
struct Patient(Incoming);

impl Read for Patient {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        for _ in 0..TICKS_MAX {
            match self.0.read(bytes) {
                Err(error) if is_tick(&error) => {}
                // the parser hides the cause: it is told here what to do about it
                Err(error) if tls::remedy(&error).is_some() => {
                    return Err(io::Error::new(error.kind(), tls::explain(&error)));
                }
                other => return other,
            }
        }
        let reason = format!("no answer within {} s", ANSWER_MAX.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, reason))
    }
}

/// Whether a read ended only because its time was up.
fn is_tick(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

impl Wire {
    /// Connects, authenticates and selects the database. A server that sentinels named must be a
    /// master.
    pub(super) fn connect(store: &RedisStore) -> Result<Self, JournalFault> {
        let (info, node) = store.place()?;
        let connected = Self::open(store, &info, node.clone()).and_then(|mut wire| {
            if wire.node.is_some() {
                follow::demand_master(&ask(&mut wire, &redis::cmd("ROLE"))?)?;
            }
            Ok(wire)
        });
        connected.map_err(|fault| follow::named(store, node.as_ref(), fault))
    }

    fn open(
        store: &RedisStore,
        info: &ConnectionInfo,
        node: Option<Node>,
    ) -> Result<Self, JournalFault> {
        let (writer, reader) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => dial(host, *port).and_then(stream::plain),
            ConnectionAddr::TcpTls { host, port, .. } => dial(host, *port).and_then(|socket| {
                socket.set_read_timeout(Some(ANSWER_MAX))?;
                let ends = stream::encrypted(socket, Arc::clone(&store.tls), host)?;
                ends.0.set_read_timeout(READ_TICK)?;
                Ok(ends)
            }),
            _ => return Err(JournalFault::new("only TCP is supported")),
        }
        .map_err(|error| JournalFault::new(tls::explain(&error)))?;
        let mut wire = Self { writer, reader: Patient(reader), parser: Parser::new(), node };
        let settings = info.redis_settings();
        if let Some(password) = settings.password() {
            let mut auth = redis::cmd("AUTH");
            if let Some(user) = settings.username() {
                auth.arg(user);
            }
            wire.call(auth.arg(password))?;
        }
        if settings.db() != 0 {
            wire.call(redis::cmd("SELECT").arg(settings.db()))?;
        }
        Ok(wire)
    }

    /// Sends one command and waits for its answer; an error answer is an error.
    pub(super) fn call(&mut self, command: &Cmd) -> Result<Value, JournalFault> {
        self.writer.write_all(&command.get_packed_command()).map_err(JournalFault::new)?;
        match self.answer()? {
            Value::ServerError(error) => Err(JournalFault::new(describe(&error))),
            value => Ok(value),
        }
    }

    /// Waits for the next answer.
    pub(super) fn answer(&mut self) -> Result<Value, JournalFault> {
        self.parser.parse_value(&mut self.reader).map_err(JournalFault::new)
    }

    /// Waits for the first bytes after all answers were taken, for one [`READ_TICK`]; whether
    /// there are any.
    pub(super) fn wait(&mut self) -> io::Result<bool> {
        match self.reader.0.wait() {
            Err(error) if is_tick(&error) => Ok(false),
            outcome => outcome,
        }
    }
}

fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(READ_TICK))?;
                stream.set_write_timeout(Some(WRITE_MAX))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A server's error in its own words.
pub(super) fn describe(error: &redis::ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

/// Asks for the fence's fields in the order that [`fence`] reads them.
pub(super) fn read_fence(key: &str) -> Cmd {
    let mut read = redis::cmd("HMGET");
    read.arg(key).arg(&["term", "nonce", "seq", "epoch", "events"]);
    read
}

/// Reads the answer to [`read_fence`]; a missing fence is zero.
pub(super) fn fence(value: &Value) -> Result<Fence, JournalFault> {
    let fields: Vec<Option<u64>> = redis::from_redis_value_ref(value)
        .map_err(|error| JournalFault::new(format!("fence: {error}")))?;
    let field = |index: usize| fields.get(index).copied().flatten().unwrap_or(0);
    Ok(Fence {
        term: Term(field(0)),
        nonce: Nonce(field(1)),
        seq: Seq(field(2)),
        epoch: Epoch(field(3)),
        events: field(4),
    })
}
