//! Settings, as flags and environment give them. A flag beats its `ERRSIFT_…` variable.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, value_parser};

use crate::durability::Durability;

const REDIS_URL_HELP: &str = "Redis for the journal, as redis://[user:password@]host[:port][/db]; needs --mysql-url too. \
     Other users of the machine can read flags: give passwords by the environment";
const MYSQL_URL_HELP: &str = "MySQL or MariaDB for the tables, as mysql://user:password@host[:port]/database; needs \
     --redis-url too";

/// How to serve.
#[derive(Clone, Debug, ClapArgs)]
pub struct Serve {
    /// Address to listen on
    #[arg(
        long,
        global = true,
        env = "ERRSIFT_LISTEN",
        default_value = "127.0.0.1:9002",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,

    /// The journal's server.
    #[arg(long, global = true, env = "ERRSIFT_REDIS_URL", help = REDIS_URL_HELP, hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<String>,

    /// The tables' server.
    #[arg(long, global = true, env = "ERRSIFT_MYSQL_URL", help = MYSQL_URL_HELP, hide_env_values = true, value_name = "URL")]
    pub mysql_url: Option<String>,

    /// File of the embedded store, used when no URL is given; its journal lies beside it
    #[arg(
        long,
        global = true,
        env = "ERRSIFT_DATA",
        default_value = "errsift.db",
        value_name = "FILE"
    )]
    pub data: PathBuf,

    /// How often counts reach the tables: 100ms to 1h, as in 30s, 500ms or 5m
    #[arg(long, global = true, env = "ERRSIFT_FLUSH_INTERVAL", default_value = "30s", value_parser = interval,
          value_name = "TIME")]
    pub flush_interval: Duration,

    /// Threads that apply counts: 1 to 64
    #[arg(long, global = true, env = "ERRSIFT_WORKERS", default_value = "1", value_parser = workers,
          value_name = "N")]
    pub workers: NonZeroUsize,

    /// When an event counts as stored
    #[arg(
        long,
        global = true,
        env = "ERRSIFT_DURABILITY",
        value_enum,
        default_value_t,
        value_name = "LEVEL"
    )]
    pub durability: Durability,

    /// Run although the stores' settings are weaker than --durability, or cannot be read
    #[arg(long, global = true, env = "ERRSIFT_ALLOW_WEAKER")]
    pub allow_weaker: bool,

    /// Number of the journal to write, 0 to 65535; each process needs one of its own
    #[arg(long, global = true, env = "ERRSIFT_SHARD", default_value = "0", value_parser = value_parser!(u16),
          value_name = "N")]
    pub shard: u16,
}

const INTERVAL_RANGE: &str = "expected a time from 100ms to 1h, such as 30s, 500ms or 5m";

fn interval(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| INTERVAL_RANGE.to_owned())?;
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(INTERVAL_RANGE.to_owned()),
    };
    let interval = Duration::from_millis(number.saturating_mul(unit_ms));
    let range = Duration::from_millis(100)..=Duration::from_secs(3600);
    if range.contains(&interval) { Ok(interval) } else { Err(INTERVAL_RANGE.to_owned()) }
}

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= 64);
    number.ok_or_else(|| "expected a number from 1 to 64".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_a_unit_and_a_range() {
        assert_eq!(interval("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(interval("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(interval("1h"), Ok(Duration::from_secs(3600)));
        for wrong in ["", "30", "s", "99ms", "61m", "-1s", "1d", "1.5s", "99999999999999999999s"] {
            assert_eq!(interval(wrong), Err(INTERVAL_RANGE.to_owned()), "{wrong}");
        }
    }
}
