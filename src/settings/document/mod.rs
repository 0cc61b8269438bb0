//! What is written about settings, made from their definition.

mod example;
mod reference;

pub use self::{example::example, reference::reference};

use super::resolve::Setting;

/// Values as `errsift.toml` has them: a list, a switch, a number or a string.
pub fn literal(setting: &Setting, values: &[String]) -> String {
    if setting.is_list() {
        let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
        return format!("[{}]", quoted.join(", "));
    }
    let value = values.first().map_or("", String::as_str);
    let is_number = value.parse().is_ok_and(|number: i64| number.to_string() == value);
    let is_bare = is_number || (setting.is_switch() && matches!(value, "true" | "false"));
    if is_bare { value.to_owned() } else { format!("{value:?}") }
}

/// Settings under their headings, in the order in which each heading comes first.
fn grouped(settings: &[Setting]) -> Vec<(&str, Vec<&Setting>)> {
    let mut groups: Vec<(&str, Vec<&Setting>)> = Vec::new();
    for setting in settings {
        let heading = setting.arg().get_help_heading().unwrap_or("Further");
        match groups.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, group)) => group.push(setting),
            None => groups.push((heading, vec![setting])),
        }
    }
    groups
}

/// What `--help` says.
fn help(setting: &Setting) -> String {
    let arg = setting.arg();
    let help = arg.get_long_help().or_else(|| arg.get_help());
    help.map(ToString::to_string).unwrap_or_default()
}

/// The values to choose from, each with what it means; none where there is no such choice.
fn choices(setting: &Setting) -> Vec<(String, String)> {
    let values = setting.arg().get_possible_values().into_iter();
    values
        .filter(|value| !setting.is_switch() && !value.is_hide_set())
        .map(|value| {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            (value.get_name().to_owned(), help)
        })
        .collect()
}

/// The default as `errsift.toml` would have it, an empty list too; `None` if it is not set.
fn default(setting: &Setting) -> Option<String> {
    let values = setting.arg().get_default_values().iter();
    let values: Vec<String> =
        values.map(|value| value.as_os_str().to_string_lossy().into_owned()).collect();
    (!values.is_empty() || setting.is_list()).then(|| literal(setting, &values))
}

/// What stands for a value.
fn placeholder(setting: &Setting) -> String {
    let names = setting.arg().get_value_names().unwrap_or_default();
    names.first().map_or_else(|| "VALUE".to_owned(), ToString::to_string)
}
