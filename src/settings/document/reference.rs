//! The reference of all settings, in Markdown.

use std::fmt::Write;

use clap::Command;

use super::{choices, default, grouped, help, placeholder};
use crate::settings::resolve::{Setting, all};

/// What holds for all settings.
const INTRODUCTION: &str = include_str!("introduction.md");
/// What a wrong one leads to.
const FAULTS: &str = include_str!("faults.md");

/// The page on settings, from the definition of the command line.
pub fn reference(command: &Command) -> String {
    let mut page = INTRODUCTION.to_owned();
    for (heading, settings) in grouped(&all(command)) {
        let _ = write!(page, "\n## {heading}\n");
        for setting in settings {
            section(&mut page, command, setting);
        }
    }
    page.push('\n');
    page.push_str(FAULTS);
    page
}

fn section(page: &mut String, command: &Command, setting: &Setting) {
    let key = if setting.is_config() { "config".to_owned() } else { setting.key() };
    let _ = write!(page, "\n### `{key}`\n\n{}.\n\n", escaped(&help(setting)));
    for (name, help) in choices(setting) {
        let _ = writeln!(page, "- `{name}`: {}", escaped(&help));
    }
    if !choices(setting).is_empty() {
        page.push('\n');
    }
    let value = match (setting.is_switch(), setting.is_list()) {
        (true, _) => "`[=true|false]`".to_owned(),
        (false, true) => format!("` {}` (may be repeated)", placeholder(setting)),
        (false, false) => format!("` {}`", placeholder(setting)),
    };
    let value = value.trim_start_matches('`');
    let _ = write!(
        page,
        "| flag | variable | default | used by |\n|---|---|---|---|\n\
         | `{}{} | `{}`{} | {} | {} |\n",
        setting.flag(),
        value.replace('|', "\\|"),
        setting.variable(),
        if setting.is_secret() { ", a secret" } else { "" },
        default(setting).map_or_else(|| "not set".to_owned(), |default| format!("`{default}`")),
        users(command, setting).join(", "),
    );
}

/// The commands that use a setting; `config` shows them all.
fn users(command: &Command, setting: &Setting) -> Vec<String> {
    let mut users = Vec::new();
    for under in command.get_subcommands().filter(|under| under.get_name() != "config") {
        if all(under).iter().any(|used| used.variable() == setting.variable()) {
            users.push(format!("`{}`", under.get_name()));
        }
    }
    users
}

fn escaped(text: &str) -> String {
    let text = text.trim_end_matches('.');
    text.replace('<', "&lt;").replace('[', "\\[").replace(']', "\\]")
}
