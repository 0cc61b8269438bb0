//! Settings, as flags and environment give them. A flag beats its `ERRSIFT_…` variable.

mod client;
mod http;
mod stores;

use std::{num::NonZeroUsize, time::Duration};

use clap::Args;

pub use self::{
    client::{ClientSettings, Key, every},
    http::HttpSettings,
    stores::StoreSettings,
};

/// How to serve.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Where and how to listen.
    #[command(flatten)]
    pub http: HttpSettings,

    /// Which stores to use.
    #[command(flatten)]
    pub stores: StoreSettings,

    /// How often counts reach the tables: 100ms to 1h, as in 30s, 500ms or 5m
    #[arg(long, global = true, env = "ERRSIFT_FLUSH_INTERVAL", default_value = "30s", value_parser = interval,
          value_name = "TIME")]
    pub flush_interval: Duration,

    /// Threads that apply counts: 1 to 64
    #[arg(long, global = true, env = "ERRSIFT_WORKERS", default_value = "1", value_parser = workers,
          value_name = "N")]
    pub workers: NonZeroUsize,
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
