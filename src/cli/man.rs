//! `errsift man`: the man pages, from the definition of the command line.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Args;
use clap_mangen::{Man, generate_to};

use super::{args::command, exit};

/// Where to.
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// Directory for the pages of errsift and of each command, made if need be; without one, the page of errsift is
    /// printed
    pub dir: Option<PathBuf>,
}

/// Prints one page or writes them all. Exits 0, or 71 if they cannot be written.
pub fn run(args: &ManArgs) -> ExitCode {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        // a vector takes everything, and whoever stopped reading has seen enough
        let _ = Man::new(command()).render(&mut page);
        let _ = std::io::stdout().write_all(&page);
        return ExitCode::SUCCESS;
    };
    match std::fs::create_dir_all(dir).and_then(|()| generate_to(command(), dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("errsift: {}: {fault}", dir.display());
            ExitCode::from(exit::OS)
        }
    }
}
