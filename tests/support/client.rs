//! An HTTP/1.1 client that does exactly what it is told: one keep-alive connection, one request
//! at a time, and nothing is ever sent twice. A test that counts acks must know of each request
//! whether it was answered; a client that retries behind its back would hide a double count.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one server. It connects at the first request, and again after the server has
/// closed or an answer was lost.
pub struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Posts JSON; the status and the body of the answer. Panics when there is none.
    pub fn post(&mut self, path: &str, body: &str) -> (u16, String) {
        self.try_post(path, body)
            .unwrap_or_else(|error| panic!("POST {path} was not answered: {error}"))
    }

    /// As [`Client::post`], for servers that die. An error says nothing about whether the request
    /// was carried out; `ConnectionRefused` alone is a certain no.
    pub fn try_post(&mut self, path: &str, body: &str) -> io::Result<(u16, String)> {
        let headers = [("content-type", "application/json")];
        self.request("POST", path, &headers, body.as_bytes())
    }

    pub fn get(&mut self, path: &str) -> (u16, String) {
        self.request("GET", path, &[], b"")
            .unwrap_or_else(|error| panic!("GET {path} was not answered: {error}"))
    }

    /// Any request; `host` and `content-length` are added. The body of the answer is read to its
    /// end and must be UTF-8.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<(u16, String)> {
        let answer = self.exchange(method, path, headers, body)?;
        Ok((answer.status, answer.body))
    }

    /// As [`Client::request`], with the headers of the answer.
    pub fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut connection = self.take_connection()?;
        let mut bytes = Vec::with_capacity(512 + body.len());
        write!(bytes, "{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address)?;
        for (name, value) in headers {
            write!(bytes, "{name}: {value}\r\n")?;
        }
        write!(bytes, "content-length: {}\r\n\r\n", body.len())?;
        bytes.extend_from_slice(body);
        connection.get_mut().write_all(&bytes)?;
        let answer = read_answer(&mut connection)?;
        if answer.keep_alive {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    /// The open connection, unless the server has closed it meanwhile, or a new one.
    fn take_connection(&mut self) -> io::Result<BufReader<TcpStream>> {
        if let Some(connection) = self.connection.take()
            && is_open(connection.get_ref())?
        {
            return Ok(connection);
        }
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(BufReader::new(stream))
    }
}

/// Between two answers an open connection has nothing to read; at its end it reads zero bytes.
fn is_open(stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    Ok(peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, values trimmed.
    pub headers: Vec<(String, String)>,
    pub body: String,
    keep_alive: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn read_answer(connection: &mut impl BufRead) -> io::Result<Answer> {
    let status_line = read_line(connection)?;
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| malformed(&status_line))?;
    let (mut length, mut chunked, mut keep_alive) = (None, false, true);
    let mut headers = Vec::new();
    loop {
        let line = read_line(connection)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "content-length" => length = Some(value.parse().map_err(|_| malformed(&line))?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => keep_alive = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
        headers.push((name, value.to_owned()));
    }
    let mut body = Vec::new();
    if chunked {
        read_chunks(connection, &mut body)?;
    } else if let Some(length) = length {
        read_exactly(connection, length, &mut body)?;
    } else {
        keep_alive = false;
        connection.read_to_end(&mut body)?;
    }
    Ok(Answer {
        status,
        headers,
        body: String::from_utf8(body).map_err(|error| malformed(&error.to_string()))?,
        keep_alive,
    })
}

/// Chunks until the empty one, then the trailers until the empty line.
fn read_chunks(connection: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(connection)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| malformed(&line))?;
        if size == 0 {
            while !read_line(connection)?.is_empty() {}
            return Ok(());
        }
        read_exactly(connection, size, body)?;
        read_line(connection)?;
    }
}

fn read_exactly(connection: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let read = connection.by_ref().take(length).read_to_end(body)?;
    if u64::try_from(read).is_ok_and(|read| read == length) {
        return Ok(());
    }
    Err(ErrorKind::UnexpectedEof.into())
}

fn read_line(connection: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(text) => Ok(text.to_owned()),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("malformed answer: {what}"))
}
