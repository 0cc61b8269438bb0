//! `errsift completions`: what a shell offers at a tabulator.

use std::{io::Write, process::ExitCode};

use clap_complete::{Shell, generate};

use super::args::command;

/// Prints the script that a shell reads. Exits 0.
pub fn run(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    generate(shell, &mut command(), "errsift", &mut script);
    // whoever stopped reading has seen enough
    let _ = std::io::stdout().write_all(&script);
    ExitCode::SUCCESS
}
