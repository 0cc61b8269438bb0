//! Settings that cannot be used, told all at once.

use std::process::ExitCode;

use clap::{Command, FromArgMatches};

use super::{exit, serve::runtime};
use crate::{
    settings::{
        StoreSettings,
        resolve::{Origin, Refused, Wrong, passwords},
    },
    stores::Backend,
};

/// Exits as clap would for a command line that it cannot read or that asks for help: 2 or 0.
pub fn typed(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let masked = passwords(&text);
    if masked == text || !error.use_stderr() {
        // nobody may be listening
        let _ = error.print();
    } else {
        eprint!("{masked}");
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE))
}

/// Names everything that is wrong, a line each. Exits 78, or 2 if all of it was typed.
pub fn refused(command: &Command, refused: Refused) -> ExitCode {
    let wrong = match refused {
        Refused::Typed(error) => return typed(&error),
        Refused::Wrong(wrong) => wrong,
    };
    let stores = stores(command, &wrong);
    let all_typed = wrong.faults.iter().all(|fault| fault.origin == Origin::Flag);
    for warning in &wrong.warnings {
        eprintln!("errsift: warning: {warning}");
    }
    for fault in &wrong.faults {
        eprintln!("errsift: {fault}");
    }
    for line in &stores {
        eprintln!("errsift: {line}");
    }
    ExitCode::from(if all_typed { exit::USAGE } else { exit::CONFIG })
}

/// What is wrong with the stores' settings beside that. What may follow from a value that is named
/// already is left out.
fn stores(command: &Command, wrong: &Wrong) -> Vec<String> {
    let Some(matches) = wrong.rest(command) else { return Vec::new() };
    let mut chosen = &matches;
    while let Some((_, under)) = chosen.subcommand() {
        chosen = under;
    }
    if chosen.try_contains_id("redis_url").is_err() {
        return Vec::new();
    }
    let (Ok(settings), Ok(runtime)) = (StoreSettings::from_arg_matches(chosen), runtime()) else {
        return Vec::new();
    };
    let Err(more) = Backend::new(&settings, runtime.handle()) else { return Vec::new() };
    let named: Vec<&String> = wrong.faults.iter().filter_map(|fault| fault.flag.as_ref()).collect();
    let follows = |line: &String| named.iter().any(|flag| line.contains(flag.as_str()));
    more.0.into_iter().filter(|line| !follows(line)).collect()
}
