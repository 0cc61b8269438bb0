//! A Prometheus of the test's own, with the product's scrape configuration and alerts.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    client::Client,
    ports,
    process::{Process, Program, Running},
};

/// A file of this repository.
pub fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where the targets of `docker/prometheus.yml` are in a test.
pub struct Targets {
    pub errsift: SocketAddr,
    pub redis_exporter: SocketAddr,
    pub mysqld_exporter: SocketAddr,
}

/// A running server that scrapes every second and takes what k6 writes.
pub struct Prometheus {
    pub process: Process,
}

impl Prometheus {
    pub fn start(targets: &Targets) -> Self {
        let config = config(targets);
        let dir = TempDir::new().expect("no temporary directory");
        fs::write(dir.path().join("prometheus.yml"), config).expect("a file");
        fs::write(dir.path().join("alerts.yml"), read("docker/alerts.yml")).expect("a file");
        let command = |port: u16, _dir: &Path| {
            let mut command = Command::new("prometheus");
            command
                .args(["--config.file=prometheus.yml", "--storage.tsdb.path=series"])
                .args(["--web.enable-remote-write-receiver", "--log.level=warn"])
                .arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command
        };
        Self { process: Process::start_in(dir, Program::new("prometheus", command, is_ready)) }
    }

    /// What the expression is now: its samples' values. An error is Prometheus' own words.
    pub fn query(&self, expr: &str) -> Result<Vec<f64>, String> {
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("query", expr)
            .finish();
        let answer = self.ask("/api/v1/query", &body)?;
        let result = answer["data"]["result"].as_array().expect("a vector").iter();
        Ok(result.map(|sample| number(&sample["value"][1])).collect())
    }

    /// The alerts, as Prometheus loaded and evaluated them.
    pub fn alerts(&self) -> Vec<Value> {
        let answer = self.ask("/api/v1/rules", "").expect("rules");
        let groups = answer["data"]["groups"].as_array().expect("groups");
        groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
    }

    fn ask(&self, path: &str, body: &str) -> Result<Value, String> {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let (status, answer) = Client::new(self.process.address())
            .request(method, path, &headers, body.as_bytes())
            .expect("prometheus answers");
        let answer: Value = serde_json::from_str(&answer).expect("an answer in JSON");
        if status == 200 { Ok(answer) } else { Err(answer["error"].to_string()) }
    }
}

fn number(value: &Value) -> f64 {
    value.as_str().and_then(|value| value.parse().ok()).expect("a number")
}

fn is_ready(running: Running) -> bool {
    let answer = Client::new(running.address()).request("GET", "/-/ready", &[], b"");
    matches!(answer, Ok((200, _)))
}

/// The stack's own configuration: the same jobs, at other addresses and more often.
fn config(targets: &Targets) -> String {
    let mut config = read("docker/prometheus.yml");
    let nobody = SocketAddr::from(([127, 0, 0, 1], ports::free()));
    for (from, to) in [
        ("scrape_interval: 5s", "scrape_interval: 1s".to_owned()),
        ("scrape_timeout: 4s", "scrape_timeout: 1s".to_owned()),
        ("evaluation_interval: 5s", "evaluation_interval: 1s".to_owned()),
        ("errsift:9002", targets.errsift.to_string()),
        ("redis-exporter:9121", targets.redis_exporter.to_string()),
        ("mysqld-exporter:9104", targets.mysqld_exporter.to_string()),
        ("cadvisor:8080", nobody.to_string()),
        ("localhost:9090", nobody.to_string()),
    ] {
        assert!(config.contains(from), "docker/prometheus.yml has no {from}");
        config = config.replace(from, &to);
    }
    config
}
