//! One line or two of each form that is told apart, made up, with what they must say.

use errsift_ops::{
    log::{Assumed, Format, Record, Year},
    timestamp::Timestamp,
};

const ASSUMED: Assumed = Assumed { year: Year::Is(2024), utc_offset_seconds: 0 };

fn said(record: &Record) -> (String, &'static str, String) {
    let time = record.timestamp.map_or_else(|| "none".to_owned(), |at| at.to_string());
    (time, record.level.map_or("none", |level| level.as_str()), record.message.to_string())
}

/// Holds a log to its form's name and to the time, level and message of each record.
#[track_caller]
fn hold(log: &str, name: &str, expected: &[(&str, &str, &str)]) {
    let format = Format::detect(log.as_bytes(), &ASSUMED);
    assert_eq!(format.name(), name, "{log}");
    let records: Vec<_> = format.records(log.as_bytes()).map(|record| said(&record)).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(time, level, message)| ((*time).to_owned(), *level, (*message).to_owned()))
        .collect();
    assert_eq!(
        records.iter().map(|(t, l, m)| (t.clone(), *l, m.clone())).collect::<Vec<_>>(),
        expected,
        "{log}"
    );
}

/// A log of one line, at 2024-01-02T03:04:05 and so many milliseconds.
#[track_caller]
fn line(log: &str, name: &str, fraction: &str, level: &str, message: &str) {
    hold(log, name, &[(&format!("2024-01-02T03:04:05.{fraction}Z"), level, message)]);
}

#[test]
fn iso_of_many_libraries() {
    let iso = |log, fraction, level, message| line(log, "iso", fraction, level, message);
    iso("2024-01-02T03:04:05Z ERROR lost", "000", "error", "lost");
    iso("2024-01-02T05:04:05.678901+02:00 WARN lost", "678", "warning", "lost");
    // log4j, logback, JBoss, Spring
    iso("2024-01-02 03:04:05,678 [main] ERROR org.app.Main - lost", "678", "error", "lost");
    iso("2024-01-02 03:04:05,678 ERROR org.app.Main:12 - lost", "678", "error", "lost");
    iso("2024-01-02 03:04:05,678 ERROR [org.app] (worker-1) lost", "678", "error", "lost");
    iso(
        "2024-01-02 03:04:05.678 ERROR 71 --- [  main] o.app.Main        : lost",
        "678",
        "error",
        "lost",
    );
    // Python: logging, gunicorn, Flask, Celery, loguru
    iso("2024-01-02 03:04:05,678 - root - CRITICAL - lost", "678", "fatal", "lost");
    iso("2024-01-02 03:04:05,678 ERROR:root:lost", "678", "error", "lost");
    iso("[2024-01-02 03:04:05 +0000] [17] [INFO] Booting worker", "000", "info", "Booting worker");
    iso("[2024-01-02 03:04:05,678: ERROR/MainProcess] lost", "678", "error", "lost");
    iso("2024-01-02 03:04:05.678 | ERROR    | app:run:12 - lost", "678", "error", "lost");
    // Go and nginx
    iso("2024/01/02 03:04:05 lost", "000", "none", "lost");
    iso("2024/01/02 03:04:05 [error] 12#34: *56 open() failed", "000", "error", "open() failed");
    iso("2024-01-02T03:04:05.678Z\terror\tmain.go:12\tlost", "678", "error", "lost");
    // Rust: env_logger, tracing
    iso("[2024-01-02T03:04:05Z ERROR app::net] lost", "000", "error", "lost");
    iso("2024-01-02T03:04:05.678901Z ERROR app::net: lost", "678", "error", "lost");
    // servers
    iso(
        "2024-01-02 03:04:05.678 UTC [17] ERROR:  relation \"x\" does not exist",
        "678",
        "error",
        "relation \"x\" does not exist",
    );
    iso("2024-01-02T03:04:05.678901Z 8 [ERROR] [MY-0123] [Server] lost", "678", "error", "lost");
    iso("[2024-01-02T03:04:05,678][ERROR][o.e.index] [node-1] lost", "678", "error", "lost");
    iso("[2024-01-02 03:04:05] production.ERROR: lost", "000", "error", "lost");
    iso("2024-01-02 03:04:05.678 +00:00 [ERR] lost", "678", "error", "lost");
    iso("2024-01-02 03:04:05, Info                  CBS    Loaded", "000", "info", "CBS    Loaded");
}

#[test]
fn a_message_keeps_its_own_words() {
    let iso = |log, level, message| line(log, "iso", "000", level, message);
    iso("2024-01-02 03:04:05 Error connecting to db", "none", "Error connecting to db");
    iso("2024-01-02 03:04:05 ERROR failed: no disk", "error", "failed: no disk");
    iso(
        "2024-01-02 03:04:05 ERROR java.io.IOException: lost",
        "error",
        "java.io.IOException: lost",
    );
    iso("2024-01-02 03:04:05 got no ERROR here", "none", "got no ERROR here");
    iso("2024-01-02 03:04:05 user bob: out", "none", "user bob: out");
}

#[test]
fn loggers_are_learned_from_the_lines() {
    let log = "2024-01-02 03:04:05 ERROR worker: lost a: b\n\
        2024-01-02 03:04:05 ERROR worker: lost\n\
        2024-01-02 03:04:05 ERROR app: found\n";
    let at = "2024-01-02T03:04:05.000Z";
    hold(log, "iso", &[(at, "error", "lost a: b"), (at, "error", "lost"), (at, "error", "found")]);
}

#[test]
fn syslog() {
    let old = |log, level, message| line(log, "syslog", "000", level, message);
    old("Jan  2 03:04:05 host sshd[7]: lost: it", "none", "lost: it");
    old("<11>Jan  2 03:04:05 host sshd[7]: lost", "error", "lost");
    old("Jan 02 03:04:05 host kernel: [  12.3] lost", "none", "[  12.3] lost");
    old("Jan  2 2024 03:04:05 host app: lost", "none", "lost");
    assert!(!Format::detect(b"Jan  2 03:04:05 host app: lost\n", &ASSUMED).has_year());
    line(
        "2024-01-02T03:04:05.678901+00:00 host sshd[7]: lost",
        "syslog-iso",
        "678",
        "none",
        "lost",
    );
    let new = |log, level, message| line(log, "rfc5424", "003", level, message);
    new(
        "<165>1 2024-01-02T03:04:05.003Z host app 7 ID47 [a@1 k=\"v]\\\"\"][b] \u{feff}lost",
        "info",
        "lost",
    );
    new("<11>1 2024-01-02T03:04:05.003000+00:00 - - - - - lost", "error", "lost");
}

#[test]
fn web_servers() {
    let error = |log, fraction, level, message| line(log, "apache-error", fraction, level, message);
    error("[Tue Jan 02 03:04:05 2024] [error] lost", "000", "error", "lost");
    error(
        "[Tue Jan 02 03:04:05.678901 2024] [core:crit] [pid 7:tid 8] [client 10.0.0.1:9] AH1: lost",
        "678",
        "fatal",
        "AH1: lost",
    );
    let access = |log, level, message| line(log, "access", "000", level, message);
    access(
        "10.0.0.1 - bob [01/Jan/2024:20:04:05 -0700] \"GET /a HTTP/1.0\" 200 23 \"-\" \"x\"",
        "info",
        "\"GET /a HTTP/1.0\" 200",
    );
    access(
        "10.0.0.1 - - [02/Jan/2024:03:04:05 +0000] \"GET /\\\" HTTP/1.1\" 503 0",
        "error",
        "\"GET /\\\" HTTP/1.1\" 503",
    );
    access("10.0.0.1 - - [02/Jan/2024:03:04:05 +0000] \"-\" 408 -", "warning", "\"-\" 408");
}

#[test]
fn forms_of_one_program() {
    line("E0102 03:04:05.678901   7 file.cc:12] lost", "glog", "678", "error", "lost");
    line("01-02 03:04:05.678  17  23 W Tag: lost", "logcat", "678", "warning", "lost");
    line("E, [2024-01-02T03:04:05.678901 #17] ERROR -- app: lost", "ruby", "678", "error", "lost");
    line("7:M 02 Jan 2024 03:04:05.678 # lost", "redis", "678", "warning", "lost");
    line(
        "time=\"2024-01-02T03:04:05Z\" level=error msg=\"lost \\\"it\\\"\" k=v",
        "logfmt",
        "000",
        "error",
        "lost \\\"it\\\"",
    );
    line(
        "ts=2024-01-02T03:04:05.678Z caller=main.go:1 level=warn msg=lost",
        "logfmt",
        "678",
        "warning",
        "lost",
    );
    line(
        "- 1704164645 2024.01.02 R0 2024-01-02-03.04.05.678901 R0 RAS KERNEL FATAL lost",
        "bgl",
        "678",
        "fatal",
        "lost",
    );
    line(
        "- 1704164645 2024.01.02 dn1 Jan 2 03:04:05 dn1/dn1 crond[7]: lost",
        "bgl",
        "000",
        "none",
        "lost",
    );
    hold(
        "Jan 02, 2024 3:04:05 AM app.Main run\nSEVERE: lost\nJan 02, 2024 12:04:05\u{202f}PM app.Main run\nINFO: ok\n",
        "java-util-logging",
        &[
            ("2024-01-02T03:04:05.000Z", "error", "lost"),
            ("2024-01-02T12:04:05.000Z", "info", "ok"),
        ],
    );
}

#[test]
fn other_dates() {
    line("24/01/02 03:04:05 ERROR app.Main: lost", "yy/mm/dd", "000", "error", "lost");
    line("240102 030405 17 WARN dfs.Node: lost", "yymmdd", "000", "warning", "lost");
    line(
        "20240102-03:04:05:678|Step|30002312|lost",
        "yyyymmdd",
        "678",
        "none",
        "Step|30002312|lost",
    );
    line("[02-Jan-2024 03:04:05 UTC] lost", "dd-mon-yyyy", "000", "none", "lost");
    line("[02-Jan-2024 03:04:05 Europe/Berlin] lost", "dd-mon-yyyy", "000", "none", "lost");
    line(
        "02-Jan-2024 03:04:05.678 SEVERE [main] org.app.Main.run lost",
        "dd-mon-yyyy",
        "678",
        "error",
        "lost",
    );
    line("Tue Jan  2 03:04:05 2024 ERROR lost", "ctime", "000", "error", "lost");
    line("1704164645.678 ERROR lost", "epoch", "678", "error", "lost");
    line("[1704164645678] lost", "epoch", "678", "none", "lost");
    line("web_1  | 2024-01-02 03:04:05,678 ERROR lost", "prefixed-iso", "678", "error", "lost");
}

#[test]
fn what_is_assumed() {
    let assumed = Assumed { year: Year::Is(2020), utc_offset_seconds: 7_200 };
    let at = |log: &str| {
        let format = Format::detect(log.as_bytes(), &assumed);
        format.records(log.as_bytes()).next().and_then(|record| record.timestamp)
    };
    let expected = Timestamp::parse_rfc3339("2020-02-29T10:00:00Z");
    assert_eq!(at("Feb 29 12:00:00 host app: lost"), expected);
    assert_eq!(at("2020-02-29 12:00:00 lost"), expected);
    assert_eq!(at("2020-02-29 12:00:00 +0200 lost"), expected);
    assert_eq!(at("2020-02-29 10:00:00Z lost"), expected);
    // no such day: a record, but without a time
    assert_eq!(at("2023-02-29 10:00:00Z lost"), None);
}

#[test]
fn odd_bytes() {
    let log = b"\xef\xbb\xbf2024-01-02 03:04:05 ERROR a\0b\xff\r\n more\r\n\r\n2024-01-02 03:04:06 ERROR end";
    let format = Format::detect(log, &ASSUMED);
    let records: Vec<_> = format.records(log).collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].message, "a\0b\u{fffd}\n more");
    assert_eq!((records[0].offset, records[0].len), (3, 41));
    assert_eq!(records[1].message, "end");
    assert_eq!(format.records(b"").count(), 0);
    assert_eq!(format.records(b"\n \r\n").count(), 0);
    for empty in [&b""[..], b"\n", b"\0\0\0", b"\xff"] {
        let format = Format::detect(empty, &ASSUMED);
        assert_eq!(format.name(), "plain");
        assert_eq!(
            format.records(empty).count(),
            usize::from(empty.len() == 3 || empty == b"\xff")
        );
    }
}

#[test]
fn lines_without_times_have_levels() {
    let none = "none";
    hold(
        "ERROR lost\n[warning] low\nINFO  fine\nhello: you\n  indented\n\nERROR: bye\n",
        "plain",
        &[
            (none, "error", "lost"),
            (none, "warning", "low"),
            (none, "info", "fine"),
            (none, none, "hello: you\n  indented"),
            (none, "error", "bye"),
        ],
    );
    hold(
        "ERROR:root:lost\nINFO:app:a\nINFO:app:b: c\n",
        "plain",
        &[(none, "error", "lost"), (none, "info", "a"), (none, "info", "b: c")],
    );
}

#[test]
fn two_programs_in_one_file() {
    let log = "2024-01-02 03:04:05 INFO a\n[Tue Jan 02 03:04:05 2024] [error] b\n\
        2024-01-02 03:04:05 INFO c\n[Tue Jan 02 03:04:05 2024] [notice] d\n\
        2024-01-02 03:04:05 INFO e\n";
    let at = "2024-01-02T03:04:05.000Z";
    let levels = ["info", "error", "info", "info", "info"];
    let expected: Vec<_> =
        levels.into_iter().zip(["a", "b", "c", "d", "e"]).map(|(l, m)| (at, l, m)).collect();
    hold(log, "iso", &expected);
}
