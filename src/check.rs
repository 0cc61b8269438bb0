//! Settings of the stores, judged.

use std::fmt;

/// How a setting stands against what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but promises less than asked.
    Weaker,
    /// The store does not tell.
    Unknown,
    /// Does not work.
    Wrong,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Weaker => "weaker than asked",
            Self::Unknown => "unknown",
            Self::Wrong => "wrong",
        })
    }
}

/// One setting, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The setting's name, as the store spells it.
    pub name: &'static str,
    /// Its value; empty if unknown.
    pub value: String,
    /// What that means.
    pub verdict: Verdict,
    /// What to do about it; empty if all is well.
    pub remedy: &'static str,
}

impl Check {
    /// A judged setting; the remedy is dropped if all is well.
    pub fn new(name: &'static str, value: String, verdict: Verdict, remedy: &'static str) -> Self {
        let remedy = if verdict == Verdict::Ok { "" } else { remedy };
        Self { name, value, verdict, remedy }
    }
}
