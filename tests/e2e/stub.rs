//! A server that answers what a test says, for commands that ask one.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A request as it came: path with query, and the headers in lower case.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub headers: String,
}

/// Answers every GET by `answer`, on connections that are closed after it, until the test ends.
pub struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stub {
    /// `answer` gives status and body for the request and its number, from 0.
    pub fn start(answer: impl Fn(&Asked, usize) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // a client that goes away in the middle is none of the stub's business
                let _ = exchange(stream, &heard, &answer);
            }
        });
        Self { address, asked }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic while it is held").clone()
    }
}

fn exchange(
    stream: TcpStream,
    heard: &Mutex<Vec<Asked>>,
    answer: &impl Fn(&Asked, usize) -> (u16, String),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = String::new();
    while reader.read_line(&mut headers)? > 2 {}
    let asked = Asked { path, headers: headers.to_ascii_lowercase() };
    let number = {
        let mut heard = heard.lock().expect("no panic while it is held");
        heard.push(asked.clone());
        heard.len() - 1
    };
    let (status, body) = answer(&asked, number);
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// `data` in the envelope of every answer.
pub fn success(data: &str) -> (u16, String) {
    let at = "2026-11-22T00:00:10.000Z";
    (200, format!(r#"{{"success":true,"data":{data},"timestamp":"{at}"}}"#))
}

pub fn fault(status: u16, message: &str) -> (u16, String) {
    let at = "2026-11-22T00:00:10.000Z";
    let body = serde_json::json!({
        "success": false, "statusCode": status, "message": message, "timestamp": at,
    });
    (status, body.to_string())
}
