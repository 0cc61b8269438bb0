//! One value against one setting.

use std::ffi::{OsStr, OsString};

use clap::{
    Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{
    mask::{MASK, passwords},
    setting::{Setting, detached, map},
};

/// Lets the setting's own parser judge a value; the error says what is accepted, and does not
/// repeat a secret.
pub fn judge(command: &Command, setting: &Setting, raw: &OsStr) -> Result<(), String> {
    if raw.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut word = OsString::from(setting.flag());
    word.push("=");
    word.push(raw);
    let alone = map(command.clone(), &|arg, _| detached(arg).required(false));
    let alone = alone.subcommand_required(false).arg_required_else_help(false);
    match alone.no_binary_name(true).try_get_matches_from([word]) {
        Ok(_) => Ok(()),
        // what it lacks may come from elsewhere
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => Ok(()),
        Err(error) => {
            let reason = reason(&error);
            let raw = raw.to_string_lossy();
            Err(if setting.is_secret() { reason.replace(&*raw, MASK) } else { passwords(&reason) })
        }
    }
}

fn reason(error: &Error) -> String {
    if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue)
        && !values.is_empty()
    {
        return format!("expected one of {}", values.join(", "));
    }
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.kind().to_string(),
    }
}
