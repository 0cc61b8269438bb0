//! Values as they may be shown.

use std::ffi::OsStr;

use url::Url;

use super::setting::Setting;

/// What stands for a secret.
pub const MASK: &str = "***";
/// Characters of a value that are shown.
const SHOWN_MAX: usize = 120;

/// A value of `setting` for people: without secrets, on one line, and not too long.
pub fn shown(setting: &Setting, raw: &OsStr) -> String {
    let text = raw.to_string_lossy();
    if setting.is_secret() {
        return secret(&text);
    }
    let text = passwords(&text);
    if text.chars().count() <= SHOWN_MAX {
        return text;
    }
    let cut: String = text.chars().take(SHOWN_MAX).collect();
    format!("{cut}…")
}

/// A secret: a URL keeps user, host and path, anything else shows nothing.
fn secret(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return MASK.to_owned() };
    let behind = &url[url::Position::BeforePath..];
    // an @ behind the host comes from a password with a character that had to be escaped
    if !url.has_host() || behind.contains('@') || url.fragment().is_some() {
        return MASK.to_owned();
    }
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    for (name, value) in pairs {
        if ["pass", "secret", "token"].iter().any(|word| name.to_ascii_lowercase().contains(word))
            && !value.is_empty()
        {
            return MASK.to_owned();
        }
    }
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    url.to_string()
}

/// Any text with the user and password of each URL in it masked.
pub fn passwords(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + "://".len());
        masked.push_str(before);
        let word = behind.split(char::is_whitespace).next().unwrap_or_default();
        rest = match word.rfind('@') {
            Some(end) => {
                masked.push_str(MASK);
                &behind[end..]
            }
            None => behind,
        };
    }
    masked.push_str(rest);
    parameters(&masked)
}

/// Any text with the value of each URL parameter that is a password masked.
fn parameters(text: &str) -> String {
    const NAME: &str = "password=";
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(NAME) {
        let (before, behind) = rest.split_at(at + NAME.len());
        masked.push_str(before);
        let end = behind.find(|c: char| c == '&' || c == '\'' || c.is_whitespace());
        let end = end.unwrap_or(behind.len());
        if end > 0 {
            masked.push_str(MASK);
        }
        rest = &behind[end..];
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_url_keeps_what_is_no_secret() {
        for (url, masked) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://:pw@host:1/2", "redis://:***@host:1/2"),
            ("rediss://user:pw@host", "rediss://user:***@host"),
            ("mysql://app:p%40w@db/errsift?ssl-mode=x", "mysql://app:***@db/errsift?ssl-mode=x"),
        ] {
            assert_eq!(secret(url), masked);
        }
        for hidden in [
            "pw",
            "",
            "redis:pw",
            "redis://:pw@host:port",
            "redis://user:12/pw@host",
            "redis://user:1?pw@host",
            "redis://user:1#pw@host",
            "redis://host?password=pw",
            "redis+sentinel://h:1/m?sentinel-password=pw",
            "redis+sentinel://:pw@h:1,i:2/m",
        ] {
            assert_eq!(secret(hidden), MASK, "{hidden}");
        }
    }

    #[test]
    fn passwords_in_any_text_are_masked() {
        let text = "unexpected 'redis://u:p@w@h' and http://h/p and a://b:c@d";
        let masked = "unexpected 'redis://***@h' and http://h/p and a://***@d";
        assert_eq!(passwords(text), masked);
        let text = "'redis+sentinel://u:p@h,i/m?sentinel-password=q&sentinel-user=w' no";
        let masked = "'redis+sentinel://***@h,i/m?sentinel-password=***&sentinel-user=w' no";
        assert_eq!(passwords(text), masked);
    }
}
