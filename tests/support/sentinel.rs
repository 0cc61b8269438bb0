//! A master with a replica, and three sentinels that watch both.
//!
//! Each is a process of the test's own on a free port of 127.0.0.1. A node that is restarted starts
//! with its old command line, and the sentinels tell it whom to follow.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::gate::Gate;
use super::process::{Process, Program, Running};
use super::redis::Redis;

pub const MASTER: &str = "journal";
const SENTINELS: usize = 3;
const QUORUM: usize = 2;
/// Long enough for a machine that is busy, short enough for a test.
const DOWN_AFTER_MS: u32 = 1_000;
const FAILOVER_TIMEOUT_MS: u32 = 3_000;
/// Sentinels find one another by what they say through the master every two seconds.
const DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// Two nodes and their sentinels. The first node begins as the master.
pub struct Sentinels {
    pub nodes: [Redis; 2],
    pub watchers: Vec<Process>,
    gate: Gate,
}

impl Sentinels {
    /// Started, and with a failover possible: each sentinel knows the others and the replica.
    pub fn start() -> Self {
        Self::start_behind(&Gate::default(), &Gate::default())
    }

    /// Nodes that are entered by one gate, sentinels by another.
    pub fn start_behind(nodes: &Gate, gate: &Gate) -> Self {
        let master = Redis::start_behind(nodes, &authenticated(nodes));
        let replica = replica_of(&master);
        let watchers = (0..SENTINELS).map(|_| sentinel(&master, gate)).collect();
        let all = Self { nodes: [master, replica], watchers, gate: gate.clone() };
        all.await_quorum();
        all
    }

    /// As `--redis-url` takes it, without passwords.
    pub fn url(&self) -> String {
        format!("redis+sentinel://{}", self.place())
    }

    /// What follows the scheme and the password.
    pub fn place(&self) -> String {
        let at: Vec<String> =
            self.watchers.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("{}/{MASTER}", at.join(","))
    }

    /// Which node the first sentinel that answers calls the master.
    pub fn master(&self) -> usize {
        let asked = self.watchers.iter().find_map(|sentinel| self.master_of(sentinel.port()).ok());
        let port = asked.expect("no sentinel answers");
        let at = self.nodes.iter().position(|node| node.process.port() == port);
        at.unwrap_or_else(|| panic!("port {port} is no node's"))
    }

    /// Waits until every sentinel calls this node the master, and until it is one.
    pub fn await_master(&self, node: usize) {
        let port = self.nodes[node].process.port();
        until(&format!("{port} to be the master"), || {
            let named = self.watchers.iter().all(|one| self.master_of(one.port()) == Ok(port));
            named && role(&self.nodes[node]).as_deref() == Some("master")
        });
    }

    /// Waits until this node follows the other one and has all that it has.
    pub fn await_replica(&self, node: usize) {
        await_replica(&self.nodes[node]);
    }

    /// A planned failover.
    pub fn fail_over(&self) {
        let answer: redis::RedisResult<()> = connect(self.watchers[0].port(), &self.gate)
            .and_then(|mut to| redis::cmd("SENTINEL").arg("FAILOVER").arg(MASTER).query(&mut to));
        answer.expect("SENTINEL FAILOVER");
    }

    fn await_quorum(&self) {
        until("the sentinels to find each other and the replica", || {
            self.watchers.iter().all(|sentinel| self.knows_all(sentinel.port()).unwrap_or(false))
        });
    }

    fn master_of(&self, port: u16) -> redis::RedisResult<u16> {
        let ask = |mut to| {
            redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(MASTER).query(&mut to)
        };
        let (_, port): (String, u16) = connect(port, &self.gate).and_then(ask)?;
        Ok(port)
    }

    fn knows_all(&self, port: u16) -> redis::RedisResult<bool> {
        let ask = |mut to| redis::cmd("SENTINEL").arg("MASTER").arg(MASTER).query(&mut to);
        let fields: std::collections::BTreeMap<String, String> =
            connect(port, &self.gate).and_then(ask)?;
        let number = |name: &str| fields.get(name).and_then(|text| text.parse().ok());
        Ok(number("num-other-sentinels") == Some(SENTINELS - 1) && number("num-slaves") == Some(1))
    }
}

/// A replica of `master`, with all that it has.
pub fn replica_of(master: &Redis) -> Redis {
    let at = format!("127.0.0.1 {}", master.process.port());
    let settings = [&authenticated(master.gate())[..], &["--replicaof", &at]].concat();
    let replica = Redis::start_behind(master.gate(), &settings);
    await_replica(&replica);
    replica
}

fn await_replica(node: &Redis) {
    until("a replica to follow its master", || {
        let facts = redis::cmd("INFO").query::<redis::InfoDict>(&mut node.connection());
        facts.is_ok_and(|facts| facts.get("master_link_status") == Some("up".to_owned()))
    });
}

/// What a node needs to follow another.
fn authenticated(gate: &Gate) -> Vec<&'static str> {
    gate.password().map_or_else(Vec::new, |password| vec!["--masterauth", password])
}

fn sentinel(master: &Redis, gate: &Gate) -> Process {
    let dir = TempDir::new().expect("no temporary directory");
    let port = master.process.port();
    let mut config = format!(
        "bind 127.0.0.1\nsentinel monitor {MASTER} 127.0.0.1 {port} {QUORUM}\n\
         sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n\
         sentinel failover-timeout {MASTER} {FAILOVER_TIMEOUT_MS}\n"
    );
    if let Some(password) = master.gate().password() {
        let _ = writeln!(config, "sentinel auth-pass {MASTER} {password}");
    }
    // what they enter one another with
    if let Some(password) = gate.password() {
        let _ = writeln!(config, "sentinel sentinel-pass {password}");
    }
    // it writes what it learns into this file
    std::fs::write(dir.path().join("sentinel.conf"), config).expect("a configuration");
    let (own, asked) = (gate.clone(), gate.clone());
    let command = move |port: u16, dir: &Path| {
        let mut command = Command::new("redis-server");
        command.arg(dir.join("sentinel.conf")).arg("--sentinel").args(own.settings(port));
        command
    };
    let ready = move |running: Running| is_ready(running, &asked);
    Process::start_in(dir, Program::new("sentinel", command, ready))
}

fn is_ready(running: Running, gate: &Gate) -> bool {
    let facts = connect(running.port, gate)
        .and_then(|mut to| redis::cmd("INFO").arg("server").query::<redis::InfoDict>(&mut to));
    facts.is_ok_and(|facts| facts.get("process_id") == Some(running.pid))
}

fn connect(port: u16, gate: &Gate) -> redis::RedisResult<redis::Connection> {
    let connection = gate.client(port)?.get_connection_with_timeout(Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(1)))?;
    Ok(connection)
}

fn role(node: &Redis) -> Option<String> {
    let mut to = connect(node.process.port(), node.gate()).ok()?;
    let role: redis::Value = redis::cmd("ROLE").query(&mut to).ok()?;
    let redis::Value::Array(words) = role else { return None };
    redis::from_redis_value_ref(words.first()?).ok()
}

fn until(what: &str, mut ask: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !ask() {
        assert!(Instant::now() < end, "waited {DEADLINE:?} for {what}");
        thread::sleep(POLL);
    }
}
