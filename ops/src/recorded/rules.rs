//! What to make of records.

use super::seen::Seen;
use crate::{event::Event, log::Level, timestamp::Timestamp};

/// Which records are counted, and what they leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Records below this level are left out; those of unknown level are kept.
    pub level: Option<Level>,
    /// The time of records that have none.
    pub default_time: Option<Timestamp>,
    /// The service of records that name none.
    pub service: Option<String>,
    /// Their environment.
    pub environment: Option<String>,
    /// Their release.
    pub release: Option<String>,
}

impl Rules {
    /// Whether so many events of this level are counted; notes it if not, or if it is not known.
    pub(super) fn admit(&self, level: Option<&str>, events: u64, seen: &mut Seen) -> bool {
        let Some(least) = self.level else { return true };
        match level.and_then(Level::of_word) {
            Some(level) if level < least => {
                seen.below_level += events;
                return false;
            }
            Some(_) => {}
            None => seen.unknown_level += events,
        }
        true
    }

    /// Fills in what an event does not say.
    pub(super) fn fill(&self, event: &mut Event) {
        fill(&mut event.service, self.service.as_ref());
        fill(&mut event.environment, self.environment.as_ref());
        fill(&mut event.release, self.release.as_ref());
    }
}

/// An empty text counts as none, as in the fingerprint.
fn fill(text: &mut Option<String>, missing: Option<&String>) {
    if missing.is_some() && text.as_ref().is_none_or(String::is_empty) {
        *text = missing.cloned();
    }
}
