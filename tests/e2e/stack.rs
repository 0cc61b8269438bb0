//! An errsift with its stores, and how they stand.

use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};

use crate::{
    support::{errsift::Errsift, mariadb::Mariadb, redis::Redis},
    tables::Tables,
    wait,
};

pub const DATABASE: &str = "errors_of_test";

/// Redis and MariaDB, both as errsift asks for them.
pub struct Servers {
    pub redis: Redis,
    pub mariadb: Mariadb,
    pub mysql_url: String,
}

impl Servers {
    pub fn start() -> Self {
        let mariadb = Mariadb::start();
        let mysql_url = mariadb.database(DATABASE);
        Self { redis: Redis::start(), mariadb, mysql_url }
    }

    /// An errsift on these stores.
    pub fn errsift(&self, flags: &[&str]) -> Errsift {
        let urls = [self.redis.url(), self.mysql_url.clone()];
        let mut all = vec!["--redis-url", &urls[0], "--mysql-url", &urls[1]];
        all.extend(flags);
        Errsift::start(&all)
    }

    /// One that stands by, because another errsift holds the shard.
    pub fn standby(&self, flags: &[&str]) -> Errsift {
        let urls = [self.redis.url(), self.mysql_url.clone()];
        let mut all = vec!["--redis-url", &urls[0], "--mysql-url", &urls[1]];
        all.extend(flags);
        Errsift::stand_by(&all)
    }
}

/// Where an errsift keeps what it is sent.
pub enum Stores {
    Servers(Box<Servers>),
    Embedded,
}

/// The errsift goes first when the test ends.
pub struct Stack {
    pub errsift: Errsift,
    pub stores: Stores,
}

impl Stack {
    pub fn servers(flags: &[&str]) -> Self {
        let servers = Servers::start();
        Self::of(servers.errsift(flags), servers)
    }

    pub fn of(errsift: Errsift, servers: Servers) -> Self {
        Self { errsift, stores: Stores::Servers(Box::new(servers)) }
    }

    pub fn embedded(flags: &[&str]) -> Self {
        Self { errsift: Errsift::start(flags), stores: Stores::Embedded }
    }

    /// The servers of a stack that has some.
    pub fn outside(&mut self) -> &mut Servers {
        match &mut self.stores {
            Stores::Servers(servers) => servers,
            Stores::Embedded => panic!("the embedded store has no servers"),
        }
    }

    pub fn tables(&self) -> Tables {
        match &self.stores {
            Stores::Servers(servers) => Tables::of_mariadb(&servers.mariadb, DATABASE),
            Stores::Embedded => Tables::of_sqlite(&self.sqlite("errsift.db")),
        }
    }

    /// A file of the embedded store, to read.
    pub fn sqlite(&self, name: &str) -> Connection {
        let path: PathBuf = self.errsift.process.dir().join(name);
        Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Jobs in the journal.
    pub fn journal_jobs(&self) -> u64 {
        match &self.stores {
            Stores::Servers(servers) => journal_jobs(&servers.redis),
            Stores::Embedded => self
                .sqlite("errsift.journal.db")
                .query_row("SELECT count(*) FROM jobs", [], |row| {
                    row.get(0).map(i64::cast_unsigned)
                })
                .expect("the journal's file has no jobs table"),
        }
    }

    /// Waits until everything in the journal is counted and trimmed.
    pub fn settle(&self) {
        settle(&self.errsift, || self.journal_jobs());
    }
}

pub fn journal_jobs(redis: &Redis) -> u64 {
    redis::cmd("LLEN").arg("{es:0}:journal").query(&mut redis.connection()).expect("LLEN")
}

/// As [`Stack::settle`].
pub fn settle(errsift: &Errsift, jobs: impl Fn() -> u64) {
    wait::until("all that is journaled to be counted", 2 * wait::SOON, || {
        let journaled = errsift.metric("errsift_journaled_events");
        let counted = errsift.metric("errsift_counted_events");
        let jobs = jobs();
        if journaled.is_some() && journaled == counted && jobs == 0 {
            return Ok(());
        }
        Err(format!("{journaled:?} journaled, {counted:?} counted, {jobs} jobs"))
    });
}
