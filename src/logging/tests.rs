//! Through the real formatters.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use errsift_ops::timestamp::Timestamp;
use errsift_pipeline::ports::clock::Clock;
use tracing::subscriber::with_default;

use super::*;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).unwrap()
    }
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Page {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

const HOSTILE: &str = "a\u{1b}[31mb\nc\r\0d\u{9b}2Je\u{7f}f\u{202e}g\u{2028}h\u{2066}i\"\\é🙂";

fn log_hostile() {
    #[derive(Debug)]
    struct Raw;
    impl std::fmt::Display for Raw {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(HOSTILE)
        }
    }
    impl std::error::Error for Raw {}
    let error: &dyn std::error::Error = &Raw;
    tracing::info!(shown = %Raw, text = HOSTILE, debug = ?HOSTILE, error, "message {HOSTILE}");
}

fn assert_one_printable_line(page: &str) {
    let line = page.strip_suffix('\n').expect("a line");
    let obeyed =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!line.contains(obeyed), "{line:?}");
    assert!(line.contains("é🙂"), "what is harmless stays: {line}");
}

#[test]
fn no_text_reaches_either_format_raw() {
    let page = Page::default();
    let registry = tracing_subscriber::registry().with(for_people(page.clone(), false));
    with_default(registry, log_hostile);
    assert_one_printable_line(&page.text());
    assert!(page.text().contains(r"message a\u{1b}[31mb\nc\r\0d\u{9b}2Je"), "{}", page.text());

    let page = Page::default();
    with_default(tracing_subscriber::registry().with(as_json(page.clone())), log_hostile);
    assert_one_printable_line(&page.text());
    let line: serde_json::Value = serde_json::from_str(&page.text()).unwrap();
    assert_eq!(line["message"], format!("message {HOSTILE}"));
    for field in ["shown", "text", "error"] {
        assert_eq!(line[field], HOSTILE, "{field}");
    }
}

/// A clock that is set.
#[derive(Default)]
struct SetClock(Mutex<Duration>);

impl Clock for SetClock {
    fn wall(&self) -> Timestamp {
        Timestamp::default()
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

#[test]
fn repeated_warnings_are_counted_and_errors_always_written() {
    let (page, clock) = (Page::default(), Arc::new(SetClock::default()));
    let limiter = Arc::new(Limiter::new(Arc::clone(&clock) as Arc<dyn Clock>));
    let registry = tracing_subscriber::registry()
        .with(Shared(Arc::clone(&limiter)))
        .with(for_people(page.clone(), false));
    with_default(registry, || {
        for n in 0..8 {
            tracing::warn!(n, "one place");
            tracing::warn!(n, "another place");
            tracing::error!(n, "lost");
            tracing::debug!(n, "detail");
        }
        limiter.tell();
        *clock.0.lock().unwrap() = Duration::from_secs(10);
        limiter.tell();
        limiter.tell();
    });
    let page = page.text();
    let lines = |text: &str| page.lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines(" one place n="), 5, "{page}");
    assert_eq!(lines(" another place n="), 5);
    assert_eq!((lines(" lost n="), lines(" detail n=")), (8, 8));
    assert_eq!(lines("repeated lines were not written suppressed=3"), 2);
    assert_eq!(lines(r#"module="errsift::logging::tests" line="one place""#), 1);
}
