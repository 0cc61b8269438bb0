//! Where a setting's value is looked for: the command line, the environment, the file.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::Path,
};

use clap::{ArgMatches, Command};

use super::{
    fault::{Fault, Origin},
    file::SettingsFile,
    judge::judge,
    mask::{MASK, shown},
    outside::Outside,
    setting::Setting,
};

/// The file of settings that is read when none is named.
const FILE: &str = "errsift.toml";

/// A setting that a command uses, and what was typed for it.
pub struct Used<'a> {
    pub setting: Setting,
    pub command: &'a Command,
    pub typed: &'a ArgMatches,
}

/// A setting's value, and where it came from.
#[derive(Clone, Debug)]
pub struct Found {
    /// The setting.
    pub setting: Setting,
    /// Its value, or values if it is a list; none if it is not set.
    pub values: Vec<OsString>,
    /// Where they came from.
    pub origin: Origin,
}

impl Found {
    /// The values as they may be shown.
    pub fn shown(&self) -> Vec<String> {
        self.values.iter().map(|value| shown(&self.setting, value)).collect()
    }
}

/// Finds a setting and judges its values, each of them; `None` if nobody said anything.
pub fn search(
    used: &Used<'_>,
    outside: &Outside,
    file: &SettingsFile,
) -> Result<Option<Found>, Vec<Fault>> {
    let setting = &used.setting;
    let (values, origin) = match look(used, outside, file) {
        Ok(Some(given)) => given,
        Ok(None) => return Ok(None),
        Err(fault) => return Err(vec![fault]),
    };
    let mut faults = Vec::new();
    for value in &values {
        if let Err(reason) = judge(used.command, setting, value) {
            // a path given by mistake must not show what is in the file
            let from_file = origin == Origin::Variable(setting.file_variable());
            let shown = if from_file { MASK.to_owned() } else { shown(setting, value) };
            let reason =
                if from_file { reason.replace(&*value.to_string_lossy(), MASK) } else { reason };
            let flag = Some(setting.flag().to_owned());
            faults.push(Fault { flag, value: Some(shown), origin: origin.clone(), reason });
        }
    }
    if faults.is_empty() {
        Ok(Some(Found { setting: setting.clone(), values, origin }))
    } else {
        Err(faults)
    }
}

type Given = (Vec<OsString>, Origin);

fn look(used: &Used<'_>, outside: &Outside, file: &SettingsFile) -> Result<Option<Given>, Fault> {
    let setting = &used.setting;
    if setting.is_typed(used.typed) {
        let raw = used.typed.get_raw(setting.arg().get_id().as_str());
        let values = raw.into_iter().flatten().map(OsStr::to_owned).collect();
        return Ok(Some((values, Origin::Flag)));
    }
    if let Some(given) = from_environment(setting, outside)? {
        return Ok(Some(given));
    }
    match file.entry(setting) {
        Some(entry) => Ok(Some((entry.values.clone()?, entry.origin.clone()))),
        None => Ok(None),
    }
}

fn from_environment(setting: &Setting, outside: &Outside) -> Result<Option<Given>, Fault> {
    let file_variable = setting.file_variable();
    let file = outside.variable(&file_variable).filter(|_| !setting.is_config());
    let plain = outside.variable(setting.variable());
    let fault = |origin: &str, value: Option<&OsStr>, reason: String| Fault {
        flag: Some(setting.flag().to_owned()),
        value: value.map(|value| value.to_string_lossy().into_owned()),
        origin: Origin::Variable(origin.to_owned()),
        reason,
    };
    match (plain, file) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            let reason = format!("{} is given too, and only one can hold", setting.variable());
            Err(fault(&file_variable, None, reason))
        }
        (Some(raw), None) => {
            let values = parts(setting, raw, |c| c == ',');
            if is_missing(setting, &values) {
                return Err(fault(setting.variable(), None, NONE.to_owned()));
            }
            Ok(Some((values, Origin::Variable(setting.variable().to_owned()))))
        }
        (None, Some(path)) => {
            let text = outside.text(Path::new(path)).map_err(|error| {
                fault(&file_variable, Some(path), format!("cannot be read: {error}"))
            })?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            let values = parts(setting, OsStr::new(text), |c| c == ',' || c == '\n');
            if is_missing(setting, &values) {
                return Err(fault(&file_variable, Some(path), NONE.to_owned()));
            }
            Ok(Some((values, Origin::Variable(file_variable))))
        }
    }
}

/// What is said of a list of secrets without any.
const NONE: &str = "it is empty; leave it unset if none is meant";

/// Whether secrets were to be there and are not: a file that was not written must not open what
/// they close.
fn is_missing(setting: &Setting, values: &[OsString]) -> bool {
    setting.is_secret() && setting.is_list() && values.is_empty()
}

/// The elements of a list; anything else is one value, whatever is in it.
fn parts(setting: &Setting, raw: &OsStr, parts_at: impl Fn(char) -> bool) -> Vec<OsString> {
    match raw.to_str() {
        Some(text) if setting.is_list() => {
            let words = text.split(parts_at).map(str::trim);
            words.filter(|word| !word.is_empty()).map(OsString::from).collect()
        }
        _ => vec![raw.to_owned()],
    }
}

/// Reads the file of settings: the one that `config` names, or the usual one if it is there.
pub fn file(
    config: Option<&Found>,
    outside: &Outside,
    known: &[Setting],
) -> (Option<Found>, SettingsFile, Vec<Fault>) {
    let named = config.and_then(|config| config.values.first());
    let path = named.map_or(Path::new(FILE), Path::new);
    let name = path.display().to_string();
    match (outside.text(path), config) {
        (Ok(text), _) => {
            let (file, faults) = SettingsFile::parse(&name, &text, known);
            let usual = known.iter().find(|setting| setting.is_config()).map(|setting| Found {
                setting: setting.clone(),
                values: vec![path.into()],
                origin: Origin::Default,
            });
            (config.cloned().or(usual), file, faults)
        }
        (Err(error), None) if error.kind() == io::ErrorKind::NotFound => {
            (None, SettingsFile::default(), Vec::new())
        }
        (Err(error), config) => {
            let fault = Fault {
                flag: Some("--config".to_owned()),
                value: Some(name),
                origin: config.map_or(Origin::Default, |config| config.origin.clone()),
                reason: format!("cannot be read: {error}"),
            };
            (None, SettingsFile::default(), vec![fault])
        }
    }
}
