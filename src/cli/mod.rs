//! The command line: what users type, and what each command does.

mod args;
mod asked;
mod banner;
mod check;
mod exit;
mod fingerprint;
mod journal;
mod output;
mod serve;
mod show;
mod top;

use std::process::ExitCode;

use clap::Parser;

pub use self::args::{Args, Command};

/// Parses the process's arguments and environment and runs what they ask for.
pub fn run() -> ExitCode {
    let args = Args::parse();
    crate::logging::start(&args.log);
    abort_on_panic();
    match args.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&args.serve),
        Command::Check => check::run(&args.serve),
        Command::Fingerprint(of) => fingerprint::run(&of),
        Command::Journal(of) => journal::run(&args.serve.stores, &of),
        Command::Show(of) => show::run(&of),
        Command::Top(of) => top::run(&of),
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
