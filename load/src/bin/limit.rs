//! The limit: what errsift's benchmarks are compared with.
//!
//! Bare hyper 1 over HTTP/1.1 on a multi-threaded tokio runtime. It reads the whole body of every
//! request and answers a constant of the same size and with the same headers as errsift's ack. It
//! parses nothing, hashes nothing, stores nothing and never waits for anything, so on the same
//! machine, under the same generator and in the same minute, no server built on hyper answers
//! more. A rate of errsift alone says as much about the machine as about errsift; its ratio to
//! this server in interleaved runs does not. `load/bench/run` measures that.
//!
//! Deliberately absent: routes, limits, time-outs, metrics, a graceful stop. Any path and method
//! gets the same 200. End it with a signal.
//!
//! Usage: `limit [--listen 127.0.0.1:9003]`; port 0 picks a free one, printed on the first line.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

const LISTEN_DEFAULT: &str = "127.0.0.1:9003";

/// One of errsift's acks, byte for byte but for the time in it. hyper adds `content-length` and
/// `date` to both.
const ACK: &[u8] = br#"{"success":true,"status":"queued","data":{"status":"queued"},"timestamp":"2026-01-01T00:00:00.000Z"}"#;

/// Reads the body to its end, as errsift must, and answers the constant. A body that breaks off
/// ends the connection.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    request.into_body().collect().await?;
    let mut response = Response::new(Full::new(Bytes::from_static(ACK)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

async fn serve_connection(stream: TcpStream) {
    // A client that goes away in the middle is the generator stopping: nothing to report.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn serve(listener: TcpListener) -> std::io::Result<Infallible> {
    loop {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve_connection(stream));
    }
}

/// The address after `--listen`, or the default.
fn listen_address(mut arguments: impl Iterator<Item = String>) -> Result<SocketAddr, String> {
    let mut listen = LISTEN_DEFAULT.to_owned();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--listen" => listen = arguments.next().ok_or("--listen needs an address")?,
            other => {
                return Err(format!("unknown argument {other}; only --listen IP:PORT is"));
            }
        }
    }
    listen.parse().map_err(|error| format!("--listen {listen}: {error}, expected IP:PORT"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = listen_address(std::env::args().skip(1))?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    match serve(listener).await? {}
}

#[cfg(test)]
mod tests {
    use super::listen_address;

    fn parsed(arguments: &[&str]) -> Result<String, String> {
        let arguments = arguments.iter().map(ToString::to_string);
        listen_address(arguments).map(|address| address.to_string())
    }

    #[test]
    fn the_address_is_the_flag_or_the_default() {
        assert_eq!(parsed(&[]), Ok("127.0.0.1:9003".to_owned()));
        assert_eq!(parsed(&["--listen", "127.0.0.1:0"]), Ok("127.0.0.1:0".to_owned()));
    }

    #[test]
    fn a_bad_argument_is_named() {
        assert_eq!(parsed(&["--listen"]), Err("--listen needs an address".to_owned()));
        assert!(parsed(&["--port"]).is_err_and(|error| error.contains("--port")));
        assert!(parsed(&["--listen", "9003"]).is_err_and(|error| error.contains("9003")));
    }
}
