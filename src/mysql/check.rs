//! The server's settings that durability and correctness depend on.

use std::collections::HashMap;

use errsift_ops::timestamp::Timestamp;

use super::{
    faults::Failure,
    privileges, schema,
    session::{Live, column},
};
use crate::{
    check::{Check, Verdict},
    durability::Durability,
};

/// The oldest servers that the statements are written for.
const MYSQL_OLDEST: (u32, u32) = (8, 0);
const MARIADB_OLDEST: (u32, u32) = (10, 11);
/// One error's details, in hex, take up to 400 KiB; below this they may not fit.
const PACKET_BYTES_MIN: u64 = 1024 * 1024;
/// From here on a statement carries a useful number of details.
const PACKET_BYTES_GOOD: u64 = 4 * 1024 * 1024;
/// Clocks further apart make people look for events at the wrong time.
const CLOCKS_MS_MAX: u64 = 60_000;

/// Variables by name, as the session has them; MySQL and MariaDB have some that the other has not.
const VARIABLES: &str = "SHOW SESSION VARIABLES WHERE Variable_name IN ('version', \
    'innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'character_set_client', \
    'max_allowed_packet', 'sql_mode', 'transaction_isolation', 'tx_isolation', 'log_bin', \
    'sync_binlog', 'binlog_format')";

struct Variables(HashMap<String, String>);

impl Variables {
    async fn read(live: &mut Live) -> Result<Self, Failure> {
        let mut found = HashMap::new();
        for row in live.query(VARIABLES).await? {
            found.insert(column::<String>(&row, 0)?.to_ascii_lowercase(), column(&row, 1)?);
        }
        Ok(Self(found))
    }

    fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// Under the first of its names that the server knows; `MariaDB` 11.1 knows both.
    fn first<const N: usize>(&self, names: [&str; N]) -> String {
        let values = names.map(|name| self.text(name));
        values.into_iter().find(|value| !value.is_empty()).unwrap_or_default()
    }

    fn is_on(&self, name: &str) -> bool {
        matches!(self.text(name).to_ascii_uppercase().as_str(), "ON" | "1")
    }
}

/// Reads and judges the settings.
pub async fn settings(live: &mut Live, durability: Durability) -> Result<Vec<Check>, Failure> {
    let found = Variables::read(live).await?;
    let lasting = durability != Durability::Memory;
    let mut checks = vec![version(found.text("version"))];
    if lasting {
        checks.push(flush_log(found.text("innodb_flush_log_at_trx_commit"), durability));
        checks.push(doublewrite(found.text("innodb_doublewrite")));
    }
    checks.extend([
        charset(found.text("character_set_client")),
        packet(found.text("max_allowed_packet")),
        sql_mode(found.text("sql_mode")),
        isolation(found.first(["transaction_isolation", "tx_isolation"])),
    ]);
    if found.is_on("log_bin") {
        checks.push(binlog_format(found.text("binlog_format")));
        if lasting && durability != Durability::Everysec {
            checks.push(sync_binlog(found.text("sync_binlog")));
        }
    }
    Ok(checks)
}

/// The settings, and how the server and its database stand.
pub async fn all(
    live: &mut Live,
    durability: Durability,
    now: Timestamp,
) -> Result<Vec<Check>, Failure> {
    let mut checks = vec![encryption(live).await?];
    checks.extend(settings(live, durability).await?);
    checks.push(privileges::check(live).await?);
    checks.push(schema::check(live).await?);
    checks.push(clock(live, now).await?);
    Ok(checks)
}

async fn encryption(live: &mut Live) -> Result<Check, Failure> {
    let mut found = Vec::new();
    for name in ["Ssl_version", "Ssl_cipher"] {
        let rows = live.query(&format!("SHOW SESSION STATUS LIKE '{name}'")).await?;
        let value: String = rows.first().map_or(Ok(String::new()), |row| column(row, 1))?;
        found.extend(Some(value).filter(|value| !value.is_empty()));
    }
    let value = match &found[..] {
        [] => "none, the URL says no ssl-mode".to_owned(),
        found => found.join(", "),
    };
    Ok(Check::new("tls", value, Verdict::Ok, ""))
}

fn version(value: String) -> Check {
    let mut numbers = value.split(['.', '-']).map_while(|number| number.parse().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let oldest = if value.contains("MariaDB") { MARIADB_OLDEST } else { MYSQL_OLDEST };
    let verdict = if found >= oldest { Verdict::Ok } else { Verdict::Wrong };
    Check::new("version", value, verdict, "run MySQL 8.0 or MariaDB 10.11, or later")
}

/// Less than 1 loses what was committed in a crash: counts whose jobs are trimmed already.
fn flush_log(value: String, durability: Durability) -> Check {
    let good = match (value.as_str(), durability) {
        // 3 is a form of MariaDB's that syncs at least as often as 1
        ("1" | "3", _) => true,
        // once a second
        ("0" | "2", durability) => durability == Durability::Everysec,
        _ => false,
    };
    let verdict = if good { Verdict::Ok } else { Verdict::Weaker };
    let remedy = "SET GLOBAL innodb_flush_log_at_trx_commit = 1";
    Check::new("innodb_flush_log_at_trx_commit", value, verdict, remedy)
}

/// Without it a page that was half written in a crash cannot be mended.
fn doublewrite(value: String) -> Check {
    let off = matches!(value.to_ascii_uppercase().as_str(), "OFF" | "0" | "DETECT_ONLY");
    let verdict = if off { Verdict::Weaker } else { Verdict::Ok };
    let remedy = "innodb_doublewrite = ON in the server's file, then restart it";
    Check::new("innodb_doublewrite", value, verdict, remedy)
}

/// Binary, where rows go in bulk: the same bytes.
fn charset(value: String) -> Check {
    let is_good = ["utf8mb4", "binary"].contains(&value.as_str());
    let verdict = if is_good { Verdict::Ok } else { Verdict::Wrong };
    Check::new("character_set_client", value, verdict, "let SET NAMES utf8mb4 through the proxy")
}

/// The details of a large error must fit one statement.
fn packet(value: String) -> Check {
    let verdict = match value.parse().unwrap_or(0) {
        PACKET_BYTES_GOOD.. => Verdict::Ok,
        PACKET_BYTES_MIN.. => Verdict::Weaker,
        _ => Verdict::Wrong,
    };
    Check::new("max_allowed_packet", value, verdict, "SET GLOBAL max_allowed_packet = 16777216")
}

fn sql_mode(value: String) -> Check {
    let strict = value.split(',').any(|mode| mode == "STRICT_ALL_TABLES");
    let verdict = if strict { Verdict::Ok } else { Verdict::Wrong };
    Check::new("sql_mode", value, verdict, "let SET SESSION sql_mode through the proxy")
}

fn isolation(value: String) -> Check {
    let verdict = if value == "READ-COMMITTED" { Verdict::Ok } else { Verdict::Wrong };
    let remedy = "let SET SESSION TRANSACTION ISOLATION LEVEL through the proxy";
    Check::new("transaction_isolation", value, verdict, remedy)
}

/// Statements cannot be logged as such at our isolation: the server refuses each write.
fn binlog_format(value: String) -> Check {
    let verdict = if value == "STATEMENT" { Verdict::Wrong } else { Verdict::Ok };
    Check::new("binlog_format", value, verdict, "SET GLOBAL binlog_format = 'ROW'")
}

/// With a binary log, a transaction that is not in it after a crash is rolled back.
fn sync_binlog(value: String) -> Check {
    let verdict = if value == "1" { Verdict::Ok } else { Verdict::Weaker };
    Check::new("sync_binlog", value, verdict, "SET GLOBAL sync_binlog = 1")
}

async fn clock(live: &mut Live, now: Timestamp) -> Result<Check, Failure> {
    let rows = live.query("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)").await?;
    let row = rows.first().ok_or_else(|| Failure::Value("no time came back".to_owned()))?;
    Ok(clocks(column(row, 0)?, now))
}

fn clocks(theirs_ms: i64, now: Timestamp) -> Check {
    let apart_ms = theirs_ms.abs_diff(now.millis());
    let verdict = if apart_ms <= CLOCKS_MS_MAX { Verdict::Ok } else { Verdict::Wrong };
    let value = format!("{}.{:03} s from ours", apart_ms / 1000, apart_ms % 1000);
    Check::new("clock", value, verdict, "timedatectl set-ntp true, on both machines")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_of_two_names_is_read_once() {
        let names = ["transaction_isolation", "tx_isolation"];
        for known in [&names[..1], &names[1..], &names[..]] {
            let value = |name: &&str| ((*name).to_owned(), "READ-COMMITTED".to_owned());
            let found = Variables(known.iter().map(value).collect());
            assert_eq!(isolation(found.first(names)).verdict, Verdict::Ok, "{known:?}");
        }
    }

    #[test]
    fn versions_are_told_apart() {
        let verdict = |value: &str| version(value.to_owned()).verdict;
        for good in ["8.0.36", "8.4.0-log", "9.1.0", "10.11.6-MariaDB-1:10.11", "11.4.2-MariaDB"] {
            assert_eq!(verdict(good), Verdict::Ok, "{good}");
        }
        for old in ["5.7.44-log", "10.6.16-MariaDB", "", "unknown"] {
            assert_eq!(verdict(old), Verdict::Wrong, "{old}");
        }
    }

    #[test]
    fn a_weaker_setting_comes_with_a_remedy() {
        let flush = |value: &str, durability| flush_log(value.to_owned(), durability);
        assert_eq!(flush("1", Durability::Fsync).remedy, "");
        assert_eq!(flush("2", Durability::Fsync).verdict, Verdict::Weaker);
        assert!(flush("2", Durability::Fsync).remedy.starts_with("SET GLOBAL"));
        assert_eq!(flush("2", Durability::Everysec).verdict, Verdict::Ok);
        assert_eq!(flush("", Durability::Everysec).verdict, Verdict::Weaker);
        assert_eq!(packet("1024".to_owned()).verdict, Verdict::Wrong);
        assert_eq!(packet("16777216".to_owned()).verdict, Verdict::Ok);
        for (value, verdict) in
            [("ON", Verdict::Ok), ("OFF", Verdict::Weaker), ("0", Verdict::Weaker)]
        {
            assert_eq!(doublewrite(value.to_owned()).verdict, verdict);
        }
    }

    #[test]
    fn clocks_may_be_a_minute_apart() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(clocks(1_700_000_059_000, now).verdict, Verdict::Ok);
        let apart = clocks(1_699_999_939_500, now);
        assert_eq!((apart.verdict, apart.value.as_str()), (Verdict::Wrong, "60.500 s from ours"));
    }
}
