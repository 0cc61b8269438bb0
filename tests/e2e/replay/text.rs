//! Text logs.

use super::place::{Place, SMALL, assert_same, log};
use crate::support::loghub;

const CRASH: &str = "2024-01-02 03:04:05,678 INFO [main] app.Main: up\n\
    2024-01-02 03:04:06,000 ERROR [main] app.Main: request failed\n\
    java.io.IOException: disk full\n\tat app.Main.run(Main.java:3)\n\
    2024-01-02 03:05:05,678 WARN [main] app.Main: slow\n\
    2023-12-31 23:59:59,999 ERROR [main] app.Main: request failed\n";

#[test]
fn text_is_counted_by_time_and_level() {
    let place = Place::embedded();
    let log = place.write("app.log", CRASH);
    let found = place.summary(0, &["--level", "error", "--service", "app", &log]);
    assert_eq!((found["events"].as_u64(), found["below_level"].as_u64()), (Some(2), Some(2)));
    assert_eq!(found["first_seen"], "2023-12-31T23:59:59.999Z");
    let words = place.words(None).join("\n");
    assert!(words.contains("request failed|java.io.IOException: disk full\n\tat"), "{words}");
    assert!(words.contains("|java.io.IOException|error|app|"), "{words}");
    let tables = place.tables(None);
    assert_eq!((tables.errors.len(), tables.windows.len(), tables.sum()), (1, 2, 2));
}

#[test]
fn text_is_the_same_in_pieces() {
    let text = CRASH.repeat(300);
    let whole = Place::embedded();
    whole.replay(&[&whole.write("log", &text)]).assert_says(0, &["1200 counted"]);
    let pieces = Place::embedded();
    let file = pieces.write("log", &text);
    let small = [&SMALL[..], &["--workers", "3", &file]].concat();
    pieces.replay(&small).assert_says(0, &["1200 counted"]);
    assert_same(&pieces.tables(None), &whole.tables(None));
    let piped = Place::embedded();
    let small = [&SMALL[..], &["-"]].concat();
    piped.replay_input(text.as_bytes(), &small).assert_says(0, &["1200 counted"]);
    assert_same(&piped.tables(None), &whole.tables(None));
}

#[test]
fn a_pattern_of_ones_own_reads_what_is_not_recognised() {
    let place = Place::embedded();
    let file = place.write("log", log(1, 1));
    // JSON that is told to be text is text without a time
    let rejected = place.summary(65, &["--format", "text", &file]);
    assert_eq!((rejected["events"].as_u64(), rejected["rejected"].as_u64()), (Some(0), Some(1)));
}

/// Real logs: 2,000 records each.
#[test]
fn real_logs_are_counted_record_by_record() {
    let dir = loghub::dir();
    if loghub::contents_of(&dir).is_none() {
        eprintln!("SKIPPED: no Loghub sets in {}", dir.display());
        return;
    }
    for set in loghub::SETS {
        let place = Place::embedded();
        let file = dir.join(format!("{set}_2k.log")).display().to_string();
        let found = place.summary(0, &["--final", &file]);
        assert_eq!(found["events"].as_u64(), Some(2_000), "{set}: {found}");
        assert_eq!(place.tables(None).sum(), 2_000, "{set}");
    }
}
