//! One connection, made when needed, with its settings and time-outs.

use std::time::Duration;

use mysql_async::{Conn, Opts, Params, Row, prelude::*};
use tokio::{runtime::Handle, time::timeout};

use super::{check, faults::Failure};
use crate::check::Demand;
use errsift_pipeline::ports::errors::ErrorsFault;

/// How long connecting may take, session settings included.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long one statement may take: a frozen server is noticed after this.
const STATEMENT_MAX: Duration = Duration::from_secs(30);
/// How long a change of the schema may take.
const SCHEMA_CHANGE_MAX: Duration = Duration::from_secs(6 * 3600);
/// Idle time after which TCP asks whether the server is still there.
pub const KEEPALIVE: Duration = Duration::from_secs(30);

/// Rows of one statement.
pub const STATEMENT_ROWS_MAX: usize = 1000;

/// Settings that differ between servers and matter: set the same on each connection.
const SETTINGS: &[&str] = &[
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION autocommit = 1, time_zone = '+00:00', innodb_lock_wait_timeout = 5, \
     lock_wait_timeout = 5, sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ZERO_DATE,\
     NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
];

/// Parameters are not read once more for their characters when they arrive: as a column takes them
/// they are checked anyway. That is an eighth of what such rows take the server.
const BULK_SETTING: &str = "SET SESSION character_set_client = binary";

/// Where a connection comes from, and the one that is up.
pub struct Session {
    opts: Opts,
    /// What every connection is held to.
    demand: Option<Demand>,
    /// Whether rows are written as text to whatever server.
    is_text: bool,
    handle: Handle,
    live: Option<Live>,
}

impl Session {
    pub fn new(opts: Opts, demand: Option<Demand>, is_text: bool, handle: Handle) -> Self {
        Self { opts, demand, is_text, handle, live: None }
    }

    /// Runs `work` on the connection, made now if there is none, and waits for it. A failure
    /// that leaves the connection in doubt drops it.
    pub fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Live) -> Result<T, Failure>,
    ) -> Result<T, ErrorsFault> {
        let (opts, demand, live) = (&self.opts, self.demand, &mut self.live);
        let is_text = self.is_text;
        let outcome = self.handle.block_on(async {
            let live = match live {
                Some(live) => live,
                none => none.insert(connect(opts.clone(), demand, is_text).await?),
            };
            work(live).await
        });
        if outcome.as_ref().is_err_and(Failure::is_of_preparing) {
            tracing::info!("server takes no prepared statements, rows are written as text");
            self.is_text = true;
        }
        // dropped out here, where no runtime is entered, the socket is closed at once; inside, a
        // task would try to say good-bye to a server that may be frozen
        if outcome.as_ref().is_err_and(|failure| !failure.keeps_connection())
            || self.live.as_ref().is_some_and(|live| live.in_doubt)
        {
            self.live = None;
        }
        outcome.map_err(ErrorsFault::from)
    }
}

async fn connect(opts: Opts, demand: Option<Demand>, is_text: bool) -> Result<Live, Failure> {
    let connecting = async {
        let mut conn = Conn::new(opts).await?;
        for setting in SETTINGS {
            conn.query_drop(*setting).await?;
        }
        let said: Option<(usize, String)> =
            conn.query_first("SELECT @@max_allowed_packet, @@version").await?;
        let (packet_bytes, version) = said.unwrap_or((1024 * 1024, String::new()));
        // who greets may be a proxy, which does not pass on what only MariaDB has
        let is_mariadb = conn.server_version().0 >= 10 && version.contains("MariaDB");
        let takes_bulk = is_mariadb && !is_text;
        if takes_bulk {
            conn.query_drop(BULK_SETTING).await?;
        }
        let mut live = Live { conn, packet_bytes, takes_bulk, in_doubt: false };
        if let Some(demand) = demand {
            let checks = check::settings(&mut live, demand.durability).await?;
            demand.judge("mysql", &checks).map_err(Failure::Value)?;
        }
        Ok(live)
    };
    timeout(CONNECT_MAX, connecting).await.unwrap_or(Err(Failure::TimedOut(CONNECT_MAX)))
}

/// A connection that is up.
pub struct Live {
    conn: Conn,
    packet_bytes: usize,
    takes_bulk: bool,
    in_doubt: bool,
}

impl Live {
    /// Bytes that a statement of several rows is kept below.
    pub fn statement_bytes_max(&self) -> usize {
        self.packet_bytes / 2
    }

    /// Whether rows may be sent [in bulk](super::bulk).
    pub fn takes_bulk(&self) -> bool {
        self.takes_bulk
    }

    /// Runs a prepared statement for each of `rows`, which take so many `bytes` at most, and says how
    /// many rows all of them matched or changed.
    pub async fn run_batch(
        &mut self,
        sql: &str,
        rows: impl Iterator<Item = Params> + Send,
        bytes: usize,
    ) -> Result<u64, Failure> {
        self.check_size(sql.len() + bytes)?;
        timed(self.conn.exec_batch(sql, rows)).await?;
        Ok(self.conn.affected_rows())
    }

    /// Runs one statement and says how many rows it matched or changed.
    pub async fn run(&mut self, sql: &str) -> Result<u64, Failure> {
        self.check_size(sql.len())?;
        timed(self.conn.query_drop(sql)).await?;
        Ok(self.conn.affected_rows())
    }

    /// Runs a change of the schema, which takes as long as its tables are large.
    pub async fn run_long(&mut self, sql: &str) -> Result<(), Failure> {
        let changed = timeout(SCHEMA_CHANGE_MAX, self.conn.query_drop(sql)).await;
        Ok(changed.map_err(|_| Failure::TimedOut(SCHEMA_CHANGE_MAX))??)
    }

    /// Runs one query and returns its rows.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Row>, Failure> {
        self.check_size(sql.len())?;
        timed(self.conn.query(sql)).await
    }

    /// Commits; whatever goes wrong here says that it went wrong here.
    pub async fn commit(&mut self) -> Result<(), Failure> {
        self.run("COMMIT").await.map_err(|failure| Failure::Commit(Box::new(failure)))?;
        Ok(())
    }

    /// Rolls back after a failure; if that fails too, the connection is dropped, which has the
    /// same effect.
    pub async fn rollback(&mut self) {
        if self.run("ROLLBACK").await.is_err() {
            self.in_doubt = true;
        }
    }

    /// The server would close the connection on a packet that is too large, and the same again
    /// on each new try: say it here instead.
    fn check_size(&self, bytes: usize) -> Result<(), Failure> {
        if bytes < self.packet_bytes {
            return Ok(());
        }
        Err(Failure::Value(format!(
            "a statement of {bytes} bytes does not fit max_allowed_packet = {}",
            self.packet_bytes
        )))
    }
}

async fn timed<T>(statement: impl Future<Output = mysql_async::Result<T>>) -> Result<T, Failure> {
    match timeout(STATEMENT_MAX, statement).await {
        Ok(outcome) => outcome.map_err(Failure::from),
        Err(_) => Err(Failure::TimedOut(STATEMENT_MAX)),
    }
}

/// The value in a row's column `at`.
pub fn column<T: FromValue>(row: &Row, at: usize) -> Result<T, Failure> {
    match row.get_opt(at) {
        Some(Ok(value)) => Ok(value),
        _ => Err(Failure::Value(format!("column {at} of an answer is not as expected"))),
    }
}
