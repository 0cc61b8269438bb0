//! What people find in the tables, read with plain SQL and compared by plain code.

use std::collections::BTreeMap;

use mysql_async::prelude::FromRow;
use rusqlite::{Connection, Row as SqliteRow};
use sha2::{Digest, Sha256};

use crate::support::mariadb::Mariadb;

/// Length of a window.
pub const WINDOW_MS: i64 = 30_000;

/// One row of the view `errors`, times in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub message: String,
    pub count: u64,
    pub first_seen: i64,
    pub last_seen: i64,
}

/// Everything that is counted. Fingerprints are lower-case hex.
#[derive(Debug, Default)]
pub struct Tables {
    pub errors: BTreeMap<String, Row>,
    /// By start, in milliseconds since 1970, and fingerprint.
    pub windows: BTreeMap<(i64, String), u64>,
}

/// MySQL has no function from a DATETIME to milliseconds that does not heed the time zone.
const COUNTS_MYSQL: &str = "SELECT LOWER(HEX(fingerprint)), `count`,
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', first_seen) DIV 1000,
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', last_seen) DIV 1000 FROM error_counts";
const WINDOWS_MYSQL: &str = "SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', window_start) * 1000,
    LOWER(HEX(fingerprint)), `count` FROM error_windows";
const COUNTS_SQLITE: &str =
    "SELECT lower(hex(fingerprint)), count, first_seen, last_seen FROM error_counts";
const WINDOWS_SQLITE: &str =
    "SELECT window_start, lower(hex(fingerprint)), count FROM error_windows";
/// The view that people query; its counts must be those of the table.
const VIEW: &str = "SELECT fingerprint, message, count FROM errors WHERE count > 0";

type Counted = (String, u64, i64, i64);
type Viewed = (String, String, u64);

impl Tables {
    pub fn of_mariadb(server: &Mariadb, database: &str) -> Self {
        fn rows<T: FromRow>(server: &Mariadb, database: &str, sql: &str) -> Vec<T> {
            server.query(database, sql).into_iter().map(mysql_async::from_row).collect()
        }
        let windows: Vec<(i64, String, u64)> = rows(server, database, WINDOWS_MYSQL);
        Self::new(rows(server, database, COUNTS_MYSQL), rows(server, database, VIEW), windows)
    }

    pub fn of_sqlite(file: &Connection) -> Self {
        let count = |row: &SqliteRow, at: usize| row.get(at).map(i64::cast_unsigned);
        let counts = rows(file, COUNTS_SQLITE, |row| {
            Ok((row.get(0)?, count(row, 1)?, row.get(2)?, row.get(3)?))
        });
        let view = rows(file, VIEW, |row| Ok((row.get(0)?, row.get(1)?, count(row, 2)?)));
        let windows =
            rows(file, WINDOWS_SQLITE, |row| Ok((row.get(0)?, row.get(1)?, count(row, 2)?)));
        Self::new(counts, view, windows)
    }

    fn new(counts: Vec<Counted>, view: Vec<Viewed>, windows: Vec<(i64, String, u64)>) -> Self {
        let mut viewed: BTreeMap<String, (String, u64)> = BTreeMap::new();
        for (fingerprint, message, count) in view {
            viewed.insert(fingerprint, (message, count));
        }
        let mut tables = Self::default();
        for (fingerprint, count, first_seen, last_seen) in counts {
            let (message, shown) = viewed
                .remove(&fingerprint)
                .unwrap_or_else(|| panic!("{fingerprint} has a count and no words"));
            assert_eq!(shown, count, "the view's count of {message}");
            let row = Row { message, count, first_seen, last_seen };
            assert!(tables.errors.insert(fingerprint, row).is_none(), "a fingerprint twice");
        }
        assert!(viewed.is_empty(), "counts of the view only: {viewed:?}");
        for (start, fingerprint, count) in windows {
            tables.windows.insert((start, fingerprint), count);
        }
        tables
    }

    /// How often a bare message is counted; 0 when it is not there.
    pub fn count(&self, message: &str) -> u64 {
        self.errors.get(&sha256(message)).map_or(0, |row| row.count)
    }

    pub fn sum(&self) -> u64 {
        self.errors.values().map(|row| row.count).sum()
    }

    /// The parts must sum to the whole, error by error.
    pub fn assert_windows_sum_to_counts(&self) {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for ((start, fingerprint), count) in &self.windows {
            assert_eq!(start % WINDOW_MS, 0, "a window of {fingerprint} starts at {start}");
            *sums.entry(fingerprint).or_default() += count;
        }
        let counts: BTreeMap<&str, u64> = self
            .errors
            .iter()
            .map(|(fingerprint, row)| (fingerprint.as_str(), row.count))
            .collect();
        assert_eq!(sums, counts, "windows and counts differ");
    }
}

fn rows<T>(
    file: &Connection,
    sql: &str,
    read: impl FnMut(&SqliteRow<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let rows = file.prepare(sql).and_then(|mut query| query.query_map([], read)?.collect());
    rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// As `sha256sum` has it: the fingerprint of a bare message.
pub fn sha256(text: &str) -> String {
    sha256_of(&[text.as_bytes()])
}

pub fn sha256_of(pieces: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update(piece);
    }
    hash.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
