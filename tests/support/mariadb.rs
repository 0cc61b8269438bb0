//! A real server for tests: its own data, its own port, gone when dropped.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use mysql_async::{Conn, Opts, Row, prelude::Queryable};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const WAIT: Duration = Duration::from_millis(100);
const WAITS_MAX: usize = 600;

/// A running `mariadbd`, of which `root` needs no password.
pub struct Mariadb {
    dir: TempDir,
    port: u16,
    child: Child,
    runtime: Runtime,
}

impl Mariadb {
    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let installed = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal"])
            .args(["--user=root", "--skip-test-db"])
            .arg(format!("--datadir={}", dir.path().join("tables").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("MariaDB is installed");
        assert!(installed.success());
        let port = free_port();
        let child = spawn(&dir, port);
        let mut server = Self { dir, port, child, runtime: Runtime::new().unwrap() };
        while !server.wait() {
            // somebody else got the port first
            server.port = free_port();
            server.child = spawn(&server.dir, server.port);
        }
        server
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// An empty database's URL.
    pub fn database(&self, name: &str) -> String {
        self.query("mysql", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// Runs one statement on a connection of its own.
    pub fn query(&self, database: &str, sql: &str) -> Vec<Row> {
        let opts = Opts::from_url(&self.url(database)).unwrap();
        self.runtime
            .block_on(async {
                let mut conn = Conn::new(opts).await?;
                let rows = conn.query(sql).await?;
                conn.disconnect().await?;
                mysql_async::Result::Ok(rows)
            })
            .unwrap()
    }

    /// Where blocking handles run their sockets.
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.runtime.handle().clone()
    }

    /// Ends it without warning, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same data and port.
    pub fn restart(&mut self) {
        self.child = spawn(&self.dir, self.port);
        assert!(self.wait(), "mariadbd does not start again");
    }

    /// Waits until this very server answers; `false` if it has ended.
    fn wait(&mut self) -> bool {
        for _ in 0..WAITS_MAX {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if let Some(found) = self.pid_file() {
                assert_eq!(found, self.dir.path().join("pid"), "another server answers");
                return true;
            }
            sleep(WAIT);
        }
        panic!("mariadbd does not answer");
    }

    fn pid_file(&self) -> Option<PathBuf> {
        let opts = Opts::from_url(&self.url("mysql")).unwrap();
        self.runtime.block_on(async {
            let mut conn = Conn::new(opts).await.ok()?;
            let found: Option<String> = conn.query_first("SELECT @@pid_file").await.ok()?;
            conn.disconnect().await.ok()?;
            found.map(PathBuf::from)
        })
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        // it may have been killed by the test
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(dir: &TempDir, port: u16) -> Child {
    let at = |name: &str| dir.path().join(name).display().to_string();
    Command::new("mariadbd")
        .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"])
        .arg(format!("--port={port}"))
        .arg(format!("--datadir={}", at("tables")))
        .arg(format!("--socket={}", at("socket")))
        .arg(format!("--pid-file={}", at("pid")))
        .arg(format!("--log-error={}", at("log")))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("MariaDB is installed")
}
