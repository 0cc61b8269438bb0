//! A commented `errsift.toml`.

use std::fmt::Write;

use super::{choices, default, help, literal, placeholder};
use crate::settings::resolve::Setting;

/// Characters of a line.
const LINE: usize = 96;

/// A file with every setting as it is by default, commented out: it loads as it is, and changes
/// nothing.
pub fn example(settings: &[Setting]) -> String {
    let mut text = "# Settings of errsift. A flag beats its variable, a variable beats this file.\n\
                    # Each setting is shown with its default; remove the # before one to change it.\n"
        .to_owned();
    let mut heading = None;
    for setting in settings.iter().filter(|setting| !setting.is_config()) {
        let here = setting.arg().get_help_heading();
        if here != heading {
            heading = here;
            let _ = writeln!(text, "\n# ---- {} ----", here.unwrap_or("Further"));
        }
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
    text
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
