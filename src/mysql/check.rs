//! The server's settings that durability and correctness depend on.

use super::{
    faults::Failure,
    session::{Live, column},
};
use crate::check::{Check, Verdict};

/// The oldest servers that the statements are written for.
const MYSQL_OLDEST: (u32, u32) = (8, 0);
const MARIADB_OLDEST: (u32, u32) = (10, 11);
/// One error's details, in hex, take up to 400 KiB; below this they may not fit.
const PACKET_BYTES_MIN: u64 = 1024 * 1024;
/// From here on a statement carries a useful number of details.
const PACKET_BYTES_GOOD: u64 = 4 * 1024 * 1024;

/// Reads and judges the settings.
pub async fn settings(live: &mut Live) -> Result<Vec<Check>, Failure> {
    let rows = live
        .query(
            "SELECT @@version, @@innodb_flush_log_at_trx_commit, @@character_set_client, \
             @@max_allowed_packet, @@SESSION.sql_mode, @@log_bin, @@sync_binlog",
        )
        .await?;
    let row = rows.first().ok_or_else(|| Failure::Value("no settings came back".to_owned()))?;
    let text = |at| column::<String>(row, at);
    let number = |at| column::<u64>(row, at);
    let mut checks = vec![
        version(text(0)?),
        flush_log(number(1)?),
        charset(text(2)?),
        packet(number(3)?),
        sql_mode(text(4)?),
    ];
    if number(5)? != 0 {
        checks.push(sync_binlog(number(6)?));
    }
    Ok(checks)
}

fn version(value: String) -> Check {
    let mut numbers = value.split(['.', '-']).map_while(|number| number.parse().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let oldest = if value.contains("MariaDB") { MARIADB_OLDEST } else { MYSQL_OLDEST };
    let verdict = if found >= oldest { Verdict::Ok } else { Verdict::Wrong };
    Check::new("version", value, verdict, "run MySQL 8.0 or MariaDB 10.11, or later")
}

fn flush_log(value: u64) -> Check {
    // 3 is a form of MariaDB's that syncs at least as often as 1
    let verdict = if matches!(value, 1 | 3) { Verdict::Ok } else { Verdict::Weaker };
    Check::new(
        "innodb_flush_log_at_trx_commit",
        value.to_string(),
        verdict,
        "set it to 1: a crash of the machine may lose counts whose jobs are trimmed already",
    )
}

fn charset(value: String) -> Check {
    let verdict = if value == "utf8mb4" { Verdict::Ok } else { Verdict::Wrong };
    Check::new("character_set_client", value, verdict, "let the session's SET NAMES through")
}

fn packet(value: u64) -> Check {
    let verdict = match value {
        PACKET_BYTES_GOOD.. => Verdict::Ok,
        PACKET_BYTES_MIN.. => Verdict::Weaker,
        _ => Verdict::Wrong,
    };
    Check::new(
        "max_allowed_packet",
        value.to_string(),
        verdict,
        "set it to 16M or more: the details of a large error must fit one statement",
    )
}

fn sql_mode(value: String) -> Check {
    let strict = value.split(',').any(|mode| mode == "STRICT_ALL_TABLES");
    let verdict = if strict { Verdict::Ok } else { Verdict::Wrong };
    Check::new("sql_mode", value, verdict, "let the session's SET sql_mode through")
}

fn sync_binlog(value: u64) -> Check {
    let verdict = if value == 1 { Verdict::Ok } else { Verdict::Weaker };
    Check::new(
        "sync_binlog",
        value.to_string(),
        verdict,
        "set it to 1: a crash of the machine may leave replicas and primary with other counts",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(flush_log(1).remedy, "");
        assert_eq!(flush_log(2).verdict, Verdict::Weaker);
        assert!(!flush_log(2).remedy.is_empty());
        assert_eq!(packet(1024).verdict, Verdict::Wrong);
        assert_eq!(packet(16 << 20).verdict, Verdict::Ok);
    }
}
