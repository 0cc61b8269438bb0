//! The severities that errsift orders logs by, and the words that logs have for them.

use std::fmt;

/// Severity of a record, from the least to the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Finer than debugging.
    Trace,
    /// For the program's authors.
    Debug,
    /// What goes as it should; `notice` and `config` too.
    Info,
    /// A surprise that was dealt with.
    Warning,
    /// Something failed; `severe` too.
    Error,
    /// A process or a machine fails; `critical`, `alert`, `emergency` and `panic` too.
    Fatal,
}

/// Bytes of the longest word for a level.
pub(super) const WORD_BYTES_MAX: usize = 13;

impl Level {
    /// The level that a log or a client means by `word`, in any case of its letters; `None` if it
    /// is no word for one.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::of_bytes(word.as_bytes())
    }

    pub(super) fn of_bytes(word: &[u8]) -> Option<Self> {
        if word.len() < 3 || word.len() > WORD_BYTES_MAX {
            return None;
        }
        let mut upper = [0; WORD_BYTES_MAX];
        let upper = &mut upper[..word.len()];
        upper.copy_from_slice(word);
        upper.make_ascii_uppercase();
        Some(match &*upper {
            b"TRACE" | b"TRC" | b"FINE" | b"FINER" | b"FINEST" | b"VERBOSE" | b"VRB" => Self::Trace,
            b"DEBUG" | b"DBG" => Self::Debug,
            b"INFO" | b"INF" | b"INFORMATION" | b"INFORMATIONAL" | b"NOTICE" | b"CONFIG" => {
                Self::Info
            }
            b"WARN" | b"WARNING" | b"WRN" => Self::Warning,
            b"ERROR" | b"ERR" | b"SEVERE" | b"FAILURE" => Self::Error,
            b"FATAL" | b"FTL" | b"CRITICAL" | b"CRIT" | b"ALERT" | b"EMERG" | b"EMERGENCY"
            | b"PANIC" | b"DPANIC" => Self::Fatal,
            _ => return None,
        })
    }

    /// The level that one letter stands for, as glog, logcat and Ruby's logger write it.
    pub(super) const fn of_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b'T' | b'V' => Self::Trace,
            b'D' => Self::Debug,
            b'I' => Self::Info,
            b'W' => Self::Warning,
            b'E' => Self::Error,
            b'F' | b'C' | b'A' => Self::Fatal,
            _ => return None,
        })
    }

    /// The level of a syslog priority, which is 8 × facility + severity.
    pub(super) const fn of_priority(priority: u32) -> Self {
        match priority % 8 {
            0..=2 => Self::Fatal,
            3 => Self::Error,
            4 => Self::Warning,
            5 | 6 => Self::Info,
            _ => Self::Debug,
        }
    }

    /// As an event carries it: `trace`, `debug`, `info`, `warning`, `error` or `fatal`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_many_logs_are_six_levels() {
        for (word, level) in [
            ("finest", Level::Trace),
            ("DBG", Level::Debug),
            ("Information", Level::Info),
            ("notice", Level::Info),
            ("Warn", Level::Warning),
            ("SEVERE", Level::Error),
            ("emerg", Level::Fatal),
        ] {
            assert_eq!(Level::of_word(word), Some(level), "{word}");
        }
        for other in ["", "er", "errors", "informational!", "GET"] {
            assert_eq!(Level::of_word(other), None, "{other}");
        }
        for level in [Level::Trace, Level::Debug, Level::Info, Level::Warning, Level::Error] {
            assert_eq!(Level::of_word(level.as_str()), Some(level));
            assert!(level < Level::Fatal);
        }
    }
}
