//! A Redis of the test's own, set as errsift asks for: every write in the append-only file and
//! synced before its reply, nothing ever evicted.

use std::path::Path;
use std::process::Command;

use super::process::{Process, Program, Running};

/// A running `redis-server`. `kill_9` and `restart` of [`Redis::process`] lose nothing it answered.
pub struct Redis {
    pub process: Process,
}

impl Redis {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more settings on the command line, say `["--maxmemory", "8mb"]`; a later one wins.
    pub fn start_with(settings: &[&str]) -> Self {
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let command = move |port, dir: &Path| command(port, dir, &settings);
        Self { process: Process::start(Program::new("redis", command, is_ready)) }
    }

    /// As `--redis-url` takes it.
    pub fn url(&self) -> String {
        url(self.process.port())
    }

    /// A new connection. Panics when Redis does not answer.
    pub fn connection(&self) -> redis::Connection {
        connect(self.process.port()).expect("redis does not answer")
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
fn is_ready(running: Running) -> bool {
    let Ok(mut connection) = connect(running.port) else {
        return false;
    };
    let Ok(facts) = redis::cmd("INFO").query::<redis::InfoDict>(&mut connection) else {
        return false;
    };
    facts.get("process_id") == Some(running.pid) && facts.get("loading") == Some(0)
}

fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

fn connect(port: u16) -> redis::RedisResult<redis::Connection> {
    redis::Client::open(url(port))?.get_connection()
}
