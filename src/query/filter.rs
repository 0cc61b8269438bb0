//! Which errors are in a list. The same code decides for both stores; theirs only narrows.

use errsift_ops::timestamp::Timestamp;

use super::{Candidate, Narrowing};

/// An attribute that a list can be narrowed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Which service reported it.
    Service,
    /// Its severity.
    Level,
    /// Where the service runs.
    Environment,
}

/// What is looked for in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// The message begins with exactly this text.
    Prefix(String),
    /// The message has all of these words, in lower case; of the last one it may have more.
    Words(Vec<String>),
}

impl Search {
    /// What `q` asks for: `text*` a prefix, anything else words. `None` if there is nothing in it.
    pub fn of(q: &str) -> Option<Self> {
        if let Some(prefix) = q.strip_suffix('*') {
            return (!prefix.is_empty()).then(|| Self::Prefix(prefix.to_owned()));
        }
        let words: Vec<String> = words(q).map(str::to_lowercase).collect();
        (!words.is_empty()).then_some(Self::Words(words))
    }

    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Prefix(prefix) => message.starts_with(prefix),
            Self::Words(wanted) => {
                let has: Vec<String> = words(message).map(str::to_lowercase).collect();
                let Some((last, whole)) = wanted.split_last() else { return true };
                whole.iter().all(|word| has.contains(word))
                    && has.iter().any(|word| word.starts_with(last))
            }
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// All of these must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Labels and the value that each must have.
    pub labels: Vec<(Label, String)>,
    /// What the message must have.
    pub search: Option<Search>,
    /// The latest event is not before this.
    pub since: Option<Timestamp>,
    /// The earliest event is before this.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether labels and message matter.
    pub fn needs_details(&self) -> bool {
        !self.labels.is_empty() || self.search.is_some()
    }

    /// The conditions that an index may answer, the most telling first.
    pub fn narrowings(&self) -> impl Iterator<Item = Narrowing<'_>> {
        let prefix = match &self.search {
            Some(Search::Prefix(prefix)) => Some(Narrowing::Prefix(prefix)),
            _ => None,
        };
        let labels = self.labels.iter().map(|(label, value)| Narrowing::Label(*label, value));
        prefix.into_iter().chain(labels)
    }

    /// Whether `candidate` is in the list.
    pub fn passes(&self, candidate: &Candidate) -> bool {
        let lives = |at: Option<Timestamp>| at.or(candidate.stored_at).unwrap_or_default();
        self.since.is_none_or(|since| lives(candidate.last_seen) >= since)
            && self.until.is_none_or(|until| lives(candidate.first_seen) < until)
            && self.labels.iter().all(|(label, value)| candidate.label(*label) == Some(value))
            && self.search.as_ref().is_none_or(|search| search.is_in(&candidate.message))
    }
}

#[cfg(test)]
mod tests {
    use errsift_ops::fingerprint::Fingerprint;

    use super::*;

    #[test]
    fn words_are_whole_but_for_the_last() {
        let message = "Connection refused: host=db_1, attempt #3";
        let found = |q: &str| Search::of(q).unwrap().is_in(message);
        for q in
            ["connection", "REFUSED host", "attempt conn", "db_1", "3", "refu", "Connection re*"]
        {
            assert!(found(q), "{q}");
        }
        for q in ["refu host", "db", "onnection", "connection x", "connection*", "refused*"] {
            let expected = q == "db";
            assert_eq!(found(q), expected, "{q}");
        }
        assert_eq!((Search::of(""), Search::of(" -: "), Search::of("*")), (None, None, None));
    }

    #[test]
    fn all_conditions_must_hold() {
        let at = |millis| Some(Timestamp::from_millis(millis));
        let candidate = Candidate {
            first_seen: at(100),
            last_seen: at(200),
            labels: [Some("shop".to_owned()), Some("error".to_owned()), None],
            ..Candidate::of(Fingerprint([1; 32]))
        };
        let passes = |filter: Filter| filter.passes(&candidate);
        assert!(passes(Filter::default()));
        assert!(passes(Filter { since: at(200), until: at(101), ..Filter::default() }));
        assert!(!passes(Filter { since: at(201), ..Filter::default() }));
        assert!(!passes(Filter { until: at(100), ..Filter::default() }));
        let labels = |label, value: &str| Filter {
            labels: vec![(Label::Service, "shop".to_owned()), (label, value.to_owned())],
            ..Filter::default()
        };
        assert!(passes(labels(Label::Level, "error")));
        assert!(!passes(labels(Label::Level, "error ")));
        assert!(!passes(labels(Label::Environment, "")));
    }
}
