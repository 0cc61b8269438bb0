//! `errsift config`: which settings hold, and where they came from.

use std::{fmt::Write as _, io::Write as _, process::ExitCode};

use clap::Args;

use super::{args::command, exit, refuse::stores};
use crate::settings::{
    document::{example, literal, reference},
    resolve::{Found, Resolved, all},
};

/// What to show.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// Print an errsift.toml with every setting, commented out, instead
    #[arg(long, exclusive = true)]
    pub example: bool,

    /// Print the reference of all settings, in Markdown, instead
    #[arg(long, exclusive = true)]
    pub reference: bool,
}

/// Prints one line per setting, `name = value` and where it came from, or what was asked for
/// instead. Exits 0, or 78 if the settings do not fit each other.
pub fn run(args: &ConfigArgs, settings: &Resolved) -> ExitCode {
    let mut wrong = Vec::new();
    let text = if args.example {
        example(&all(&command()))
    } else if args.reference {
        reference(&command())
    } else {
        wrong = stores(&settings.matches);
        listing(&settings.found)
    };
    // whoever stopped reading has seen enough
    let _ = std::io::stdout().write_all(text.as_bytes());
    for line in &wrong {
        eprintln!("errsift: {line}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::CONFIG) }
}

/// Columns that values are aligned in; a longer one pushes its origin aside.
const ALIGNED_MAX: usize = 72;

fn listing(found: &[Found]) -> String {
    let keys: Vec<String> = found.iter().map(|found| found.setting.key()).collect();
    let key_width = keys.iter().map(String::len).max().unwrap_or(0);
    let mut rows = Vec::with_capacity(found.len());
    for (found, key) in found.iter().zip(&keys) {
        let values = found.shown();
        let value = if values.is_empty() && !found.setting.is_list() {
            "(not set)".to_owned()
        } else {
            literal(&found.setting, &values)
        };
        rows.push((format!("{key:key_width$} = {value}"), found.origin.to_string()));
    }
    let widths = rows.iter().map(|(left, _)| left.chars().count());
    let width = widths.filter(|width| *width <= ALIGNED_MAX).max().unwrap_or(0);
    let mut text = String::new();
    for (left, origin) in rows {
        let _ = writeln!(text, "{left:width$}   {origin}");
    }
    text
}
