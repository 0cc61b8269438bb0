//! Why a server's answer is not what was asked for.

use serde::Deserialize;

use crate::text;

/// What went wrong, and with that, what a person can do.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// No answer: nobody there, a time-out, a broken connection, a certificate.
    #[error("the server does not answer: {0}")]
    Away(String),
    /// The server answers that it cannot answer now.
    #[error("the server cannot answer now: {0}")]
    Unavailable(String),
    /// No key was given, and one is wanted.
    #[error(
        "the server wants a key: give one that may read with ERRSIFT_KEY, ERRSIFT_KEY_FILE or --key"
    )]
    KeyMissing,
    /// The key is not one of the server's, or may not read.
    #[error("the server refuses the key from ERRSIFT_KEY, ERRSIFT_KEY_FILE or --key: {0}")]
    KeyRefused(String),
    /// Nothing at this address.
    #[error("not there: {0}")]
    NotFound(String),
    /// The server does not take the question.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// The answer is not what errsift answers.
    #[error("the answer is not errsift's (is --server right?): {0}")]
    Answer(String),
}

#[derive(Deserialize)]
struct FaultBody {
    message: String,
}

impl ClientFault {
    /// What a status other than 200 means. `keyed`: whether a key was sent.
    pub(super) fn of_status(status: u16, body: &str, keyed: bool) -> Self {
        let Ok(fault) = serde_json::from_str::<FaultBody>(body) else {
            return Self::of_stranger(status, keyed);
        };
        let message = text::escaped(&fault.message);
        match status {
            401 if !keyed => Self::KeyMissing,
            401 | 403 => Self::KeyRefused(message),
            404 => Self::NotFound(message),
            429 | 500.. => Self::Unavailable(message),
            _ => Self::Refused(message),
        }
    }

    /// An answer without errsift's body may be a proxy's before it.
    fn of_stranger(status: u16, keyed: bool) -> Self {
        match status {
            401 if !keyed => Self::KeyMissing,
            401 | 403 => Self::KeyRefused(format!("status {status}")),
            502..=504 => Self::Unavailable(format!("status {status}")),
            _ => Self::Answer(format!("status {status}")),
        }
    }
}

impl From<ureq::Error> for ClientFault {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::BodyExceedsLimit(_) | ureq::Error::Protocol(_) | ureq::Error::Http(_) => {
                Self::Answer(text::escaped(&error.to_string()))
            }
            _ => Self::Away(text::escaped(&error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_to_do() {
        let body = r#"{"success":false,"statusCode":400,"message":"sort: \u001b unknown"}"#;
        let said =
            |status, body: &str, keyed| ClientFault::of_status(status, body, keyed).to_string();
        assert_eq!(said(400, body, false), r"the server refuses: sort: \u{1b} unknown");
        assert!(said(401, body, false).contains("ERRSIFT_KEY"));
        assert!(said(401, body, true).starts_with("the server refuses the key"));
        assert!(said(403, "<html>", true).ends_with("status 403"));
        assert_eq!(said(502, "", false), "the server cannot answer now: status 502");
        assert!(said(301, "", false).contains("--server"));
        assert!(matches!(ClientFault::of_status(404, body, false), ClientFault::NotFound(_)));
    }
}
