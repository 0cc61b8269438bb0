//! What is wrong with a setting, and where it came from.

use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// A variable: its name, which ends in `_FILE` if a file has the value.
    Variable(String),
    /// The file of settings.
    File {
        /// Its name.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Variable(name) => f.write_str(name),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One wrong setting. Shown, it is one line without secrets:
/// `--workers "0" (ERRSIFT_WORKERS): expected a number from 1 to 64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting's flag; `None` for what is no setting.
    pub flag: Option<String>,
    /// The value as it may be shown; `None` if there is none.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.flag, &self.value) {
            (Some(flag), Some(value)) => write!(f, "{flag} {value:?} ({}): ", self.origin)?,
            (Some(flag), None) => write!(f, "{flag} ({}): ", self.origin)?,
            (None, _) => write!(f, "{}: ", self.origin)?,
        }
        // a reason may hold what somebody typed
        let reason = self.reason.replace(|c: char| c.is_control(), " ");
        f.write_str(&reason)
    }
}
