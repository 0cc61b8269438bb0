//! What people type after `errsift replay`.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use errsift_ops::{
    log::{Assumed, Format as TextFormat, Level, Year},
    timestamp::Timestamp,
};
use sha2::{Digest, Sha256};

use super::cluster::ClusterArgs;
use crate::{
    replay::{input::Input, logs::Asked},
    settings::TableSettings,
};

/// Which logs to replay, and how.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Files, directories with files, patterns such as 'logs/*.gz', or `-` for standard input;
    /// plain, gzip or zstd. Replayed in this order
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// How they are written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,

    /// Leave out records below this level, from trace, debug, info, warning, error and fatal;
    /// those of unknown level are kept
    #[arg(long, value_parser = level, value_name = "LEVEL")]
    pub level: Option<Level>,

    /// Time of records that have none, as 2024-05-17T09:00:00Z, or now; without it they are
    /// rejected
    #[arg(long, value_parser = default_time, value_name = "TIME")]
    pub default_time: Option<DefaultTime>,

    /// How the lines of text logs are written, for forms that are not recognised: a regular
    /// expression with groups named as docs/logs.md says
    #[arg(long, value_parser = pattern, value_name = "PATTERN")]
    pub pattern: Option<String>,

    /// Year of dates that have none, as in syslog; else the last in which the log is not of the
    /// future
    #[arg(long, value_parser = clap::value_parser!(i32).range(1970..=9999), value_name = "YEAR")]
    pub year: Option<i32>,

    /// Zone of times in text logs that name none, as an offset such as +02:00
    #[arg(long, default_value = "+00:00", value_parser = utc_offset, allow_hyphen_values = true,
          value_name = "OFFSET")]
    pub utc_offset: i32,

    /// Service of records that name none
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,

    /// Environment of records that name none
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,

    /// Release of records that name none
    #[arg(long, value_name = "NAME")]
    pub release: Option<String>,

    /// Know the log by this name instead of by its first 64 KiB; for one FILE
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,

    /// Take the last record of a log also if it does not end: nothing will be added to it
    #[arg(long = "final")]
    pub is_final: bool,

    /// Write nothing, and print what would be counted of the whole logs, the loudest first
    #[arg(long)]
    pub dry_run: bool,

    /// Errors that --dry-run prints: 1 to 10000
    #[arg(long, default_value = "20", value_parser = top, value_name = "N")]
    pub top: NonZeroUsize,

    /// Append records that are not counted to this file, as JSON lines with where and why
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// How to show progress, on standard error
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub progress: Progress,

    /// Print the summary as one JSON document
    #[arg(long)]
    pub json: bool,

    /// Threads that read and fold: 1 to 64; one for each core if not given
    #[arg(long, value_parser = workers, value_name = "N")]
    pub workers: Option<NonZeroUsize>,

    /// Several processes.
    #[command(flatten, next_help_heading = "Several processes")]
    pub cluster: ClusterArgs,

    /// Bytes between two chunks
    #[arg(long, default_value = "262144", hide = true, value_name = "BYTES")]
    pub chunk_bytes: NonZeroU64,

    /// Bytes between two ranges, which are applied as one
    #[arg(long, default_value = "1073741824", hide = true, value_name = "BYTES")]
    pub range_bytes: NonZeroU64,

    /// Where to count.
    #[command(flatten, next_help_heading = "Stores")]
    pub tables: TableSettings,
}

impl ReplayArgs {
    /// A hash of everything that decides what is read, how it is cut and what it becomes: alike in
    /// all processes of a replay.
    pub fn digest(&self, inputs: &[Input], workers: NonZeroUsize) -> [u8; 32] {
        let Self { format, level, default_time, pattern, year, utc_offset, .. } = self;
        let Self { service, environment, release, source, is_final, .. } = self;
        let Self { chunk_bytes, range_bytes, .. } = self;
        let read =
            format!("{format:?} {level:?} {default_time:?} {pattern:?} {year:?} {utc_offset}");
        let filled = format!("{service:?} {environment:?} {release:?} {source:?} {is_final}");
        let cut =
            format!("{chunk_bytes} {range_bytes} {workers} {} {inputs:?}", self.cluster.processes);
        let version = env!("CARGO_PKG_VERSION");
        Sha256::digest(format!("{version} {read} {filled} {cut}")).into()
    }
}

/// How a log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// What it looks like
    #[default]
    Auto,
    /// A JSON object a line, with the fields of POST /errors/log
    Ndjson,
    /// A JSON array of such objects
    Json,
    /// Lines of text, in any of the forms that are recognised
    Text,
}

impl Format {
    /// `None` to find out.
    pub fn form(self) -> Option<Asked> {
        match self {
            Self::Auto => None,
            Self::Ndjson => Some(Asked::Ndjson),
            Self::Json => Some(Asked::Array),
            Self::Text => Some(Asked::Text),
        }
    }
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A bar on a terminal, else nothing
    #[default]
    Auto,
    /// A bar
    Bar,
    /// A JSON line every second
    Json,
    /// Nothing
    None,
}

/// The time of records without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultTime {
    /// When the replay starts.
    Now,
    /// A time.
    At(Timestamp),
}

fn default_time(text: &str) -> Result<DefaultTime, String> {
    if text == "now" {
        return Ok(DefaultTime::Now);
    }
    let at = Timestamp::parse_rfc3339(text).map(DefaultTime::At);
    at.ok_or_else(|| "expected a time such as 2024-05-17T09:00:00Z, or now".to_owned())
}

fn level(text: &str) -> Result<Level, String> {
    let expected = "expected trace, debug, info, warning, error or fatal";
    Level::of_word(text).ok_or_else(|| expected.to_owned())
}

fn pattern(text: &str) -> Result<String, String> {
    let assumed = Assumed { year: Year::Is(1970), utc_offset_seconds: 0 };
    let read = TextFormat::from_pattern(text, &assumed);
    read.map(|_| text.to_owned()).map_err(|fault| fault.to_string())
}

/// Seconds east of UTC.
fn utc_offset(text: &str) -> Result<i32, String> {
    let read = || {
        let (sign, rest) = match text.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let number = |digits: &str, below: i32| {
            let is_two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|number: &i32| is_two && *number < below)
        };
        Some(sign * (number(hours, 24)? * 3600 + number(minutes, 60)? * 60))
    };
    read().ok_or_else(|| "expected an offset such as +02:00 or -05:30".to_owned())
}

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= 64);
    number.ok_or_else(|| "expected a number from 1 to 64".to_owned())
}

fn top(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= 10_000);
    number.ok_or_else(|| "expected a number from 1 to 10000".to_owned())
}
