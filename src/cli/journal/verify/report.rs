//! What was checked, and how it came out.

use std::fmt;

/// Things that are wrong and shown of one check; the rest is counted.
const SHOWN_MAX: usize = 20;

/// What is checked, in the order it is reported in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Each job can be read and is this shard's.
    Jobs,
    /// Their numbers follow each other.
    Sequence,
    /// Their epochs and terms never go back.
    Epochs,
    /// The list ends where the fence says.
    Fence,
    /// What is pending is what the jobs hold.
    Pending,
    /// What was journaled is applied, or in the list.
    Ledger,
}

const CHECKS: [Check; 6] =
    [Check::Jobs, Check::Sequence, Check::Epochs, Check::Fence, Check::Pending, Check::Ledger];

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Jobs => "jobs",
            Self::Sequence => "sequence",
            Self::Epochs => "epochs",
            Self::Fence => "fence",
            Self::Pending => "pending",
            Self::Ledger => "ledger",
        })
    }
}

/// One check's outcome.
#[derive(Debug, Default)]
struct Outcome {
    /// What was found if nothing is wrong.
    right: String,
    /// Why it could not be checked.
    unknown: Option<String>,
    wrong: Vec<String>,
    wrong_count: u64,
}

/// All outcomes.
#[derive(Debug, Default)]
pub struct Report {
    outcomes: [Outcome; CHECKS.len()],
}

impl Report {
    fn of(&mut self, check: Check) -> &mut Outcome {
        &mut self.outcomes[check as usize]
    }

    /// Says what was found, for the case that nothing is wrong.
    pub fn right(&mut self, check: Check, found: String) {
        self.of(check).right = found;
    }

    /// Says why it could not be checked.
    pub fn unknown(&mut self, check: Check, why: String) {
        self.of(check).unknown = Some(why);
    }

    /// Says what is wrong.
    pub fn wrong(&mut self, check: Check, what: String) {
        let outcome = self.of(check);
        outcome.wrong_count += 1;
        if outcome.wrong.len() < SHOWN_MAX {
            outcome.wrong.push(what);
        }
    }

    /// Whether nothing is wrong.
    pub fn is_right(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.wrong_count == 0)
    }

    /// A line for each check, or for each thing that is wrong with it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (check, outcome) in CHECKS.iter().zip(&self.outcomes) {
            for what in &outcome.wrong {
                lines.push(format!("wrong    {check:<9} {what}"));
            }
            let more = outcome.wrong_count - outcome.wrong.len() as u64;
            if more > 0 {
                lines.push(format!("wrong    {check:<9} and {more} more"));
            }
            match &outcome.unknown {
                Some(why) => lines.push(format!("unknown  {check:<9} {why}")),
                None if outcome.wrong_count == 0 => {
                    lines.push(format!("ok       {check:<9} {}", outcome.right));
                }
                None => {}
            }
        }
        lines
    }
}
