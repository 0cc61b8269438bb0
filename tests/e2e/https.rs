//! `errsift show` asks a server behind a proxy that speaks TLS, as `--server-ca` says whom to trust.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::{
    command::{Ended, run},
    load::{self, Fate},
    stack::Stack,
    support::{
        certificates::{Authority, Signed},
        client::Client,
    },
    tables::sha256,
};

/// Passes requests without a body on to `server` until the test ends; returns its port.
fn proxy(server: SocketAddr, signed: &Signed) -> u16 {
    let chain = CertificateDer::from_pem_file(&signed.cert).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&signed.key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("they fit");
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // whom nobody trusts is left in the middle of a handshake
            let _ = pass(server, stream.expect("a connection"), Arc::clone(&config));
        }
    });
    port
}

fn pass(server: SocketAddr, stream: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let tls = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(tls, stream));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head)? > 0 {}
    let path = head.split(' ').nth(1).unwrap_or("/");
    let (status, body) = Client::new(server).get(path);
    let length = body.len();
    let stream = stream.get_mut();
    write!(stream, "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\n")?;
    write!(stream, "content-length: {length}\r\nconnection: close\r\n\r\n{body}")?;
    stream.flush()
}

#[test]
fn a_server_behind_tls_is_asked_if_it_is_trusted() {
    let stack = Stack::embedded(&["--flush-interval", "300ms"]);
    assert_eq!(load::attempt(&mut stack.errsift.client(), "boom"), Fate::Acked);
    stack.settle();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let ours = proxy(stack.errsift.address(), &authority.sign("proxy", &["localhost"]));
    let show = |host: &str, ca: Option<&Authority>| -> Ended {
        let (error, server) = (sha256("boom"), format!("https://{host}:{ours}"));
        let file = ca.map(|ca| ca.file().display().to_string());
        let mut words = vec!["show", &error, "--server", &server];
        words.extend(file.iter().flat_map(|file| ["--server-ca", file.as_str()]));
        run(&words, &[])
    };
    show("localhost", Some(&authority)).assert_says(0, &["boom"]);
    // neither another authority nor the public ones have signed it, and it has one name only
    show("localhost", Some(&stranger)).assert_says(69, &["invalid peer certificate"]);
    show("localhost", None).assert_says(69, &["invalid peer certificate"]);
    show("127.0.0.1", Some(&authority)).assert_says(69, &["invalid peer certificate"]);
}
