//! One row: two crashes at a point, and what is counted in the end.

use std::{
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    mishap::{self, Held, Journey},
    table::{Meets, ROWS},
};
use crate::{
    load::{Attempt, Barrage, assert_exactly_once, attempt},
    stack::journal_jobs,
    support::{
        client::Client, errsift::sum_of, mariadb::Mariadb, mortal::Mortal, ports, random::Random,
        redis::Redis,
    },
    tables::Tables,
    wait,
};

const CONNECTIONS: u64 = 4;
const CRASHES: usize = 2;
/// Acks before the first crash is armed where the crash needs a backlog, and after the last.
const ACKS: u64 = 40;
/// Repeats between two looks at whether a point was met: more than come of the errors that come once
/// and never shrink, however fast those are.
const REPEATS: usize = 60;
const SIGABRT: i32 = 6;
/// How long a point may not be met, and how long a drain may take.
const DEADLINE: Duration = Duration::from_secs(60);
const LOG: &str = "errsift.log";

/// Where a row's errsift keeps everything.
pub struct Place<'servers> {
    dir: TempDir,
    flags: Vec<String>,
    servers: Option<Outside<'servers>>,
}

/// What a row has on servers.
struct Outside<'servers> {
    /// All rows share it.
    mariadb: &'servers Mutex<Mariadb>,
    database: String,
    /// The row's own: its connections are to be dropped, and no other row's.
    redis: Redis,
}

impl<'servers> Place<'servers> {
    pub fn embedded() -> Self {
        Self { dir: TempDir::new().expect("a directory"), flags: Vec::new(), servers: None }
    }

    /// A Redis and a database of the row's own.
    pub fn servers(mariadb: &'servers Mutex<Mariadb>, at: usize) -> Self {
        let database = format!("crashes_{at}");
        let mysql_url = locked(mariadb).database(&database);
        let redis = Redis::start();
        let flags = ["--redis-url", &redis.url(), "--mysql-url", &mysql_url].map(str::to_owned);
        let servers = Some(Outside { mariadb, database, redis });
        Self { dir: TempDir::new().expect("a directory"), flags: flags.to_vec(), servers }
    }

    pub fn is_embedded(&self) -> bool {
        self.servers.is_none()
    }

    fn file(&self, name: &str) -> Connection {
        let path: PathBuf = self.dir.path().join(name);
        Connection::open(path).expect("a file of the embedded store")
    }

    fn tables(&self) -> Tables {
        match &self.servers {
            Some(outside) => Tables::of_mariadb(&locked(outside.mariadb), &outside.database),
            None => Tables::of_sqlite(&self.file("errsift.db")),
        }
    }

    fn jobs(&self) -> u64 {
        let Some(outside) = &self.servers else {
            let count = "SELECT count(*) FROM jobs";
            let jobs = self.file("errsift.journal.db").query_row(count, [], |row| row.get(0));
            return jobs.map(i64::cast_unsigned).expect("a table of jobs");
        };
        journal_jobs(&outside.redis)
    }

    /// Has Redis close every connection but the one that says so.
    fn drop_connections(&self) {
        let Some(outside) = &self.servers else { return };
        mishap::drop_connections(&outside.redis);
    }

    /// Keeps errsift from its guard rows until what is returned is dropped.
    fn hold_tables(&self) -> Held {
        match &self.servers {
            Some(outside) => Held::on_mariadb(&locked(outside.mariadb), &outside.database),
            None => Held::on_file(self.file("errsift.db")),
        }
    }

    fn go_back(&self, journey: &mut Journey) {
        if let Some(outside) = &self.servers {
            journey.go_on(&outside.redis);
        }
    }
}

fn locked(mariadb: &Mutex<Mariadb>) -> MutexGuard<'_, Mariadb> {
    mariadb.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs row `at`; panics if anything acknowledged is lost or anything is counted twice.
pub fn run(place: &Place<'_>, at: usize, mut random: Random) {
    let (point, meets) = ROWS[at];
    let port = ports::free();
    let start = |flush: &str, failpoints: &str| {
        let flags = [&place.flags[..], &["--flush-interval".to_owned(), flush.to_owned()]].concat();
        Mortal::start(place.dir.path(), LOG, port, &flags, &[("FAILPOINTS", failpoints)])
    };
    let mut errsift = start("1h", "");
    // few errors that come once: what does not shrink is not merged
    let connections = if meets == Meets::Merges { 1 } else { CONNECTIONS };
    let barrage = Barrage::start(errsift.address(), connections);
    let mut repeats = Vec::new();
    if meets == Meets::Backlogs {
        barrage.await_acks(ACKS);
    }
    for _ in 0..CRASHES {
        errsift.kill();
        let passes = match meets {
            Meets::Starts | Meets::Backlogs | Meets::Losses => 0,
            Meets::Flights => random.within(0..40),
            Meets::Epochs | Meets::LostAnswers | Meets::Merges => random.within(0..3),
        };
        // a backlog is left for the next start, and what Redis loses is not trimmed meanwhile
        let flush = if matches!(meets, Meets::Backlogs | Meets::Losses) { "1h" } else { "150ms" };
        let (mut held, mut journey) = (None, Journey::default());
        errsift = start(flush, &format!("{point}={passes}*off->return"));
        await_crash(&mut errsift, |errsift| {
            // one that is still starting would end without its Redis, as it should
            match meets {
                _ if !errsift.is_ready() => {}
                Meets::LostAnswers => place.drop_connections(),
                Meets::Merges => {
                    held.get_or_insert_with(|| place.hold_tables());
                    repeats.extend(repeat(errsift));
                }
                Meets::Losses => place.go_back(&mut journey),
                _ => {}
            }
        });
    }
    errsift = start("150ms", "");
    barrage.await_acks(ACKS);
    let mut attempts = barrage.stop();
    attempts.append(&mut repeats);
    wait::until("the ledger", wait::SOON, || {
        let (_, page) = Client::new(errsift.address()).get("/metrics");
        let difference = sum_of(&page, "errsift_ledger_difference");
        if difference == Some(0.0) { Ok(()) } else { Err(format!("{difference:?}")) }
    });
    errsift.signal("TERM");
    let drained = errsift.wait(DEADLINE).and_then(|status| status.code());
    assert_eq!(drained, Some(0), "drain after {point}: {}", errsift.log_tail(40));
    assert_eq!(place.jobs(), 0, "jobs left after {point}");
    assert_exactly_once(&place.tables(), &attempts);
}

/// Sends the same error again and again, each time in a flight of its own.
fn repeat(errsift: &Mortal) -> Vec<Attempt> {
    let mut client = Client::new(errsift.address());
    let send = |_| {
        let message = "again and again".to_owned();
        Attempt { fate: attempt(&mut client, &message), message }
    };
    (0..REPEATS).map(send).collect()
}

/// Waits for the crash, and that nothing else has ended it.
fn await_crash(errsift: &mut Mortal, mut provoke: impl FnMut(&Mortal)) {
    let status = wait::until("the point to be met", DEADLINE, || {
        provoke(errsift);
        errsift.ended().ok_or_else(|| errsift.log_tail(10))
    });
    assert_eq!(status.signal(), Some(SIGABRT), "{status}: {}", errsift.log_tail(40));
}
