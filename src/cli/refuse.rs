//! Settings that cannot be used, told all at once.

use std::process::ExitCode;

use clap::{ArgMatches, Command, FromArgMatches};

use super::{exit, serve::runtime};
use crate::{
    settings::{
        StoreSettings,
        resolve::{Origin, Refused, passwords},
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
    let named: Vec<&String> = wrong.faults.iter().filter_map(|fault| fault.flag.as_ref()).collect();
    let mut stores = wrong.rest(command).map_or_else(Vec::new, |rest| stores(&rest));
    // a value that is named already was left out, and others may only need it
    stores.retain(|line| !named.iter().any(|flag| line.contains(flag.as_str())));
    let all_typed =
        stores.is_empty() && wrong.faults.iter().all(|fault| fault.origin == Origin::Flag);
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

/// What is wrong with the stores' settings, each right by itself; nothing for a command that has
/// none.
pub fn stores(matches: &ArgMatches) -> Vec<String> {
    let mut chosen = matches;
    while let Some((_, under)) = chosen.subcommand() {
        chosen = under;
    }
    if chosen.try_contains_id("redis_url").is_err() {
        return Vec::new();
    }
    let (Ok(settings), Ok(runtime)) = (StoreSettings::from_arg_matches(chosen), runtime()) else {
        return Vec::new();
    };
    Backend::new(&settings, runtime.handle()).err().map_or_else(Vec::new, |wrong| wrong.0)
}
