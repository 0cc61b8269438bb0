//! The command line as it is typed.

use clap::{Parser, Subcommand};

use super::{fingerprint::FingerprintArgs, journal::JournalArgs, show::ShowArgs, top::TopArgs};
use crate::settings::Serve;

/// Takes in error events over HTTP, answers when they are durable, folds repeats, and keeps exact
/// counts per error and 30-second window in MySQL or a file.
#[derive(Debug, Parser)]
#[command(name = "errsift", version)]
pub struct Args {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The settings of every command, before or behind its name.
    #[command(flatten)]
    pub serve: Serve,

    /// What to log: a level, or levels by module as in `info,errsift_pipeline=debug`
    #[arg(long, env = "ERRSIFT_LOG", default_value = "info", global = true, value_name = "FILTER")]
    pub log: String,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take in events until told to stop (the default)
    Serve,
    /// Look at the settings of the stores that durability depends on
    Check,
    /// Print the fingerprints of events, one JSON object a line
    Fingerprint(FingerprintArgs),
    /// Look into the journal, beside a running server if there is one
    Journal(JournalArgs),
    /// Show one error of a running server
    Show(ShowArgs),
    /// Watch the loudest errors of a running server
    Top(TopArgs),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_command_and_settings_stand_anywhere() {
        let parse = |words: &[&str]| Args::try_parse_from([&["errsift"], words].concat());
        let bare = parse(&["--workers", "3"]).unwrap();
        assert!(bare.command.is_none());
        assert_eq!(bare.serve.workers.get(), 3);
        for words in [["serve", "--flush-interval", "1s"], ["--flush-interval", "1s", "serve"]] {
            let named = parse(&words).unwrap();
            assert!(matches!(named.command, Some(Command::Serve)));
            assert_eq!(named.serve.flush_interval, Duration::from_secs(1));
        }
        assert!(parse(&["--workers", "0"]).is_err());
    }
}
