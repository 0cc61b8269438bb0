//! The exporters that the stack has, of Debian's packages.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    stack::Servers,
    support::{
        client::Client,
        process::{Process, Program, Running},
    },
};

pub struct Exporters {
    pub redis: Process,
    pub mysqld: Process,
}

impl Exporters {
    pub fn start(servers: &Servers) -> Self {
        Self { redis: redis(servers.redis.url()), mysqld: mysqld(servers) }
    }
}

fn redis(url: String) -> Process {
    let command = move |port: u16, _dir: &Path| {
        let mut command = Command::new("prometheus-redis-exporter");
        command.env("REDIS_ADDR", &url);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command
    };
    Process::start(Program::new("redis-exporter", command, |running| says(running, "redis_up 1")))
}

/// With an account as `docker/mysql/exporter.sh` makes it.
fn mysqld(servers: &Servers) -> Process {
    let mariadb = &servers.mariadb;
    for sql in [
        "CREATE USER exporter@'127.0.0.1' IDENTIFIED BY 'reads'",
        "GRANT PROCESS, REPLICATION CLIENT ON *.* TO exporter@'127.0.0.1'",
    ] {
        mariadb.query("mysql", sql);
    }
    let dir = TempDir::new().expect("no temporary directory");
    let port = mariadb.process.port();
    let login = format!("[client]\nuser=exporter\npassword=reads\nhost=127.0.0.1\nport={port}\n");
    fs::write(dir.path().join("my.cnf"), login).expect("a file");
    let command = |port: u16, _dir: &Path| {
        let mut command = Command::new("prometheus-mysqld-exporter");
        command.arg("--config.my-cnf=my.cnf");
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command
    };
    let ready = |running: Running| says(running, "mysql_up 1");
    Process::start_in(dir, Program::new("mysqld-exporter", command, ready))
}

fn says(running: Running, sample: &str) -> bool {
    let answer = Client::new(running.address()).request("GET", "/metrics", &[], b"");
    answer.is_ok_and(|(status, page)| status == 200 && page.lines().any(|line| line == sample))
}
