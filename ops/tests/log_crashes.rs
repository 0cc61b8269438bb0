//! Crashes among ordinary lines: one record each, with all its lines and no others.

use errsift_ops::log::{Assumed, Format, Level, Record, Year};

mod crashes;

use crashes::Crash;

const ASSUMED: Assumed = Assumed { year: Year::Is(2024), utc_offset_seconds: 0 };

#[track_caller]
fn is(record: &Record, crash: &Crash) {
    let trace = record.stack_trace.as_deref().unwrap_or("nothing");
    assert_eq!(trace, crash.text.trim_end(), "{}", crash.by);
    assert_eq!(record.kind.as_deref(), crash.kind, "{}", crash.by);
    assert_eq!(record.message, crash.message, "{}", crash.by);
    assert_eq!(record.level, Some(Level::Error), "{}", crash.by);
}

/// Holds `log` to a record for each of its parts: an ordinary line's message, or a crash.
#[track_caller]
fn hold(log: &str, form: &str, parts: &[Result<&str, &Crash>]) {
    let format = Format::detect(log.as_bytes(), &ASSUMED);
    assert_eq!(format.name(), form);
    let records: Vec<Record> = format.records(log.as_bytes()).collect();
    for (record, part) in records.iter().zip(parts) {
        match part {
            Ok(message) => {
                assert_eq!(record.message, *message);
                assert_eq!(record.stack_trace, None, "{message}");
            }
            Err(crash) => is(record, crash),
        }
    }
    assert_eq!(records.len(), parts.len());
    let timed = records.iter().all(|record| record.timestamp.is_some());
    assert_eq!(timed, form != "plain");
}

#[test]
fn alone() {
    for crash in &crashes::ALL {
        hold(crash.text, "plain", &[Err(crash)]);
    }
}

#[test]
fn one_behind_the_other() {
    let log: String = crashes::ALL.iter().map(|crash| crash.text).collect();
    let parts: Vec<_> = crashes::ALL.iter().map(Err).collect();
    hold(&log, "plain", &parts);
    let windows = log.replace('\n', "\r\n");
    let format = Format::detect(windows.as_bytes(), &ASSUMED);
    let records: Vec<Record> = format.records(windows.as_bytes()).collect();
    for (record, crash) in records.iter().zip(&crashes::ALL) {
        is(record, crash);
    }
    assert_eq!(records.len(), crashes::ALL.len());
}

/// Each crash between two ordinary lines of a form.
fn among(form: &str, before: &str, message_before: &str, after: &str, message_after: &str) {
    let mut log = String::new();
    let mut parts = Vec::new();
    for crash in &crashes::ALL {
        log += &format!("{before}\n{}{after}\n", crash.text);
        parts.extend([Ok(message_before), Err(crash), Ok(message_after)]);
    }
    hold(&log, form, &parts);
}

#[test]
fn among_ordinary_lines() {
    among(
        "iso",
        "2024-01-02 03:04:05,678 INFO [main] app.Main: one",
        "one",
        "2024-01-02 03:04:06,000 DEBUG [main] app.Main: two",
        "two",
    );
    among(
        "syslog",
        "Jan  2 03:04:05 host app[7]: one",
        "one",
        "Jan  2 03:04:06 host app[7]: two",
        "two",
    );
    among(
        "apache-error",
        "[Tue Jan 02 03:04:05 2024] [notice] one",
        "one",
        "[Tue Jan 02 03:04:06 2024] [notice] two",
        "two",
    );
    among(
        "yymmdd",
        "240102 030405 17 INFO dfs.Node: one",
        "one",
        "240102 030405 17 INFO dfs.Node: two",
        "two",
    );
    among("plain", "server started", "server started", "request: 7 ms", "request: 7 ms");
}

#[test]
fn a_crash_behind_an_error_that_is_not_its_own() {
    for crash in &crashes::ALL {
        // these are written by loggers too, and are the logged error's then
        if ["python", "perl", "rust, returned"].iter().any(|by| crash.by.starts_with(by)) {
            continue;
        }
        let log = format!("2024-01-02 03:04:05 ERROR lost\n{}", crash.text);
        hold(&log, "iso", &[Ok("lost"), Err(crash)]);
    }
}

#[test]
fn logged_traces_belong_to_their_line() {
    for (trace, kind) in [
        (include_str!("crashes/python_chained.txt"), Some("RuntimeError")),
        (include_str!("crashes/python_group.txt"), Some("ExceptionGroup")),
        (
            "java.io.IOException: disk\nfull\n\tat A.f(A.java:4)\nCaused by: B: c\n\t... 2 more",
            Some("java.io.IOException"),
        ),
        ("TypeError [ERR_X]: no\n    at f (/app/a.js:1:2)", Some("TypeError")),
        ("System.IO.IOException: no\n   at App.Main.Run()", Some("System.IO.IOException")),
        (
            "goroutine 5 [running]:\nnet/http.(*conn).serve.func1()\n\t/go/server.go:1 +0x1",
            Some("panic"),
        ),
        ("\tat A.f(A.java:4)\n\tat A.g(A.java:5)", None),
    ] {
        for level in ["ERROR", "WARN"] {
            let log = format!(
                "2024-01-02 03:04:05 {level} request failed\nwith two lines\n{trace}\n2024-01-02 03:04:06 INFO ok"
            );
            let format = Format::detect(log.as_bytes(), &ASSUMED);
            let records: Vec<Record> = format.records(log.as_bytes()).collect();
            assert_eq!(records.len(), 2, "{log}");
            assert_eq!(records[0].message, "request failed\nwith two lines");
            assert_eq!(records[0].kind.as_deref(), kind);
            assert_eq!(records[0].stack_trace.as_deref(), Some(trace.trim_end()));
            assert_eq!(records[0].level, Level::of_word(level));
        }
    }
}

#[test]
fn a_line_that_is_its_traces_head_names_the_type() {
    let log = "2024-01-02 03:04:05 ERROR java.io.IOException: lost\n\tat A.f(A.java:4)\n";
    let format = Format::detect(log.as_bytes(), &ASSUMED);
    let record = format.records(log.as_bytes()).next().unwrap();
    assert_eq!(record.message, "java.io.IOException: lost");
    assert_eq!(record.kind.as_deref(), Some("java.io.IOException"));
    assert_eq!(record.stack_trace.as_deref(), Some("\tat A.f(A.java:4)"));
}

#[test]
fn phps_log_names_type_and_message() {
    let log = "[02-Jan-2024 03:04:05 UTC] PHP Fatal error:  Uncaught App\\Lost: boom in /app/a.php:3\n\
        Stack trace:\n#0 {main}\n  thrown in /app/a.php on line 3\n\
        [02-Jan-2024 03:04:06 UTC] PHP Warning:  Undefined variable $x in /app/a.php on line 4\n";
    let format = Format::detect(log.as_bytes(), &ASSUMED);
    let records: Vec<Record> = format.records(log.as_bytes()).collect();
    assert_eq!(records.len(), 2);
    assert_eq!((&*records[0].message, records[0].kind.as_deref()), ("boom", Some("App\\Lost")));
    assert_eq!(records[0].level, Some(Level::Fatal));
    let trace = "Stack trace:\n#0 {main}\n  thrown in /app/a.php on line 3";
    assert_eq!(records[0].stack_trace.as_deref(), Some(trace));
    assert_eq!(records[1].message, "Undefined variable $x in /app/a.php on line 4");
    assert_eq!(records[1].level, Some(Level::Warning));
}

#[test]
fn messages_of_several_lines_are_one() {
    let log =
        "2024-01-02 03:04:05 INFO SELECT a\nFROM b\n\n  WHERE c\n\n2024-01-02 03:04:06 INFO ok\n";
    let format = Format::detect(log.as_bytes(), &ASSUMED);
    let records: Vec<Record> = format.records(log.as_bytes()).collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].message, "SELECT a\nFROM b\n\n  WHERE c");
    assert_eq!(records[0].stack_trace, None);
}
