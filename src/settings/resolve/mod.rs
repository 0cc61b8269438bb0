//! Settings from flags, `ERRSIFT_…` variables and `errsift.toml`: the first that says something
//! holds.
//!
//! `clap`'s definition of the flags is the only list of settings there is, and each flag's own
//! parser judges its value wherever it came from. clap reads no variables here: it would judge
//! one that a flag overrides, and stop at the first that is wrong. So the command line is parsed
//! once for what was typed, each setting of the chosen command is looked for and judged, and when
//! nothing is wrong the command line is parsed again with what was found in place of the defaults.

mod fault;
mod file;
mod judge;
mod mask;
mod nearest;
mod outside;
mod search;
mod setting;
mod shape;
#[cfg(test)]
mod tests;

pub use self::{
    fault::{Fault, Origin},
    mask::passwords,
    outside::Outside,
    search::Found,
    setting::{Setting, all},
    shape::documented,
};

use std::ffi::OsString;

use clap::{ArgMatches, Command};

use self::{
    nearest::nearest,
    search::{Used, search},
    setting::PREFIX,
};

/// Settings that hold.
#[derive(Debug)]
pub struct Resolved {
    /// The command line, with what was found elsewhere filled in.
    pub matches: ArgMatches,
    /// Every setting of the chosen command, in the order of definition.
    pub found: Vec<Found>,
    /// Variables that look like errsift's and are not, one line each.
    pub warnings: Vec<String>,
}

/// Why there are no settings.
#[derive(Debug)]
pub enum Refused {
    /// The command line cannot be read, or asks for help.
    Typed(clap::Error),
    /// Settings are wrong.
    Wrong(Wrong),
}

/// Everything that is wrong with the settings, and what is not.
#[derive(Debug)]
pub struct Wrong {
    /// The faults, at least one.
    pub faults: Vec<Fault>,
    /// Variables that look like errsift's and are not, one line each.
    pub warnings: Vec<String>,
    good: Vec<Found>,
    path: Vec<String>,
}

impl Wrong {
    /// The settings with each wrong one left at its default, to see what else is wrong; `None` if
    /// there are none without them.
    pub fn rest(&self, command: &Command) -> Option<ArgMatches> {
        let words = [command.get_name().to_owned()].into_iter().chain(self.path.iter().cloned());
        shape::filled(command.clone(), &self.good).try_get_matches_from(words).ok()
    }
}

/// Finds the settings of the command that was typed; `command` is the [`documented`] one.
pub fn resolve(
    command: &Command,
    words: &[OsString],
    outside: &Outside,
) -> Result<Resolved, Refused> {
    let typed = shape::typed(command.clone()).try_get_matches_from(words);
    let typed = typed.map_err(Refused::Typed)?;
    let (path, used) = used(command, &typed);
    let known = all(command);
    let mut faults = Vec::new();
    let mut found = Vec::new();
    let mut warnings = Vec::new();
    if !used.is_empty() {
        warnings = strangers(outside, &known);
        let config = used.iter().find(|used| used.setting.is_config());
        let nothing = file::SettingsFile::default();
        let config = config.map(|config| search(config, outside, &nothing)).transpose();
        let config = config.unwrap_or_default().flatten();
        let (config, file, file_faults) = search::file(config.as_ref(), outside, &known);
        faults.extend(file_faults);
        for used in &used {
            let value = search(used, outside, &file);
            let usual = config.as_ref().filter(|_| used.setting.is_config());
            match value {
                Ok(value) => {
                    let value = value.or_else(|| usual.cloned());
                    found.push(value.unwrap_or_else(|| default(&used.setting)));
                }
                Err(more) => faults.extend(more),
            }
        }
    }
    if !faults.is_empty() {
        return Err(Refused::Wrong(Wrong { faults, warnings, good: found, path }));
    }
    let matches = shape::filled(command.clone(), &found).try_get_matches_from(words);
    Ok(Resolved { matches: matches.map_err(Refused::Typed)?, found, warnings })
}

fn default(setting: &Setting) -> Found {
    let values = setting.arg().get_default_values().iter();
    let values = values.map(|value| value.as_os_str().to_owned()).collect();
    Found { setting: setting.clone(), values, origin: Origin::Default }
}

/// The names of the chosen command, and the settings that it uses, each once.
fn used<'a>(command: &'a Command, typed: &'a ArgMatches) -> (Vec<String>, Vec<Used<'a>>) {
    let mut path = Vec::new();
    let mut used: Vec<Used<'a>> = Vec::new();
    let (mut command, mut typed) = (command, typed);
    loop {
        // an exclusive argument, such as one that prints an example, leaves no room for settings
        let exclusive = command.get_arguments().filter(|arg| arg.is_exclusive_set());
        let alone = exclusive.filter(|arg| is_typed(typed, arg)).count() > 0;
        let under = typed.subcommand();
        let unused = under.is_some() && command.is_args_conflicts_with_subcommands_set();
        if !alone && !unused {
            for setting in command.get_arguments().filter_map(Setting::of) {
                let twice =
                    used.iter().position(|used| used.setting.variable() == setting.variable());
                let used_here = Used { setting, command, typed };
                match twice {
                    Some(at) if used_here.setting.is_typed(typed) => used[at] = used_here,
                    Some(_) => {}
                    None => used.push(used_here),
                }
            }
        }
        let Some((name, matches)) = under else { return (path, used) };
        let Some(next) = command.find_subcommand(name) else { return (path, used) };
        path.push(name.to_owned());
        (command, typed) = (next, matches);
    }
}

fn is_typed(typed: &ArgMatches, arg: &clap::Arg) -> bool {
    let source = typed.value_source(arg.get_id().as_str());
    source == Some(clap::parser::ValueSource::CommandLine)
}

/// Variables that nobody reads: a slip in a name is silent otherwise.
fn strangers(outside: &Outside, known: &[Setting]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for setting in known {
        names.push(setting.variable().to_owned());
        if !setting.is_config() {
            names.push(setting.file_variable());
        }
    }
    let mut warnings = Vec::new();
    let bare = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let known: Vec<String> = names.iter().map(|name| bare(name)).collect();
    for name in outside.names().filter(|name| !names.iter().any(|known| known == name)) {
        let near = nearest(&bare(name), known.iter().map(String::as_str));
        warnings.push(match near {
            Some(near) => format!("{name} is no setting, did you mean {PREFIX}{near}?"),
            None => format!("{name} is no setting"),
        });
    }
    warnings
}
