//! `errsift key`: makes an API key.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;

use super::{exit, output};
use crate::http::keys::{ApiKey, Grant};

/// What the key is for; sending events if nothing is said.
#[derive(Clone, Debug, Args)]
pub struct KeyArgs {
    /// Make a key for reading instead of one for sending events
    #[arg(long)]
    read: bool,

    /// The one service whose events may be sent with it, 1 to 255 characters without commas
    #[arg(long, conflicts_with = "read", value_name = "NAME")]
    service: Option<String>,
}

/// Prints the key, which is not kept anywhere, and what to set; exits 0, 71 if the system has no
/// randomness, 78 if the service's name cannot be set.
pub fn run(wanted: &KeyArgs) -> ExitCode {
    let mut random = [0; 32];
    if let Err(fault) = getrandom::fill(&mut random) {
        return output::fail(exit::OS, &format!("randomness: {fault}"));
    }
    let key = text(&random);
    let setting = ApiKey::new(&key, grant(wanted)).to_string();
    if let Err(expected) = setting.parse::<ApiKey>() {
        return output::fail(exit::CONFIG, &format!("--service: {expected}"));
    }
    output::printed(print(&key, &setting, &mut output::stdout()))
}

fn print(key: &str, setting: &str, out: &mut impl Write) -> io::Result<u8> {
    writeln!(out, "key      {key}")?;
    writeln!(out, "setting  --api-key {setting}")?;
    writeln!(out)?;
    writeln!(out, "Give the key to its user; it cannot be shown again. The setting is its hash:")?;
    writeln!(
        out,
        "add it as a flag, to ERRSIFT_API_KEYS, or to the list api-keys in errsift.toml."
    )?;
    out.flush()?;
    Ok(0)
}

fn grant(wanted: &KeyArgs) -> Grant {
    if wanted.read { Grant::Read } else { Grant::Write(wanted.service.as_deref().map(Arc::from)) }
}

/// All of the randomness in hex, behind a word that tells people and scanners what was found.
fn text(random: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    let mut key = String::from("errsift_");
    for byte in random {
        // text grows without failing
        let _ = write!(key, "{byte:02x}");
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_all_its_randomness() {
        let key = text(&[0x0a; 32]);
        assert_eq!(key, format!("errsift_{}", "0a".repeat(32)));
    }
}
