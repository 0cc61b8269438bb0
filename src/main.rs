//! The `errsift` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    errsift::cli::run()
}
