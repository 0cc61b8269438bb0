//! Settings. The `clap` structs are the only definition of each: its flag, its `ERRSIFT_…`
//! variable, its name in `errsift.toml`, its default, and the parser that states what is accepted.
//! [`resolve`] finds their values, and [`document`] writes about them.

mod client;
pub mod document;
mod http;
mod process;
pub mod resolve;
mod stores;
mod tables;
mod tls;

use std::{num::NonZeroUsize, time::Duration};

use clap::{Args, ValueEnum};

pub use self::{
    client::{ClientSettings, Key, every},
    http::HttpSettings,
    process::{LogFormat, ProcessSettings},
    stores::StoreSettings,
    tables::TableSettings,
    tls::TlsSettings,
};

/// How to serve.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Pipeline")]
pub struct Serve {
    /// How often counts reach the tables: 100ms to 1h, as in 30s, 500ms or 5m
    #[arg(long, env = "ERRSIFT_FLUSH_INTERVAL", default_value = "30s", value_parser = interval,
          value_name = "TIME")]
    pub flush_interval: Duration,

    /// How long jobs stay in the journal after the tables have confirmed them: 0s to 24h. Longer than
    /// what MySQL may lose when it fails over, so that errsift can apply it again
    #[arg(long, env = "ERRSIFT_TRIM_LAG", default_value = "0s", value_parser = lag,
          value_name = "TIME")]
    pub trim_lag: Duration,

    /// Threads that apply counts: 1 to 64
    #[arg(long, env = "ERRSIFT_WORKERS", default_value = "1", value_parser = workers,
          value_name = "N")]
    pub workers: NonZeroUsize,

    /// How long nothing may move while events wait and the stores answer, before the process ends
    /// (exit 70) to be started again: 2s to 1h, or off
    #[arg(long, env = "ERRSIFT_WATCHDOG", default_value = "10s", value_parser = patience,
          value_name = "TIME")]
    pub watchdog: Patience,

    /// Take the shard at once, also from a process that holds it and is at work; that one exits
    /// 75. Without it a second process stands by until the first has gone. For a start by hand, not
    /// for a supervisor: two processes with it take the shard from each other
    #[arg(long, env = "ERRSIFT_TAKE_OVER")]
    pub take_over: bool,

    /// Whether to count what each operator of the dataflow does: on or off
    #[arg(
        long,
        env = "ERRSIFT_OPERATOR_METRICS",
        default_value = "on",
        hide = true,
        value_enum,
        value_name = "SWITCH"
    )]
    pub operator_metrics: Switch,

    /// Where and how to listen.
    #[command(flatten, next_help_heading = "Front end")]
    pub http: HttpSettings,

    /// Which stores to use.
    #[command(flatten, next_help_heading = "Stores")]
    pub stores: StoreSettings,
}

/// How to look at the stores.
#[derive(Clone, Debug, Args)]
pub struct CheckSettings {
    /// Reckon instead what became of every event ever journaled, from the stores alone
    #[arg(long)]
    pub ledger: bool,

    /// Which stores to use.
    #[command(flatten, next_help_heading = "Stores")]
    pub stores: StoreSettings,
}

/// Something that can be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is done.
    On,
    /// It is not.
    Off,
}

/// A time without end, if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(pub Option<Duration>);

const INTERVAL_RANGE: &str = "expected a time from 100ms to 1h, such as 30s, 500ms or 5m";
const PATIENCE_RANGE: &str = "expected a time from 2s to 1h, such as 10s or 5m, or off";

fn interval(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(100)..=Duration::from_secs(3600);
    let interval = time(text).filter(|interval| range.contains(interval));
    interval.ok_or_else(|| INTERVAL_RANGE.to_owned())
}

const LAG_RANGE: &str = "expected a time from 0s to 24h, such as 90s, 15m or 1h";

fn lag(text: &str) -> Result<Duration, String> {
    let lag = time(text).filter(|lag| *lag <= Duration::from_secs(24 * 3600));
    lag.ok_or_else(|| LAG_RANGE.to_owned())
}

fn patience(text: &str) -> Result<Patience, String> {
    if text == "off" {
        return Ok(Patience(None));
    }
    let range = Duration::from_secs(2)..=Duration::from_secs(3600);
    let patience = time(text).filter(|patience| range.contains(patience));
    patience.map(|time| Patience(Some(time))).ok_or_else(|| PATIENCE_RANGE.to_owned())
}

/// A number with its unit.
fn time(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().ok()?;
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.saturating_mul(unit_ms)))
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
        assert_eq!(lag("0s"), Ok(Duration::ZERO));
        assert_eq!(lag("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(lag("25h"), Err(LAG_RANGE.to_owned()));
    }

    #[test]
    fn patience_may_be_without_end() {
        assert_eq!(patience("off"), Ok(Patience(None)));
        assert_eq!(patience("2s"), Ok(Patience(Some(Duration::from_secs(2)))));
        assert_eq!(patience("1h"), Ok(Patience(Some(Duration::from_secs(3600)))));
        for wrong in ["", "on", "0", "10", "1999ms", "61m", "-1s"] {
            assert_eq!(patience(wrong), Err(PATIENCE_RANGE.to_owned()), "{wrong}");
        }
    }
}
