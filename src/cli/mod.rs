//! The command line: what users type, and what each command does.

mod admin;
mod args;
mod asked;
mod banner;
mod check;
mod completions;
mod config;
mod dead;
mod exit;
mod export;
mod fingerprint;
mod journal;
mod key;
mod man;
mod output;
mod panicked;
mod refuse;
mod replay;
mod serve;
mod show;
mod standby;
mod starting;
mod top;

use std::{ffi::OsString, process::ExitCode};

use clap::{FromArgMatches, ValueEnum as _};

pub use self::args::{Args, Command};
use crate::settings::{
    LogFormat,
    resolve::{Found, Outside, resolve},
};

/// Reads the process's arguments, environment and file of settings, and runs what they ask for.
pub fn run() -> ExitCode {
    let command = args::command();
    let words: Vec<OsString> = std::env::args_os().collect();
    let settings = match resolve(&command, &words, &Outside::process()) {
        Ok(settings) => settings,
        Err(refused) => return refuse::refused(&command, refused),
    };
    let args = match Args::from_arg_matches(&settings.matches) {
        Ok(args) => args,
        Err(error) => return refuse::typed(&error),
    };
    let format =
        value(&settings.found, "log-format").and_then(|f| LogFormat::from_str(f, true).ok());
    crate::logging::start(
        value(&settings.found, "log").unwrap_or("info"),
        format.unwrap_or_default(),
    );
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    panicked::end_on_panic();
    match args.command.unwrap_or_else(|| Command::Serve(Box::new(args.serve))) {
        Command::Serve(serve) => serve::run(&serve),
        Command::Check(check) => check::run(&check),
        Command::Top(of) => top::run(&of),
        Command::Show(of) => show::run(&of),
        Command::Journal(of) => journal::run(&of),
        Command::Dead(of) => dead::run(&of),
        Command::Export(args) => export::run(&args),
        Command::Replay(of) => replay::run(&of),
        Command::Fingerprint(of) => fingerprint::run(&of),
        Command::Key(wanted) => key::run(&wanted),
        Command::Config(args) => config::run(&args, &settings),
        Command::Completions { shell } => completions::run(shell),
        Command::Man(args) => man::run(&args),
    }
}

/// A setting's value; commands without settings have none, and log nothing that matters.
fn value<'a>(found: &'a [Found], key: &str) -> Option<&'a str> {
    let found = found.iter().find(|found| found.setting.key() == key)?;
    found.values.first()?.to_str()
}
