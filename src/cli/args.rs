//! The command line as it is typed.

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use super::{
    config::ConfigArgs, dead::DeadArgs, export::ExportArgs, fingerprint::FingerprintArgs,
    journal::JournalArgs, key::KeyArgs, man::ManArgs, replay::ReplayArgs, show::ShowArgs,
    top::TopArgs,
};
use crate::settings::{
    CheckSettings, Serve,
    resolve::{all, documented},
};

/// Takes in error events over HTTP, answers when they are durable, folds repeats, and keeps exact
/// counts per error and 30-second window in MySQL or a file.
///
/// Without a command it serves. Settings come from flags, else from the variables named with them,
/// else from errsift.toml; `errsift config` shows which hold.
#[derive(Debug, Parser)]
#[command(name = "errsift", version, args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The settings of `serve`, when it is not said.
    #[command(flatten)]
    pub serve: Serve,
}

/// A command. Those with settings get `--log` and `--config` as well, and `config` gets the
/// settings of all.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take in events until told to stop (the default)
    Serve(Box<Serve>),
    /// Look at the settings of the stores that durability depends on
    Check(CheckSettings),
    /// Count the events of recorded logs, each once however often it is replayed
    Replay(Box<ReplayArgs>),
    /// Watch the loudest errors of a running server
    Top(TopArgs),
    /// Show one error of a running server
    Show(ShowArgs),
    /// Look into the journal, beside a running server if there is one
    Journal(JournalArgs),
    /// Look at what the tables refused, count it after all, or give it up
    Dead(DeadArgs),
    /// Write what the tables hold as NDJSON or CSV
    Export(ExportArgs),
    /// Print the fingerprints of events, one JSON object a line
    Fingerprint(FingerprintArgs),
    /// Make an API key, and the setting that lets it in
    Key(KeyArgs),
    /// Show the settings in force, each with where it came from
    Config(ConfigArgs),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages
    Man(ManArgs),
}

/// The whole command line, as users see it.
pub fn command() -> clap::Command {
    let command = documented(Args::command());
    let settings: Vec<_> = all(&command).iter().map(|setting| setting.arg().clone()).collect();
    command.mut_subcommand("config", |config| config.args(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_setting_has_its_names_and_marks() {
        for setting in all(&command()) {
            let variable = setting.variable().to_owned();
            let flag = format!("--{}", setting.key());
            let plural = |one: &str| match one.strip_suffix('y') {
                Some(stem) => format!("{stem}ies"),
                None => format!("{one}s"),
            };
            let plurals = [format!("{}s", setting.flag()), plural(setting.flag())];
            let listed = setting.is_list() && plurals.contains(&flag);
            assert!(setting.flag() == flag || listed, "{variable}");
            assert!(variable.starts_with("ERRSIFT_"), "{variable}");
            assert!(!variable.ends_with("_FILE"), "{variable} would be read as a file's name");
            assert!(setting.arg().get_help().is_some(), "{variable} has no help");
            assert!(!setting.arg().is_global_set(), "{variable} would stand in every command");
            let secret = ["PASSWORD", "SECRET", "TOKEN", "KEY", "KEYS"];
            let named = variable.split('_').any(|word| secret.contains(&word));
            let path = setting.arg().get_value_names().is_some_and(|names| names[0] == "FILE");
            assert!(!named || path || setting.is_secret(), "{variable}: mark it hide_env_values");
        }
    }
}
