//! A commented `errsift.toml`.

use std::fmt::Write;

use super::{choices, default, grouped, help, literal, placeholder};
use crate::settings::resolve::Setting;

/// Characters of a line.
const LINE: usize = 96;

/// A file with every setting as it is by default, commented out: it loads as it is, and changes
/// nothing.
pub fn example(settings: &[Setting]) -> String {
    let mut text = "# Settings of errsift. A flag beats its variable, a variable beats this file.\n\
                    # Each setting is shown with its default; remove the # before one to change it.\n"
        .to_owned();
    for (heading, settings) in grouped(settings) {
        let _ = writeln!(text, "\n# ---- {heading} ----");
        for setting in settings.into_iter().filter(|setting| !setting.is_config()) {
            entry(&mut text, setting);
        }
    }
    text
}

fn entry(text: &mut String, setting: &Setting) {
    text.push('\n');
    text.push_str(&comment(&help(setting)));
    for (name, help) in choices(setting) {
        text.push_str(&comment(&format!("- {name}: {help}")));
    }
    if setting.is_secret() {
        let variable = setting.file_variable();
        text.push_str(&comment(&format!("A secret: better in a file named by {variable}")));
    }
    let value = default(setting).unwrap_or_else(|| {
        text.push_str("# Not set by default\n");
        literal(setting, &[placeholder(setting)])
    });
    let _ = writeln!(text, "#{} = {value}", setting.key());
}

fn comment(text: &str) -> String {
    let mut lines = String::new();
    for paragraph in text.lines() {
        let mut line = "#".to_owned();
        for word in paragraph.split_whitespace() {
            if line.len() + 1 + word.len() > LINE {
                lines.push_str(&line);
                lines.push('\n');
                "#".clone_into(&mut line);
            }
            line.push(' ');
            line.push_str(word);
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}
