//! `errsift check`: do the stores keep what is promised?

use std::process::ExitCode;

use super::{exit, serve::runtime};
use crate::{
    check::{Check, Verdict},
    settings::CheckSettings,
    stores::Backend,
};

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
    for (store, answer) in backend.check() {
        match answer {
            Ok(checks) => {
                for check in checks {
                    println!("{}", line(store, &check));
                    if check.verdict != Verdict::Ok {
                        code = code.max(exit::WEAKER);
                    }
                }
            }
            Err(reason) => {
                println!("{store:<9} does not answer: {reason}");
                code = exit::UNAVAILABLE;
            }
        }
    }
    ExitCode::from(code)
}

fn line(store: &str, check: &Check) -> String {
    let Check { name, value, verdict, remedy } = check;
    let verdict = verdict.to_string();
    let line = format!("{store:<9} {verdict:<18} {name} = {value}");
    if remedy.is_empty() { line } else { format!("{line}   mend: {remedy}") }
}
