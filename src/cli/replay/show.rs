//! How far a replay is, while it runs.

use std::{
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

use errsift_pipeline::{ports::clock::Clock, replay::Replaying};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Running, args::Progress};

const BAR: &str = "{bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} · {msg} · {eta} left";
const SPINNER: &str = "{spinner} {bytes} {binary_bytes_per_sec} · {msg}";

/// How often a line of JSON is written.
const LINE: Duration = Duration::from_secs(1);

/// Shows it, or does not.
pub enum Show {
    Bar { bar: ProgressBar, began: Duration },
    Json { next: Duration, began: Duration },
    Nothing,
}

impl Show {
    pub fn new(progress: Progress, logs: &Running, clock: &dyn Clock) -> Self {
        let began = clock.monotonic();
        let is_bar = match progress {
            Progress::Auto => stderr().is_terminal(),
            Progress::Bar => true,
            Progress::Json => return Self::Json { next: began + LINE, began },
            Progress::None => false,
        };
        if !is_bar {
            return Self::Nothing;
        }
        let total = logs.total_bytes();
        let bar = match total {
            Some(bytes) => ProgressBar::new(bytes),
            None => ProgressBar::new_spinner(),
        };
        let style = ProgressStyle::with_template(if total.is_some() { BAR } else { SPINNER });
        Self::Bar {
            bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
            began,
        }
    }

    /// Brings what is shown up to date.
    pub fn look(&mut self, logs: &Running, replaying: &Replaying, clock: &dyn Clock) {
        let now = clock.monotonic();
        let (bytes, events, rejected) = {
            let sums = logs.account.sums();
            (sums.bytes, sums.seen.events, sums.rejected)
        };
        let distinct = replaying.distinct.get();
        match self {
            Self::Bar { bar, began } => {
                let seconds = now.saturating_sub(*began).as_secs_f64().max(0.001);
                #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
                let rate = events as f64 / seconds;
                bar.set_position(bytes);
                bar.set_message(format!("{events} events, {rate:.0}/s, {distinct} distinct"));
            }
            Self::Json { next, began } if now >= *next => {
                *next = now + LINE;
                let line = serde_json::json!({
                    "seconds": now.saturating_sub(*began).as_secs_f64(),
                    "bytes": bytes,
                    "total_bytes": logs.total_bytes(),
                    "events": events,
                    "distinct": distinct,
                    "rejected": rejected,
                    "retries": replaying.counters.errors_retries.get(),
                });
                // standard error may be gone
                let _ = writeln!(stderr(), "{line}");
            }
            Self::Json { .. } | Self::Nothing => {}
        }
    }

    /// Takes it away.
    pub fn finish(&self) {
        if let Self::Bar { bar, .. } = self {
            bar.finish_and_clear();
        }
    }
}
