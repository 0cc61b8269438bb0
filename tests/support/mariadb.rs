//! A MariaDB of the test's own, set as errsift asks for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mysql_async::{Conn, Opts, Row, prelude::Queryable};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::certificates::{Authority, Signed};
use super::process::{Process, Program, Running};

/// A running `mariadbd`, of which `root` needs no password. `kill_9` and `restart` of
/// [`Mariadb::process`] lose nothing it committed.
pub struct Mariadb {
    pub process: Process,
    runtime: Arc<Runtime>,
    /// Kept while any server of this process runs, so that the next need not install either.
    _installed: Arc<TempDir>,
}

impl Mariadb {
    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One whose certificate is for 127.0.0.1 and `name`. It speaks plain text too; users
    /// may be made to be encrypted (`REQUIRE SSL`) or to show a certificate (`REQUIRE X509`).
    pub fn start_encrypted(authority: &Authority, name: &str) -> Self {
        let Signed { cert, key } = authority.sign("mariadb", &["127.0.0.1", name]);
        let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        Self::start_with(&[
            file("ssl-ca", &authority.file()),
            file("ssl-cert", &cert),
            file("ssl-key", &key),
        ])
    }

    /// With more settings on the command line; a later one wins.
    pub fn start_with(settings: &[String]) -> Self {
        let settings = settings.to_vec();
        let installed = installed();
        let dir = TempDir::new().expect("no temporary directory");
        copy(installed.path(), &dir.path().join("tables")).expect("cannot copy the empty tables");
        fs::create_dir(dir.path().join(TEMPORARY)).expect("no directory for temporary tables");
        let runtime = Arc::new(Runtime::new().expect("no async runtime"));
        let asking = Arc::clone(&runtime);
        let ready = move |running: Running| is_ready(&asking, running);
        let process = Process::start_in(
            dir,
            Program::new("mariadb", move |port, dir: &Path| command(port, dir, &settings), ready),
        );
        Self { process, runtime, _installed: installed }
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        url(self.process.port(), database)
    }

    /// An empty database's URL.
    pub fn database(&self, name: &str) -> String {
        self.query("mysql", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// Runs one statement on a connection of its own. Panics when it fails.
    pub fn query(&self, database: &str, sql: &str) -> Vec<Row> {
        self.try_query(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// As [`Mariadb::query`], for tables that are not there yet and servers that are down.
    pub fn try_query(&self, database: &str, sql: &str) -> mysql_async::Result<Vec<Row>> {
        let opts = Opts::from_url(&self.url(database))?;
        self.runtime.block_on(async {
            let mut conn = Conn::new(opts).await?;
            let rows = conn.query(sql).await?;
            conn.disconnect().await?;
            Ok(rows)
        })
    }

    /// Runs statements on a connection that stays until it is dropped, and all its locks with it.
    pub fn hold(&self, database: &str, statements: &[&str]) -> Conn {
        let opts = Opts::from_url(&self.url(database)).expect("a URL");
        let held = self.runtime.block_on(async {
            let mut conn = Conn::new(opts).await?;
            for sql in statements {
                conn.query_drop(*sql).await?;
            }
            Ok::<Conn, mysql_async::Error>(conn)
        });
        held.unwrap_or_else(|error| panic!("{statements:?}: {error}"))
    }

    /// Where blocking handles run their sockets.
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.runtime.handle().clone()
    }
}

fn url(port: u16, database: &str) -> String {
    format!("mysql://root@127.0.0.1:{port}/{database}")
}

fn command(port: u16, dir: &Path, settings: &[String]) -> Command {
    let at = |name: &str| dir.join(name).display().to_string();
    let mut command = Command::new("mariadbd");
    command
        .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"])
        .args(["--innodb-buffer-pool-size=64M", LOG_SIZE, "--performance-schema=off"])
        .arg(format!("--port={port}"))
        .arg(format!("--datadir={}", at("tables")))
        .arg(format!("--tmpdir={}", at(TEMPORARY)))
        .arg(format!("--socket={}", at("socket")))
        .arg(format!("--pid-file={}", at("pid")))
        .args(settings);
    command
}

/// It answers, and is the very server that was started in this directory.
fn is_ready(runtime: &Runtime, running: Running) -> bool {
    let Ok(opts) = Opts::from_url(&url(running.port, "mysql")) else {
        return false;
    };
    let pid_file = runtime.block_on(async {
        let mut conn = Conn::new(opts).await.ok()?;
        let found: Option<String> = conn.query_first("SELECT @@pid_file").await.ok()?;
        conn.disconnect().await.ok()?;
        found.map(PathBuf::from)
    });
    pid_file == Some(running.dir.join("pid"))
}

/// Temporary tables, of its own: a server that starts deletes all that it finds there, also those
/// that another is using.
const TEMPORARY: &str = "temporary";

/// Small, so that it is quickly copied.
const LOG_SIZE: &str = "--innodb-log-file-size=16M";

/// Empty system tables, made once per test process: making them takes ten times longer than
/// copying them.
fn installed() -> Arc<TempDir> {
    static INSTALLED: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut kept = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(installed) = kept.upgrade() {
        return installed;
    }
    let dir = TempDir::new().expect("no temporary directory");
    let temporary = TempDir::new().expect("no temporary directory");
    let status = Command::new("mariadb-install-db")
        .args(["--no-defaults", "--auth-root-authentication-method=normal"])
        .args(["--user=root", "--skip-test-db", LOG_SIZE])
        .arg(format!("--datadir={}", dir.path().display()))
        .arg(format!("--tmpdir={}", temporary.path().display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("MariaDB is not installed");
    assert!(status.success(), "mariadb-install-db: {status}");
    let installed = Arc::new(dir);
    *kept = Arc::downgrade(&installed);
    installed
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
