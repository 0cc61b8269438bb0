//! The errsift that was just built, as a server and as a command.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::client::Client;
use super::process::{Process, Program, Running};

/// A running `errsift serve`, ready. Without a Redis URL among its flags it keeps its embedded
/// store in its own directory, so a restart finds it again.
pub struct Errsift {
    pub process: Process,
}

impl Errsift {
    /// `flags` follow `serve --listen ADDRESS`.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, &[])
    }

    /// One that another holds the shard of: it answers, and is not ready.
    pub fn stand_by(flags: &[&str]) -> Self {
        Self::start_until(flags, &[], stands_by)
    }

    /// With settings from the environment as well.
    pub fn start_with(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_until(flags, environment, is_ready)
    }

    fn start_until(
        flags: &[&str],
        environment: &[(&str, &str)],
        ready: fn(Running) -> bool,
    ) -> Self {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let command = move |port, _dir: &Path| {
            let mut command = command();
            command
                .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
                .args(&flags)
                .envs(environment.iter().map(|(name, value)| (name, value)));
            command
        };
        Self { process: Process::start(Program::new("errsift", command, ready)) }
    }

    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A client with a connection of its own; one for each thread that posts.
    pub fn client(&self) -> Client {
        Client::new(self.address())
    }

    /// The sum of a metric over its labels, `None` when `/metrics` does not have it.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (status, page) = self.client().get("/metrics");
        assert_eq!(status, 200, "/metrics answers {page}");
        sum_of(&page, name)
    }
}

/// The binary, free of settings from the environment of the test.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_errsift"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ERRSIFT_") {
            command.env_remove(name);
        }
    }
    command
}

fn is_ready(running: Running) -> bool {
    let answer = Client::new(running.address()).request("GET", "/readyz", &[], b"");
    matches!(answer, Ok((200, _)))
}

fn stands_by(running: Running) -> bool {
    let answer = Client::new(running.address()).request("GET", "/readyz", &[], b"");
    matches!(answer, Ok((503, text)) if text.contains("standby: shard 0 is held by process"))
}

/// Samples of the Prometheus text format are `name{label="…"} value` or `name value`.
pub fn sum_of(page: &str, name: &str) -> Option<f64> {
    let mut sum = None;
    for line in page.lines() {
        let Some(rest) = line.strip_prefix(name) else {
            continue;
        };
        if !rest.starts_with(['{', ' ']) {
            continue;
        }
        let value = rest.rsplit(' ').next().and_then(|value| value.parse().ok());
        let value: f64 = value.unwrap_or_else(|| panic!("not a sample: {line}"));
        sum = Some(sum.unwrap_or(0.0) + value);
    }
    sum
}
