//! `errsift.toml`: flat, `name = value`, each name a setting's.

use std::{collections::BTreeMap, ffi::OsString, ops::Range};

use toml::de::{DeTable, DeValue};

use super::{
    fault::{Fault, Origin},
    nearest::nearest,
    setting::{PREFIX, Setting},
};

/// What a file of settings says, by setting.
#[derive(Debug, Default)]
pub struct SettingsFile {
    entries: BTreeMap<String, Entry>,
}

/// One setting in a file.
#[derive(Debug)]
pub struct Entry {
    /// Where it stands.
    pub origin: Origin,
    /// Its values, several for a list; the fault if its type is wrong.
    pub values: Result<Vec<OsString>, Fault>,
}

impl SettingsFile {
    /// Reads a file's text, and finds everything in it that is no setting. A file that is no TOML
    /// says nothing else. Values are never repeated here: they may be secrets.
    pub fn parse(name: &str, text: &str, known: &[Setting]) -> (Self, Vec<Fault>) {
        let origin = |span: Range<usize>| {
            let before = text.get(..span.start).unwrap_or(text);
            Origin::File { name: name.to_owned(), line: before.matches('\n').count() + 1 }
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let faults = errors.into_iter().map(|error| {
                // what is meant by text without quotes is anybody's guess, and the guess misleads
                let reason = format!("{} (name = value, with text in \"quotes\")", error.message());
                Fault {
                    flag: None,
                    value: None,
                    origin: origin(error.span().unwrap_or(0..0)),
                    reason,
                }
            });
            return (Self::default(), faults.collect());
        }
        let mut entries = BTreeMap::new();
        let mut faults = Vec::new();
        for (key, value) in table.get_ref() {
            let origin = origin(key.span());
            let key: &str = key.get_ref();
            match known.iter().find(|setting| setting.key() == key && !setting.is_config()) {
                Some(setting) => {
                    let values = values(setting, value.get_ref()).map_err(|reason| Fault {
                        flag: Some(setting.flag().to_owned()),
                        value: None,
                        origin: origin.clone(),
                        reason,
                    });
                    entries.insert(key.to_owned(), Entry { origin, values });
                }
                None => faults.push(unknown(key, value.get_ref(), origin, known)),
            }
        }
        faults.sort_by_key(|fault| match fault.origin {
            Origin::File { line, .. } => line,
            _ => 0,
        });
        (Self { entries }, faults)
    }

    /// What it says of a setting.
    pub fn entry(&self, setting: &Setting) -> Option<&Entry> {
        self.entries.get(&setting.key())
    }
}

fn unknown(key: &str, value: &DeValue<'_>, origin: Origin, known: &[Setting]) -> Fault {
    let keys: Vec<String> =
        known.iter().filter(|setting| !setting.is_config()).map(Setting::key).collect();
    // as it would be spelt as a variable, as a flag or in the plural
    let spelt = key.strip_prefix(PREFIX).unwrap_or(key).to_ascii_lowercase().replace('_', "-");
    let near = nearest(spelt.trim_start_matches('-'), keys.iter().map(String::as_str));
    let reason = match (near, value) {
        (None, DeValue::Table(_)) => format!("there are no sections here, such as [{key}]"),
        (None, _) => format!("{key:?} is no setting (errsift config --example has them all)"),
        (Some(near), _) => format!("{key:?} is no setting, did you mean {near:?}?"),
    };
    Fault { flag: None, value: None, origin, reason }
}

/// A value as the words that a flag would have.
fn values(setting: &Setting, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    match (value, setting.is_list(), setting.is_switch()) {
        (DeValue::Array(array), true, _) => {
            array.iter().map(|element| word(element.get_ref())).collect()
        }
        (_, true, _) => Err("expected a list, as in [\"…\", \"…\"]".to_owned()),
        (DeValue::Boolean(_), false, true) => word(value).map(|word| vec![word]),
        (_, false, true) => Err("expected true or false".to_owned()),
        (_, false, false) => word(value).map(|word| vec![word]),
    }
}

fn word(value: &DeValue<'_>) -> Result<OsString, String> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
            .map_err(|_| "expected a smaller number".to_owned())?
            .to_string(),
        DeValue::Float(float) => float.as_str().to_owned(),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            return Err(format!("expected one value, not a TOML {}", value.type_str()));
        }
    };
    Ok(text.into())
}
