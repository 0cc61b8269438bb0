//! `errsift check`: do the stores keep what is promised?

mod ledger;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use errsift_ops::id::Shard;
use errsift_pipeline::ports::clock::Clock as _;

use super::{exit, output, serve::open};
use crate::{check::Verdict, clock::SystemClock, settings::CheckSettings, stores::Backend};

/// Prints one line per setting; exits 0 if all are ok, 1 if one is not, 69 if a store does not
/// answer, 78 if the settings of errsift itself are wrong. With `--ledger` a line per number, and 1
/// if an event is missing or counted twice.
pub fn run(settings: &CheckSettings) -> ExitCode {
    let (_runtime, backend) = match open(&settings.stores) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    if settings.ledger {
        return ledger::run(&backend, Shard(settings.stores.shard));
    }
    output::printed(print(&backend, &mut output::stdout()))
}

fn print(backend: &Backend, out: &mut impl Write) -> io::Result<u8> {
    let mut code = 0;
    for (store, answer) in backend.check(SystemClock::start().wall()) {
        match answer {
            Ok(checks) => {
                for check in checks {
                    writeln!(out, "{}", check.line(store))?;
                    if check.verdict != Verdict::Ok {
                        code = code.max(exit::WEAKER);
                    }
                }
            }
            Err(reason) => {
                writeln!(out, "{store:<8}  does not answer: {reason}")?;
                code = exit::UNAVAILABLE;
            }
        }
    }
    out.flush()?;
    Ok(code)
}
