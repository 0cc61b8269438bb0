//! A client that sees every byte.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::HANG;

pub struct Answer {
    pub status: u16,
    /// Lower case, with the final empty line.
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of a field, in lower case as the head is.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub fn has(&self, field: &str) -> bool {
        self.head.contains(&format!("\r\n{field}\r\n"))
    }
}

pub struct Client {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Reads more; false at the end.
    pub async fn read(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.unread);
        tokio::time::timeout(HANG, read).await.expect("the server says nothing").unwrap() > 0
    }

    pub async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.unread.drain(..end + 4).collect::<Vec<u8>>();
                return String::from_utf8(head).unwrap().to_lowercase();
            }
            assert!(self.read().await, "closed before an answer");
        }
    }

    pub async fn answer(&mut self) -> Answer {
        let (mut answer, body) = self.binary_answer().await;
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    /// An answer whose body is not text.
    pub async fn binary_answer(&mut self) -> (Answer, Vec<u8>) {
        let answer = self.answer_to_head().await;
        let length: usize = answer.field("content-length").expect("a length").parse().unwrap();
        while self.unread.len() < length {
            assert!(self.read().await, "closed within an answer");
        }
        (answer, self.unread.drain(..length).collect())
    }

    /// An answer that has no body whatever its length says.
    pub async fn answer_to_head(&mut self) -> Answer {
        let head = self.head().await;
        let status = head["http/1.1 ".len()..][..3].parse().unwrap();
        Answer { status, head, body: String::new() }
    }

    /// Asserts that the server has nothing more to say and closes.
    pub async fn is_closed(&mut self) {
        assert!(!self.read().await, "more: {}", String::from_utf8_lossy(&self.unread));
        assert!(self.unread.is_empty());
    }
}
