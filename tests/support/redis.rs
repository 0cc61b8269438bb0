//! A Redis of the test's own, set as errsift asks for: every write in the append-only file and
//! synced before its reply, nothing ever evicted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::certificates::{Authority, Signed};
use super::process::{Process, Program, Running};

/// How an encrypted one is reached, and whom it lets in.
#[derive(Clone)]
struct Encryption {
    authority: PathBuf,
    server: Signed,
    client: Signed,
}

/// A running `redis-server`. `kill_9` and `restart` of [`Redis::process`] lose nothing it answered.
pub struct Redis {
    pub process: Process,
    encryption: Option<Encryption>,
}

impl Redis {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more settings on the command line, say `["--maxmemory", "8mb"]`; a later one wins.
    pub fn start_with(settings: &[&str]) -> Self {
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let command = move |port, dir: &Path| command(port, dir, &settings);
        let ready = |running: Running| is_ready(running, None);
        Self { process: Process::start(Program::new("redis", command, ready)), encryption: None }
    }

    /// One that speaks only TLS, with a certificate for 127.0.0.1 and `name`, and only to who
    /// shows a certificate of the same authority.
    pub fn start_encrypted(authority: &Authority, name: &str) -> Self {
        let encryption = Encryption {
            authority: authority.file(),
            server: authority.sign("redis", &["127.0.0.1", name]),
            client: authority.sign("tester", &["tester"]),
        };
        let (asked, kept) = (encryption.clone(), encryption.clone());
        let command = move |port: u16, dir: &Path| {
            let mut command = command(0, dir, &[]);
            command.args(["--tls-port", &port.to_string()]);
            command.arg("--tls-ca-cert-file").arg(&encryption.authority);
            command.arg("--tls-cert-file").arg(&encryption.server.cert);
            command.arg("--tls-key-file").arg(&encryption.server.key);
            command
        };
        let ready = move |running: Running| is_ready(running, Some(&asked));
        let process = Process::start(Program::new("redis", command, ready));
        Self { process, encryption: Some(kept) }
    }

    /// As `--redis-url` takes it.
    pub fn url(&self) -> String {
        url(self.process.port(), self.encryption.is_some())
    }

    /// A new connection. Panics when Redis does not answer.
    pub fn connection(&self) -> redis::Connection {
        connect(self.process.port(), self.encryption.as_ref()).expect("redis does not answer")
    }
}

fn command(port: u16, dir: &Path, settings: &[String]) -> Command {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .args(["--maxmemory-policy", "noeviction", "--save", "", "--dir"])
        .arg(dir)
        .args(settings);
    command
}

/// Its `INFO` names the child's pid, and it has loaded its file (`INFO` answers before that).
fn is_ready(running: Running, encryption: Option<&Encryption>) -> bool {
    let Ok(mut connection) = connect(running.port, encryption) else {
        return false;
    };
    let Ok(facts) = redis::cmd("INFO").query::<redis::InfoDict>(&mut connection) else {
        return false;
    };
    facts.get("process_id") == Some(running.pid) && facts.get("loading") == Some(0)
}

fn url(port: u16, encrypted: bool) -> String {
    let scheme = if encrypted { "rediss" } else { "redis" };
    format!("{scheme}://127.0.0.1:{port}")
}

fn connect(port: u16, encryption: Option<&Encryption>) -> redis::RedisResult<redis::Connection> {
    let url = url(port, encryption.is_some());
    let Some(Encryption { authority, client, .. }) = encryption else {
        return redis::Client::open(url)?.get_connection();
    };
    let certificates = redis::TlsCertificates {
        client_tls: Some(redis::ClientTlsConfig {
            client_cert: fs::read(&client.cert)?,
            client_key: fs::read(&client.key)?,
        }),
        root_cert: Some(fs::read(authority)?),
    };
    redis::Client::build_with_tls(url, certificates)?.get_connection()
}
