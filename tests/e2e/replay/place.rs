//! A directory with logs, and the tables that they are replayed into.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::{
    command::{self, Ended},
    support::{errsift, mariadb::Mariadb},
    tables::Tables,
};

/// Small, so that a small log has many.
pub const SMALL: [&str; 4] = ["--chunk-bytes", "2000", "--range-bytes", "20000"];

/// Where logs are, and where their events are counted.
pub struct Place {
    dir: TempDir,
    database: Option<(String, String)>,
}

impl Place {
    pub fn embedded() -> Self {
        Self { dir: TempDir::new().expect("a directory"), database: None }
    }

    /// A database of its own.
    pub fn on(mariadb: &Mariadb, name: &str) -> Self {
        let database = Some((name.to_owned(), mariadb.database(name)));
        Self { dir: TempDir::new().expect("a directory"), database }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a full disk");
        path.display().to_string()
    }

    /// Flags that name the tables.
    pub fn tables_flags(&self) -> Vec<String> {
        match &self.database {
            Some((_, url)) => vec!["--mysql-url".to_owned(), url.clone()],
            None => vec!["--data".to_owned(), self.path("errsift.db").display().to_string()],
        }
    }

    /// `errsift replay` on these tables, not yet run.
    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = errsift::command();
        command.arg("replay").args(self.tables_flags()).args(arguments);
        command
    }

    pub fn replay(&self, arguments: &[&str]) -> Ended {
        command::end(self.command(arguments), b"")
    }

    pub fn replay_input(&self, input: &[u8], arguments: &[&str]) -> Ended {
        command::end(self.command(arguments), input)
    }

    /// The summary of a replay that must end so.
    pub fn summary(&self, code: i32, arguments: &[&str]) -> serde_json::Value {
        summary(&self.replay(&[arguments, &["--json"]].concat()), code)
    }

    pub fn tables(&self, mariadb: Option<&Mariadb>) -> Tables {
        match (&self.database, mariadb) {
            (Some((name, _)), Some(mariadb)) => Tables::of_mariadb(mariadb, name),
            _ => Tables::of_sqlite(&sqlite(&self.path("errsift.db"))),
        }
    }

    /// What a query of one number says.
    pub fn number(&self, mariadb: Option<&Mariadb>, sql: &str) -> i64 {
        match (&self.database, mariadb) {
            (Some((name, _)), Some(server)) => {
                mysql_async::from_row(server.query(name, sql).remove(0))
            }
            _ => sqlite(&self.path("errsift.db"))
                .query_row(sql, [], |row| row.get(0))
                .expect("a number"),
        }
    }

    /// All words, as the view has them.
    pub fn words(&self, mariadb: Option<&Mariadb>) -> Vec<String> {
        match (&self.database, mariadb) {
            (Some((name, _)), Some(mariadb)) => {
                let rows = mariadb.query(name, WORDS);
                rows.into_iter().map(mysql_async::from_row).collect()
            }
            _ => words(&sqlite(&self.path("errsift.db"))),
        }
    }
}

/// Every column of an error's words, in both dialects.
const WORDS: &str = "SELECT CONCAT_WS('|', fingerprint, `rule`, message, \
    COALESCE(stack_trace, '-'), COALESCE(`type`, '-'), COALESCE(`level`, '-'), \
    COALESCE(service, '-'), COALESCE(environment, '-'), COALESCE(`release`, '-'), tags) \
    FROM errors ORDER BY fingerprint";

pub fn words(file: &Connection) -> Vec<String> {
    let mut query = file.prepare(WORDS).expect("the view is there");
    let rows = query.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("text")
}

pub fn sqlite(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn summary(ended: &Ended, code: i32) -> serde_json::Value {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))
}

/// Panics unless both hold the same counts and windows.
pub fn assert_same(found: &Tables, expected: &Tables) {
    found.assert_windows_sum_to_counts();
    assert_eq!(found.sum(), expected.sum());
    assert_eq!(found.errors, expected.errors);
    assert_eq!(found.windows, expected.windows);
}

/// `events` lines of events of `distinct` errors, from a year ago on and in no order.
pub fn log(events: u64, distinct: u64) -> String {
    const START: u64 = 1_700_000_000;
    let mut lines = String::new();
    for n in 0..events {
        let number = n * 7919 % distinct;
        let at = START + (n * 104_729) % 100_000;
        let event = serde_json::json!({
            "message": format!("error {number} of \u{fc}n\"quoted\"\n"),
            "stackTrace": format!("at f{number}\n\tat g"),
            "service": if number.is_multiple_of(3) { "web" } else { "shop" },
            "level": "error",
            "timestamp": at,
        });
        lines += &event.to_string();
        lines.push('\n');
    }
    lines
}

/// How many indexes there are that lists are read by.
pub fn indexes(mariadb: &Mariadb, database: &str) -> u64 {
    let sql = "SELECT COUNT(DISTINCT table_name, index_name) FROM information_schema.statistics \
         WHERE table_schema = DATABASE() AND table_name IN ('error_counts', 'error_details') \
         AND index_name LIKE 'by\\_%'";
    mysql_async::from_row(mariadb.query(database, sql)[0].clone())
}
