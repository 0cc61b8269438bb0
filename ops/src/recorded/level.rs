//! How severe an event is, by the words that people use for it.

use std::str::FromStr;

/// Severity, rising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Each step of a program.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What happens.
    Info,
    /// What is worth knowing.
    Notice,
    /// What may become a fault.
    Warning,
    /// A fault.
    Error,
    /// A fault after which something does not go on.
    Fatal,
}

/// Words for a level, in lower case.
const WORDS: &[(&str, Level)] = &[
    ("trace", Level::Trace),
    ("verbose", Level::Trace),
    ("finest", Level::Trace),
    ("debug", Level::Debug),
    ("fine", Level::Debug),
    ("info", Level::Info),
    ("information", Level::Info),
    ("log", Level::Info),
    ("notice", Level::Notice),
    ("warn", Level::Warning),
    ("warning", Level::Warning),
    ("error", Level::Error),
    ("err", Level::Error),
    ("severe", Level::Error),
    ("failure", Level::Error),
    ("fatal", Level::Fatal),
    ("critical", Level::Fatal),
    ("crit", Level::Fatal),
    ("alert", Level::Fatal),
    ("emerg", Level::Fatal),
    ("emergency", Level::Fatal),
    ("panic", Level::Fatal),
];

impl Level {
    /// The level that `word` stands for, in whatever case; `None` for other words.
    ///
    /// ```
    /// use errsift_ops::recorded::level::Level;
    /// assert_eq!(Level::of("WARN"), Some(Level::Warning));
    /// assert!(Level::of("warning") < Level::of("err"));
    /// assert_eq!(Level::of("loud"), None);
    /// ```
    pub fn of(word: &str) -> Option<Self> {
        let found = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word.trim()));
        found.map(|(_, level)| *level)
    }
}

/// A word that is no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected trace, debug, info, notice, warning, error or fatal")]
pub struct NotALevel;

impl FromStr for Level {
    type Err = NotALevel;

    fn from_str(word: &str) -> Result<Self, NotALevel> {
        Self::of(word).ok_or(NotALevel)
    }
}
