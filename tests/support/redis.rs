//! A Redis of the test's own, set as errsift asks for: every write in the append-only file and
//! synced before its reply, nothing ever evicted.

use std::path::Path;
use std::process::Command;

use super::certificates::Authority;
use super::gate::Gate;
use super::process::{Process, Program, Running};

/// A running `redis-server`. `kill_9` and `restart` of [`Redis::process`] lose nothing it answered.
pub struct Redis {
    pub process: Process,
    gate: Gate,
}

impl Redis {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more settings on the command line, say `["--maxmemory", "8mb"]`; a later one wins.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_behind(&Gate::default(), settings)
    }

    /// One that speaks only TLS, with a certificate for 127.0.0.1 and `name`, and only to who
    /// shows a certificate of the same authority.
    pub fn start_encrypted(authority: &Authority, name: &str) -> Self {
        Self::start_behind(&Gate::encrypted(authority, name), &[])
    }

    /// One that is entered by this gate.
    pub fn start_behind(gate: &Gate, settings: &[&str]) -> Self {
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let (own, asked) = (gate.clone(), gate.clone());
        let command = move |port, dir: &Path| {
            let mut command = command(dir);
            command.args(own.settings(port)).args(&settings);
            command
        };
        let ready = move |running: Running| is_ready(running, &asked);
        let process = Process::start(Program::new("redis", command, ready));
        Self { process, gate: gate.clone() }
    }

    /// As `--redis-url` takes it.
    pub fn url(&self) -> String {
        self.gate.url(self.process.port())
    }

    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// A new connection. Panics when Redis does not answer.
    pub fn connection(&self) -> redis::Connection {
        connect(self.process.port(), &self.gate).expect("redis does not answer")
    }
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always"])
        .args(["--maxmemory-policy", "noeviction", "--save", "", "--dir"])
        .arg(dir);
    command
}

/// Its `INFO` names the child's pid, and it has loaded its file (`INFO` answers before that).
fn is_ready(running: Running, gate: &Gate) -> bool {
    let Ok(mut connection) = connect(running.port, gate) else {
        return false;
    };
    let Ok(facts) = redis::cmd("INFO").query::<redis::InfoDict>(&mut connection) else {
        return false;
    };
    facts.get("process_id") == Some(running.pid) && facts.get("loading") == Some(0)
}

fn connect(port: u16, gate: &Gate) -> redis::RedisResult<redis::Connection> {
    gate.client(port)?.get_connection()
}
