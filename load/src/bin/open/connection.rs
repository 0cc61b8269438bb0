//! One connection with at most one request on it.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

/// Room for an answer: errsift's are a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// A keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Connection {
    pub fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, heard: Vec::with_capacity(1024) })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends one request; nothing else is on the connection, so the socket has room for it.
    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.heard.clear();
        self.stream.write_all(request)
    }

    /// Takes what has come; the status once the whole answer has.
    pub fn hear(&mut self) -> io::Result<Option<u16>> {
        let mut bytes = [0; 2048];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.heard.extend_from_slice(&bytes[..count]),
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(fault) => return Err(fault),
            }
            if let Some(status) = status(&self.heard)? {
                return Ok(Some(status));
            }
        }
    }
}

/// The status of a complete answer, `None` while some of it is missing.
fn status(heard: &[u8]) -> io::Result<Option<u16>> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    if heard.len() > ANSWER_BYTES_MAX {
        return Err(wrong("an answer is too large"));
    }
    let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&heard[..end]).map_err(|_| wrong("a head is not text"))?;
    let (first, fields) = text.split_once("\r\n").ok_or_else(|| wrong("a head has no fields"))?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let length = fields.split("\r\n").find_map(|field| {
        let (name, value) = field.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let status: u16 = status.ok_or_else(|| wrong("an answer has no status"))?;
    let length = length.ok_or_else(|| wrong("an answer has no length"))?;
    Ok((heard.len() >= end + 4 + length).then_some(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_body() {
        let answer = b"HTTP/1.1 503 Busy\r\nx: y\r\nContent-Length: 2\r\n\r\nok";
        for end in 0..answer.len() {
            assert_eq!(status(&answer[..end]).unwrap(), None, "{end}");
        }
        assert_eq!(status(answer).unwrap(), Some(503));
        assert!(status(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n").is_err());
    }
}
