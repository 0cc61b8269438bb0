//! One setting, as clap's definition of its flag describes it.

use std::collections::BTreeSet;

use clap::{Arg, ArgAction, ArgMatches, Command, builder::Resettable, parser::ValueSource};

/// What every variable's name begins with.
pub const PREFIX: &str = "ERRSIFT_";
/// What a variable's name ends with when its value is a file that holds the setting.
pub const FILE_SUFFIX: &str = "_FILE";

/// A flag that has a variable. The definition in the `clap` structs is the only one: its long
/// name, its variable, its value parser, and whether its values are hidden, which makes it a
/// secret.
#[derive(Clone, Debug)]
pub struct Setting {
    arg: Arg,
    flag: String,
    variable: String,
}

impl Setting {
    /// The setting behind an argument; `None` for arguments that are only typed.
    pub fn of(arg: &Arg) -> Option<Self> {
        let variable = arg.get_env()?.to_str()?.to_owned();
        Some(Self { flag: format!("--{}", arg.get_long()?), variable, arg: arg.clone() })
    }

    /// clap's definition.
    pub fn arg(&self) -> &Arg {
        &self.arg
    }

    /// As typed: `--flush-interval`.
    pub fn flag(&self) -> &str {
        &self.flag
    }

    /// In the environment: `ERRSIFT_FLUSH_INTERVAL`.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// The variable that names a file with the value.
    pub fn file_variable(&self) -> String {
        format!("{}{FILE_SUFFIX}", self.variable)
    }

    /// In `errsift.toml`: `flush-interval`. The variable's name, because a list has a flag in the
    /// singular and a variable in the plural.
    pub fn key(&self) -> String {
        let name = self.variable.strip_prefix(PREFIX).unwrap_or(&self.variable);
        name.to_ascii_lowercase().replace('_', "-")
    }

    /// Whether its value is never to be said.
    pub fn is_secret(&self) -> bool {
        self.arg.is_hide_env_values_set()
    }

    /// Whether it takes several values.
    pub fn is_list(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::Append)
    }

    /// Whether it is on or off.
    pub fn is_switch(&self) -> bool {
        self.arg.get_value_parser().type_id() == std::any::TypeId::of::<bool>()
    }

    /// Whether it says where the file of settings is, and so cannot stand in it.
    pub fn is_config(&self) -> bool {
        self.arg.get_id() == "config"
    }

    /// Whether it was typed in this part of the command line.
    pub fn is_typed(&self, matches: &ArgMatches) -> bool {
        let source = matches.value_source(self.arg.get_id().as_str());
        source == Some(ValueSource::CommandLine)
    }
}

/// The settings of a command and of the commands under it, each once, in the order of definition.
pub fn all(command: &Command) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut known = BTreeSet::new();
    let mut commands = vec![command];
    while let Some(command) = commands.pop() {
        for setting in command.get_arguments().filter_map(Setting::of) {
            if known.insert(setting.variable.clone()) {
                settings.push(setting);
            }
        }
        let under: Vec<_> = command.get_subcommands().collect();
        commands.extend(under.into_iter().rev());
    }
    settings
}

/// The command with each setting changed, in the commands under it as well.
pub fn map(command: Command, change: &impl Fn(Arg, &Setting) -> Arg) -> Command {
    let changed = command.mut_args(|arg| match Setting::of(&arg) {
        Some(setting) => change(arg, &setting),
        None => arg,
    });
    changed.mut_subcommands(|under| map(under, change))
}

/// Takes the variable away: clap would read and judge it, also when a flag is given.
pub fn detached(arg: Arg) -> Arg {
    arg.env(Resettable::<clap::builder::OsStr>::Reset)
}
