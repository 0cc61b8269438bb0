//! What every command with settings takes: where the others stand, and what to log.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Settings of any process.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessSettings {
    /// File of settings: `errsift.toml` in the current directory, if there is one, when not given
    #[arg(long, env = "ERRSIFT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What to log: a level (error, warn, info, debug, trace, off), or levels by module as in
    /// `info,errsift_pipeline=debug`
    #[arg(long, env = "ERRSIFT_LOG", default_value = "info", value_parser = filter,
          value_name = "FILTER")]
    pub log: String,

    /// How the log is written: human on a terminal and json off one, or always the one said
    #[arg(long, env = "ERRSIFT_LOG_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// A way to write a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `human` on a terminal, `json` off one.
    #[default]
    Auto,
    /// One object a line.
    Json,
    /// For people.
    Human,
}

const FILTER_RANGE: &str = "expected error, warn, info, debug, trace or off, or levels by module \
                            as in info,errsift_pipeline=debug";

fn filter(text: &str) -> Result<String, String> {
    // a bare word that is no level would count as the name of a module, and silence the rest
    let words = text.split(',').filter(|word| !word.contains(['=', '[', ']', '{', '}']));
    for word in words {
        if word.is_empty() || word.parse::<LevelFilter>().is_err() {
            return Err(FILTER_RANGE.to_owned());
        }
    }
    let parsed = EnvFilter::try_new(text);
    parsed.map(|_| text.to_owned()).map_err(|_| FILTER_RANGE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_or_levels_by_module() {
        for good in ["info", "off", "info,errsift_pipeline=debug", "warn,errsift[flight]=trace"] {
            assert_eq!(filter(good), Ok(good.to_owned()));
        }
        for wrong in ["", "verbose", "info,errsift_pipeline", "errsift=loud", "info,,"] {
            assert_eq!(filter(wrong), Err(FILTER_RANGE.to_owned()), "{wrong}");
        }
    }
}
