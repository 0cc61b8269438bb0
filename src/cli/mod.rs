//! The command line: what users type, and what each command does.

mod admin;
mod args;
mod banner;
mod check;
mod exit;
mod key;
mod serve;

use std::process::ExitCode;

use clap::Parser;

pub use self::args::{Args, Command};

/// Parses the process's arguments and environment and runs what they ask for.
pub fn run() -> ExitCode {
    let args = Args::parse();
    crate::logging::start(&args.log, args.serve.log.log_format);
    abort_on_panic();
    match args.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&args.serve),
        Command::Check => check::run(&args.serve),
        Command::Key(wanted) => key::run(&wanted),
    }
}

/// A thread that panicked leaves a broken promise behind, and the others would not hear of it: the
/// process ends at once, and its journal has everything that was acknowledged.
fn abort_on_panic() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        tracing::error!(%panic, "a thread panicked, aborting");
        std::process::abort();
    }));
}
