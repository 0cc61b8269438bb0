//! Repeated warnings: some lines, then a count.
//!
//! A store that is away makes the same line for every request and every attempt. Of each place in
//! the code that warns, the first [`LINES_MAX`] lines in [`PERIOD`] are written; when the period is
//! over, one line says how many were not, also if nothing follows. Errors say that something was
//! lost or broken: they are always written, as is everything below a warning, which is off unless
//! somebody wants all of it.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use errsift_pipeline::ports::clock::Clock;
use tracing::{
    Event, Level, Metadata, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// Lines of one place in a period.
const LINES_MAX: u32 = 5;

/// From the first line of a place.
const PERIOD: Duration = Duration::from_secs(10);

/// How often it is looked whether a period is over.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Characters of a suppressed line's message that its count repeats.
const MESSAGE_CHARS: usize = 120;

/// One place's lines.
#[derive(Debug)]
struct Pace {
    since: Duration,
    shown: u32,
    suppressed: u64,
    /// Suppressed in earlier periods and not said yet.
    owed: u64,
}

impl Pace {
    fn from(now: Duration) -> Self {
        Self { since: now, shown: 0, suppressed: 0, owed: 0 }
    }

    /// Whether one more line may be written.
    fn admit(&mut self, now: Duration) -> bool {
        if now >= self.since + PERIOD {
            *self = Self { owed: self.owed + self.suppressed, ..Self::from(now) };
        }
        let admitted = self.shown < LINES_MAX;
        if admitted {
            self.shown += 1;
        } else {
            self.suppressed += 1;
        }
        admitted
    }

    /// How many lines are to be said now that were suppressed in periods that are over.
    fn due(&mut self, now: Duration) -> u64 {
        let over = now.saturating_sub(self.since) >= PERIOD;
        let suppressed = if over { std::mem::take(&mut self.suppressed) } else { 0 };
        suppressed + std::mem::take(&mut self.owed)
    }
}

/// A place in the code that warns.
struct Place {
    metadata: &'static Metadata<'static>,
    /// The last suppressed message.
    message: String,
    pace: Pace,
}

/// Limits the warnings of a process. As a layer it decides for all others.
pub struct Limiter {
    clock: Arc<dyn Clock>,
    places: Mutex<HashMap<Identifier, Place>>,
    looking: AtomicBool,
}

impl Limiter {
    /// Nothing was written yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, places: Mutex::default(), looking: AtomicBool::new(false) }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admits(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() != Level::WARN || metadata.target() == module_path!() {
            return true;
        }
        let now = self.clock.monotonic();
        let mut places = self.places();
        let place = places.entry(metadata.callsite()).or_insert_with(|| Place {
            metadata,
            message: String::new(),
            pace: Pace::from(now),
        });
        let admitted = place.pace.admit(now);
        if !admitted && place.pace.suppressed == 1 {
            place.message.clear();
            event.record(&mut Message(&mut place.message));
        }
        admitted
    }

    /// Says what was suppressed in periods that are over.
    pub fn tell(&self) {
        self.tell_at(self.clock.monotonic());
    }

    /// Says all that was suppressed.
    pub fn tell_all(&self) {
        self.tell_at(Duration::MAX);
    }

    fn tell_at(&self, now: Duration) {
        let mut due = Vec::new();
        for place in self.places().values_mut() {
            let suppressed = place.pace.due(now);
            if suppressed > 0 {
                due.push((suppressed, place.metadata.target(), place.message.clone()));
            }
        }
        // not under the lock: each of these passes through here as well
        for (suppressed, module, line) in due {
            tracing::warn!(suppressed, module, line, "repeated lines were not written");
        }
    }

    /// A thread that looks whether periods are over, from the first suppressed line on.
    fn look(self: &Arc<Self>) {
        if self.looking.swap(true, Relaxed) {
            return;
        }
        let limiter = Arc::clone(self);
        // without a thread the end of the process still says it
        let _ = thread::Builder::new().name("log-limit".to_owned()).spawn(move || {
            loop {
                thread::sleep(LOOK_INTERVAL);
                limiter.tell();
            }
        });
    }
}

impl<S: Subscriber> Layer<S> for Shared {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let admitted = self.0.admits(event);
        if !admitted {
            self.0.look();
        }
        admitted
    }
}

/// A limiter as a layer.
pub struct Shared(pub Arc<Limiter>);

/// Takes down an event's message.
struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.extend(format!("{value:?}").chars().take(MESSAGE_CHARS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_some_lines_and_then_a_count() {
        let second = Duration::from_secs;
        let mut pace = Pace::from(second(100));
        let admitted = |pace: &mut Pace, at: u64, lines: u32| {
            (0..lines).filter(|_| pace.admit(second(at))).count()
        };
        assert_eq!(admitted(&mut pace, 100, 3), 3);
        assert_eq!(pace.due(second(110)), 0, "nothing was suppressed");
        assert_eq!(admitted(&mut pace, 109, 10), 2);
        assert_eq!(pace.due(second(109)), 0, "not over");
        // the next period begins with its first line, and what is owed is not forgotten
        assert_eq!(admitted(&mut pace, 115, 7), 5);
        assert_eq!(pace.due(second(115)), 8);
        assert_eq!(pace.due(second(124)), 0);
        assert_eq!(pace.due(second(125)), 2, "said although no line followed");
        assert_eq!(pace.due(second(500)), 0);
        assert_eq!(admitted(&mut pace, 500, 6), 5);
        assert_eq!(pace.due(Duration::MAX), 1);
    }
}
