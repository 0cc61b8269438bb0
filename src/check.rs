//! Settings of the stores, judged.

use std::fmt;

use crate::durability::Durability;

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
    pub remedy: String,
}

/// Columns of a line: the store, the verdict and the setting's name.
const COLUMNS: (usize, usize, usize) = (8, 17, 30);

impl Check {
    /// A judged setting; the remedy is dropped if all is well.
    pub fn new(
        name: &'static str,
        value: impl Into<String>,
        verdict: Verdict,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = if verdict == Verdict::Ok { String::new() } else { remedy.into() };
        Self { name, value: value.into(), verdict, remedy }
    }

    /// One line for people, aligned with the others; what it ends with can be typed.
    pub fn line(&self, store: &str) -> String {
        let Self { name, value, verdict, remedy } = self;
        let (verdict, value) =
            (verdict.to_string(), if value.is_empty() { "unknown" } else { value });
        let (first, second, third) = COLUMNS;
        let line = format!("{store:<first$}  {verdict:<second$}  {name:<third$} = {value}");
        if remedy.is_empty() { line } else { format!("{line}   mend: {remedy}") }
    }
}

/// What is asked of the stores' settings.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// Whether to go on with less, or with what cannot be read.
    pub allow_weaker: bool,
}

impl Demand {
    /// Refuses the settings of `store` that do not do, with a line for each; what is weaker but
    /// allowed is logged.
    pub fn judge(&self, store: &'static str, checks: &[Check]) -> Result<(), String> {
        let Self { durability, allow_weaker } = *self;
        let mut refused = Vec::new();
        let mut allowable = true;
        for check in checks.iter().filter(|check| check.verdict != Verdict::Ok) {
            let wrong = check.verdict == Verdict::Wrong;
            if allow_weaker && !wrong {
                let Check { name: setting, value, .. } = check;
                tracing::warn!(store, setting, %value, %durability, "store is weaker than asked, as allowed");
                continue;
            }
            allowable &= !wrong;
            refused.push(check.line(store));
        }
        if refused.is_empty() {
            return Ok(());
        }
        let lines = refused.join("\n");
        if !allowable {
            return Err(format!("its settings do not do:\n{lines}"));
        }
        Err(format!(
            "its settings are too weak for durability {durability}; mend them, or ask for less \
             with --durability, or start with --allow-weaker:\n{lines}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verdict: Verdict) -> Check {
        Check::new("appendfsync", "everysec", verdict, "CONFIG SET appendfsync always")
    }

    #[test]
    fn weaker_is_refused_unless_allowed_and_wrong_always() {
        let judge = |allow_weaker, verdict| {
            let demand = Demand { durability: Durability::Fsync, allow_weaker };
            demand.judge("redis", &[check(Verdict::Ok), check(verdict)])
        };
        assert_eq!(judge(false, Verdict::Ok), Ok(()));
        for verdict in [Verdict::Weaker, Verdict::Unknown] {
            assert_eq!(judge(true, verdict), Ok(()));
            let refused = judge(false, verdict).unwrap_err();
            assert!(refused.contains("--allow-weaker:\nredis     "), "{refused}");
            assert!(refused.ends_with("mend: CONFIG SET appendfsync always"), "{refused}");
            assert_eq!(refused.lines().count(), 2, "{refused}");
        }
        assert!(!judge(true, Verdict::Wrong).unwrap_err().contains("allow"));
    }

    #[test]
    fn a_line_without_a_remedy_ends_with_the_value() {
        let line = check(Verdict::Ok).line("redis");
        assert_eq!(line, "redis     ok                 appendfsync                    = everysec");
    }
}
