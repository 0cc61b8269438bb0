//! Which running server to ask, and as whom.

use std::{fmt, path::PathBuf, time::Duration};

use clap::Args;
use url::Url;

const SERVER_HELP: &str = "Server to ask, as http://HOST[:PORT][/PATH] or https://…";

/// A running server, for the commands that ask one.
#[derive(Clone, Debug, Args)]
pub struct ClientSettings {
    /// The server to ask.
    #[arg(
        long,
        help = SERVER_HELP,
        env = "ERRSIFT_SERVER",
        default_value = "http://127.0.0.1:9002",
        value_parser = server,
        value_name = "URL"
    )]
    pub server: Url,

    /// Key that may read, if the server wants one. Other users of the machine can read flags: give
    /// it by the environment, or the name of a file with it as `ERRSIFT_KEY_FILE`
    #[arg(long, env = "ERRSIFT_KEY", hide_env_values = true, value_parser = key, value_name = "KEY")]
    pub key: Option<Key>,

    /// File with the certificates (PEM) to trust for https, in place of the public authorities'
    #[arg(long, env = "ERRSIFT_SERVER_CA", value_name = "FILE")]
    pub server_ca: Option<PathBuf>,
}

/// A key to a server; it shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// A key as it was given, without the white space around it.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("expected a key of printable ASCII characters without spaces".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The key itself, to be sent to the server.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

fn key(text: &str) -> Result<Key, String> {
    Key::new(text)
}

/// The error does not repeat the text, which may hold a password.
fn server(text: &str) -> Result<Url, String> {
    let expected = || "expected http://HOST[:PORT][/PATH] or https://…".to_owned();
    let url = Url::parse(text).map_err(|_| expected())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url) } else { Err(expected()) }
}

/// Reads how often to ask: 100ms to 1h.
pub fn every(text: &str) -> Result<Duration, String> {
    super::interval(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_plain_http_url() {
        for right in ["http://127.0.0.1:9002", "https://errors.example/errsift", "http://[::1]/"] {
            assert!(server(right).is_ok(), "{right}");
        }
        for wrong in ["", "127.0.0.1:9002", "ftp://x", "http://", "http://u:p@x", "http://x?q=1"] {
            let said = server(wrong).unwrap_err();
            assert_eq!(said, "expected http://HOST[:PORT][/PATH] or https://…", "{wrong}");
        }
    }

    #[test]
    fn a_key_is_one_word_and_not_shown() {
        let key = Key::new(" abc123\n").unwrap();
        assert_eq!(key.reveal(), "abc123");
        assert!(!format!("{key:?}").contains("abc"));
        for wrong in ["", "\n", "a b", "é"] {
            assert!(Key::new(wrong).is_err(), "{wrong}");
        }
    }
}
