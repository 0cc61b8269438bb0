//! How to log.

use clap::{Args, ValueEnum};

/// The log's shape; what is logged is the command line's own business.
#[derive(Clone, Debug, Args)]
pub struct LogSettings {
    /// How the log is written: human on a terminal and json off one, or always the one said
    #[arg(
        long,
        global = true,
        env = "ERRSIFT_LOG_FORMAT",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
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
