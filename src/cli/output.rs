//! What a command prints, and how it ends.

use std::{
    io::{self, BufWriter, ErrorKind, StdoutLock},
    process::ExitCode,
};

use super::exit;

/// Standard output, locked and buffered: rows are many.
pub fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// The exit code of a command that printed: a reader that has gone, as `head` does, has seen what
/// it wanted.
pub fn printed(outcome: io::Result<u8>) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(exit::IO, &format!("standard output: {error}")),
    }
}

/// Says why on standard error, each line under errsift's name.
pub fn fail(code: u8, reason: &str) -> ExitCode {
    for line in reason.lines() {
        complain(line);
    }
    ExitCode::from(code)
}

/// One line on standard error, which may be gone.
pub fn complain(line: &str) {
    use io::Write as _;
    let _ = writeln!(io::stderr(), "errsift: {line}");
}
