//! `errsift check`: do the stores keep what is promised?

use std::process::ExitCode;

use errsift_pipeline::ports::clock::Clock as _;

use super::{exit, serve::runtime};
use crate::{check::Verdict, clock::SystemClock, settings::CheckSettings, stores::Backend};

/// Prints one line per setting; exits 0 if all are ok, 1 if one is not, 69 if a store does not
/// answer, 78 if the settings of errsift itself are wrong.
pub fn run(settings: &CheckSettings) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let backend = match Backend::new(&settings.stores, runtime.handle()) {
        Ok(backend) => backend,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(exit::CONFIG);
        }
    };
    let mut code = 0;
    for (store, answer) in backend.check(SystemClock::start().wall()) {
        match answer {
            Ok(checks) => {
                for check in checks {
                    println!("{}", check.line(store));
                    if check.verdict != Verdict::Ok {
                        code = code.max(exit::WEAKER);
                    }
                }
            }
            Err(reason) => {
                println!("{store:<8}  does not answer: {reason}");
                code = exit::UNAVAILABLE;
            }
        }
    }
    ExitCode::from(code)
}
