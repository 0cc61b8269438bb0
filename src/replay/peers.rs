//! Connections between the processes of one replay.
//!
//! Each process listens for those with a higher number and connects to those with a lower one, as
//! timely has it. Here it is done without a word on standard output, which is the summary's, and
//! processes that were given different arguments refuse each other.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

/// What a greeting begins with.
const MAGIC: [u8; 8] = *b"errsift\x01";
/// Bytes of a greeting: the magic, the arguments' digest, the process.
const GREETING_BYTES: usize = MAGIC.len() + 32 + 8;
/// The answer to a greeting from a process with the same arguments.
const WELCOME: u8 = 1;
/// The answer to any other.
const OTHERWISE: u8 = 0;
/// How long to wait before a process that is not there yet is tried again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a greeting may take.
const GREETING: Duration = Duration::from_secs(5);

/// Why processes do not come together.
#[derive(Debug, thiserror::Error)]
pub enum PeersFault {
    /// This process cannot listen, or cannot go on.
    #[error("{0}: {1}")]
    Io(String, io::Error),
    /// Their arguments are not the same.
    #[error("process {0} was given other arguments: only --process may differ")]
    Arguments(usize),
}

/// One process among others.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Which one, from 0.
    pub process: usize,
    /// Where each listens, in order.
    pub addresses: Vec<String>,
    /// A hash of everything that all must have been told alike.
    pub digest: [u8; 32],
}

impl Peers {
    /// Waits until all are there, for as long as that takes; `hear` is told whom it waits for. The
    /// sockets are in the processes' order, with none to itself.
    pub fn connect(
        &self,
        mut hear: impl FnMut(&str),
    ) -> Result<Vec<Option<TcpStream>>, PeersFault> {
        let own = &self.addresses[self.process];
        let io = |error| PeersFault::Io(own.clone(), error);
        let above = self.process + 1..self.addresses.len();
        let listener =
            if above.is_empty() { None } else { Some(TcpListener::bind(own).map_err(io)?) };
        let mut sockets: Vec<Option<TcpStream>> = Vec::new();
        for process in 0..self.process {
            sockets.push(Some(self.reach(process, &mut hear)?));
        }
        sockets.resize_with(self.addresses.len(), || None);
        if let Some(listener) = listener {
            hear(&format!("waiting at {own} for {} more processes", above.len()));
            while sockets[above.clone()].iter().any(Option::is_none) {
                let (socket, _) = listener.accept().map_err(io)?;
                // whoever does not greet is no peer
                if let Some((process, socket)) = self.admit(socket)? {
                    sockets[process] = Some(socket);
                }
            }
        }
        Ok(sockets)
    }

    /// Connects to a process with a lower number.
    fn reach(&self, process: usize, hear: &mut impl FnMut(&str)) -> Result<TcpStream, PeersFault> {
        let address = &self.addresses[process];
        let mut is_told = false;
        loop {
            match self.greet(address) {
                Ok((socket, WELCOME)) => return Ok(socket),
                Ok(_) => return Err(PeersFault::Arguments(process)),
                Err(error) => {
                    if !is_told {
                        hear(&format!("waiting for process {process} at {address}: {error}"));
                    }
                    is_told = true;
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Greets, and hears the answer.
    fn greet(&self, address: &str) -> io::Result<(TcpStream, u8)> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let mut greeting = Vec::with_capacity(GREETING_BYTES);
        greeting.extend(MAGIC);
        greeting.extend(self.digest);
        greeting.extend((self.process as u64).to_le_bytes());
        socket.write_all(&greeting)?;
        let mut answer = [OTHERWISE];
        // it may wait for others first
        socket.read_exact(&mut answer)?;
        Ok((socket, answer[0]))
    }

    /// Answers a greeting; `None` if it was none.
    fn admit(&self, mut socket: TcpStream) -> Result<Option<(usize, TcpStream)>, PeersFault> {
        let mut greeting = [0; GREETING_BYTES];
        let heard = socket
            .set_read_timeout(Some(GREETING))
            .and_then(|()| socket.read_exact(&mut greeting))
            .and_then(|()| socket.set_read_timeout(None))
            .and_then(|()| socket.set_nodelay(true));
        let (magic, rest) = greeting.split_at(MAGIC.len());
        if heard.is_err() || magic != MAGIC {
            return Ok(None);
        }
        let (digest, process) = rest.split_at(self.digest.len());
        let process = process.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let process = usize::try_from(process).unwrap_or(usize::MAX);
        let is_peer = (self.process + 1..self.addresses.len()).contains(&process);
        if digest != self.digest || !is_peer {
            // it may be gone already
            let _ = socket.write_all(&[OTHERWISE]);
            return Err(PeersFault::Arguments(process));
        }
        Ok(socket.write_all(&[WELCOME]).ok().map(|()| (process, socket)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: usize) -> Vec<String> {
        let listeners: Vec<_> =
            (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
    }

    fn peers(addresses: &[String], process: usize, digest: u8) -> Peers {
        Peers { process, addresses: addresses.to_vec(), digest: [digest; 32] }
    }

    #[test]
    fn all_find_each_other_whoever_else_calls() {
        let addresses = addresses(3);
        let running: Vec<_> = (0..3)
            .map(|process| {
                let peers = peers(&addresses, process, 7);
                thread::spawn(move || peers.connect(|_| {}).unwrap())
            })
            .collect();
        // whoever calls and says something else is sent away
        if let Ok(mut stranger) = TcpStream::connect(&addresses[0]) {
            let _ = stranger.write_all(&[b'x'; GREETING_BYTES]);
        }
        let mut sockets: Vec<_> =
            running.into_iter().map(|running| running.join().unwrap()).collect();
        for (process, sockets) in sockets.iter_mut().enumerate() {
            for (other, socket) in sockets.iter_mut().enumerate() {
                assert_eq!(socket.is_some(), other != process);
                if let Some(socket) = socket {
                    socket.write_all(&[u8::try_from(process).unwrap()]).unwrap();
                }
            }
        }
        for sockets in &mut sockets {
            for (other, socket) in sockets.iter_mut().enumerate() {
                let Some(socket) = socket else { continue };
                let mut said = [99];
                socket.read_exact(&mut said).unwrap();
                assert_eq!(usize::from(said[0]), other);
            }
        }
    }

    #[test]
    fn those_with_other_arguments_are_refused() {
        let addresses = addresses(2);
        let (one, other) = (peers(&addresses, 0, 1), peers(&addresses, 1, 2));
        let one = thread::spawn(move || one.connect(|_| {}).map(drop));
        assert!(matches!(other.connect(|_| {}), Err(PeersFault::Arguments(0))));
        assert!(matches!(one.join().unwrap(), Err(PeersFault::Arguments(1))));
    }
}
