//! The command line in the shapes that resolution needs: as documented, as typed, and with what
//! was found filled in.

use std::ffi::{OsStr, OsString};

use clap::{
    Arg, ArgAction, Args, Command,
    builder::{PossibleValue, Resettable, StyledStr, TypedValueParser},
};

use super::{
    Found,
    setting::{Setting, detached, map},
};
use crate::settings::ProcessSettings;

/// The shape that users see: each command with settings takes those of the process too, and a
/// switch can be turned off, so that a flag can beat a variable.
pub fn documented(command: Command) -> Command {
    let settings = command.get_arguments().filter_map(Setting::of).count();
    let command = if settings == 0 { command } else { with_process(command) };
    let command = command.mut_args(|arg| match Setting::of(&arg) {
        Some(setting) if setting.is_switch() => switch(arg),
        _ => arg,
    });
    command.mut_subcommands(documented)
}

fn with_process(command: Command) -> Command {
    // the words about the command are its own
    let about = Resettable::from(command.get_about().cloned());
    let long_about = Resettable::from(command.get_long_about().cloned());
    ProcessSettings::augment_args(command).about(about).long_about(long_about)
}

fn switch(arg: Arg) -> Arg {
    let arg = match arg.get_action() {
        ArgAction::SetTrue => arg.default_value("false").hide_default_value(true),
        _ => arg,
    };
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_name("true|false")
        .value_parser(on_or_off)
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// The shape that only says what was typed: it takes any value, so that all wrong ones can be
/// named, and no variable.
pub fn typed(command: Command) -> Command {
    map(command, &|arg, setting| {
        let help = |text: &StyledStr| format!("{text} [env: {}]", setting.variable());
        let (short, long) = (arg.get_help().map(help), arg.get_long_help().map(help));
        let values = Anything(arg.get_possible_values());
        let arg = detached(arg).value_parser(values).required(false);
        let arg = short.into_iter().fold(arg, Arg::help);
        long.into_iter().fold(arg, Arg::long_help)
    })
}

/// Takes every value; the possible ones are there for the help.
#[derive(Clone)]
struct Anything(Vec<PossibleValue>);

impl TypedValueParser for Anything {
    type Value = OsString;

    fn parse_ref(
        &self,
        _: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<OsString, clap::Error> {
        Ok(value.to_owned())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let shown = !self.0.is_empty();
        shown.then(|| Box::new(self.0.iter().cloned()) as Box<dyn Iterator<Item = PossibleValue>>)
    }
}

/// The shape that gives the values: what was found stands where the defaults stood.
pub fn filled(command: Command, found: &[Found]) -> Command {
    map(command, &|arg, setting| {
        let arg = detached(arg);
        let here = found.iter().find(|found| found.setting.variable() == setting.variable());
        match here {
            Some(found) => arg.required(false).default_values(&found.values),
            None => arg,
        }
    })
}
