//! The `errsift` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _obeyed = errsift_pipeline::failpoints::obey();
    errsift::cli::run()
}
