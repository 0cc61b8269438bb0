//! What people type wrong, and what machines read.

use super::place::{Place, log};

#[test]
fn wrong_settings_are_named() {
    let place = Place::embedded();
    let file = place.write("log", log(2, 2));
    for (arguments, words) in [
        (vec!["--level", "loud", &file], "expected trace, debug, info, warning, error or fatal"),
        (vec!["--default-time", "soon", &file], "expected a time such as"),
        (vec!["--workers", "0", &file], "expected a number from 1 to 64"),
        (vec!["--pattern", "(", &file], "--pattern"),
        (vec!["--utc-offset", "2", &file], "expected an offset such as"),
        (vec!["--format", "xml", &file], "ndjson"),
        (vec![], "FILE"),
    ] {
        place.replay(&arguments).assert_says(2, &[words]);
    }
    place.replay(&["--source", "x", &file, &file]).assert_says(78, &["--source: names one log"]);
    place.replay(&["--rejects", "/not/there", &file]).assert_says(78, &["--rejects: /not/there"]);
    let away = ["replay", "--mysql-url", "mysql://root@127.0.0.1:1/errors", &file];
    crate::command::run(&away, &[]).assert_says(69, &["mysql at 127.0.0.1:1/errors"]);
    assert!(!place.path("errsift.db").exists());
}

#[test]
fn a_log_that_was_not_finished_keeps_its_rules() {
    let place = Place::embedded();
    let lines = log(300, 60);
    let file = place.write("log", &lines);
    place.replay(&["--service", "x", &file]).assert_says(0, &["300 counted"]);
    // all parts stand at one place: what is added may be read by others
    let file = place.write("log", [lines.as_str(), &lines].concat());
    place.replay(&[&file]).assert_says(0, &["300 counted"]);
    let shift = "UPDATE applied_epochs SET epoch = epoch - 1 WHERE part = 3";
    super::place::sqlite(&place.path("errsift.db")).execute(shift, []).expect("a guard row");
    place.replay(&["--service", "x", &file]).assert_says(78, &["was begun with other settings"]);
}

#[test]
fn progress_is_for_machines_too() {
    let place = Place::embedded();
    let file = place.write("log", log(10, 5));
    let quiet = place.replay(&["--progress", "json", &file]);
    quiet.assert_says(0, &["10 counted"]);
    for line in quiet.stderr.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}
