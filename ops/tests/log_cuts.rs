//! A log may be cut wherever `record_start` says: the parts' records are those of the whole.

use errsift_ops::log::{Assumed, Format, Record, Year};
use proptest::prelude::*;

mod crashes;
#[expect(dead_code, reason = "made for the tests of the whole; of it only the directory is used")]
#[path = "../../tests/support/loghub.rs"]
mod loghub;

const ASSUMED: Assumed = Assumed { year: Year::Is(2024), utc_offset_seconds: 0 };

/// The records of `log` cut at the places that `froms` lead to, with offsets in the whole.
fn cut<'a>(format: &'a Format, log: &'a [u8], froms: &[usize]) -> Vec<Record<'a>> {
    let mut cuts: Vec<usize> =
        froms.iter().filter_map(|from| format.record_start(log, *from)).collect();
    cuts.extend([0, log.len()]);
    cuts.sort_unstable();
    let mut records = Vec::new();
    for part in cuts.windows(2) {
        for mut record in format.records(&log[part[0]..part[1]]) {
            record.offset += part[0];
            records.push(record);
        }
    }
    records
}

#[track_caller]
fn hold(log: &[u8], froms: &[usize]) -> usize {
    let format = Format::detect(log, &ASSUMED);
    let whole: Vec<Record> = format.records(log).collect();
    assert_eq!(cut(&format, log, froms), whole);
    for (record, next) in whole.iter().zip(&whole[1.min(whole.len())..]) {
        assert_eq!(record.offset + record.len, next.offset);
    }
    assert!(whole.last().is_none_or(|last| last.offset + last.len == log.len()));
    for from in froms {
        let start = format.record_start(log, *from);
        // nothing before is looked at, but whether `from` is a line's start
        let line = log[..*from].iter().rposition(|byte| *byte == b'\n').map_or(0, |feed| feed + 1);
        if line == *from {
            assert_eq!(start, format.record_start(&log[*from..], 0).map(|start| start + from));
        }
        assert!(start.is_none_or(|start| whole.iter().any(|record| record.offset == start)));
    }
    whole.len()
}

/// A log of crashes and of `lines`, in the order that `numbers` say.
fn log_of(numbers: &[usize], lines: &[&str]) -> String {
    let mut log = String::new();
    for number in numbers {
        log += match crashes::ALL.get(*number) {
            Some(crash) => crash.text,
            None => lines[number % lines.len()],
        };
    }
    log
}

const TIMED: [&str; 5] = [
    "2024-01-02 03:04:05 INFO [main] app.Main: one\n",
    "2024-01-02 03:04:05 ERROR [main] app.Main: failed\njava.io.IOException: x\n\tat A.f(A.java:4)\n",
    "2024-01-02 03:04:05 INFO [main] app.Main: of\nseveral\n\n  lines\n",
    "[Tue Jan 02 03:04:05 2024] [error] other\n",
    "no time here\r\n",
];

/// Mostly lines that may be cut at: it takes a row of them.
const TIMELESS: [&str; 24] = {
    let mut lines = ["ordinary: line\n"; 24];
    lines[0] = "WARN low\n  indented\n";
    lines[1] = "\n";
    lines[2] = "Error: returned\n";
    lines[3] = "lone.Type: message\n";
    lines[4] = "Caused by: message\n";
    lines[5] = "/app/a.js:7\n";
    lines[6] = "thread 'main' panicked at a.rs:1:2:\n";
    lines
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn where_lines_have_times(numbers in prop::collection::vec(0_usize..200, 1..80), froms in prop::collection::vec(0_usize..20_000, 0..12)) {
        let log = format!("{}{}", TIMED[0].repeat(8), log_of(&numbers, &TIMED));
        let froms: Vec<usize> = froms.into_iter().map(|from| from % (log.len() + 1)).collect();
        hold(log.as_bytes(), &froms);
    }

    #[test]
    fn where_no_line_has_a_time(numbers in prop::collection::vec(0_usize..2_400, 1..400), froms in prop::collection::vec(0_usize..20_000, 0..12)) {
        let log = log_of(&numbers, &TIMELESS);
        let froms: Vec<usize> = froms.into_iter().map(|from| from % (log.len() + 1)).collect();
        hold(log.as_bytes(), &froms);
    }

    #[test]
    fn whatever_the_lines_are(lines in prop::collection::vec(0_usize..4_000, 1..400), froms in prop::collection::vec(0_usize..20_000, 0..12)) {
        // single lines of crashes, torn out of their order
        let all: Vec<String> = crashes::ALL.iter().flat_map(|crash| crash.text.lines()).map(|line| format!("{line}\n")).collect();
        let log: String = lines.iter().map(|at| all.get(*at).map_or("ordinary: line\n", String::as_str)).collect();
        let froms: Vec<usize> = froms.into_iter().map(|from| from % (log.len() + 1)).collect();
        hold(log.as_bytes(), &froms);
        let timed: String = lines.iter().map(|at| all.get(*at).map_or(TIMED[0], String::as_str)).collect();
        let froms: Vec<usize> = froms.into_iter().map(|from| from % (timed.len() + 1)).collect();
        hold(timed.as_bytes(), &froms);
    }

    #[test]
    fn whatever_the_bytes_are(log in prop::collection::vec(any::<u8>(), 0..2_000), from in 0_usize..2_000) {
        hold(&log, &[from % (log.len() + 1)]);
    }
}

#[test]
fn long_files_without_times_can_be_cut() {
    let log = TIMELESS[7].repeat(1_000);
    let format = Format::detect(log.as_bytes(), &ASSUMED);
    assert_eq!(format.record_start(log.as_bytes(), 1), Some(15 * 17));
    assert_eq!(format.record_start(log.as_bytes(), log.len() - 15), None);
    assert_eq!(hold(log.as_bytes(), &[0, 777, 7_777]), 1_000);
}

#[test]
fn a_line_of_a_mebibyte() {
    let long = "x".repeat(1 << 20);
    let log = format!("{}{} {long}\n{long}\n{}", TIMED[0], TIMED[0].trim_end(), TIMED[0]);
    assert_eq!(hold(log.as_bytes(), &[0, 100, 1 << 20, (1 << 20) + 200]), 3);
    assert_eq!(hold(long.as_bytes(), &[0, 100]), 1);
}

#[test]
fn real_logs() {
    for set in ["Apache", "BGL", "HDFS", "Hadoop", "Linux", "OpenStack", "Spark", "Zookeeper"] {
        let path = loghub::dir().join(format!("{set}_2k.log"));
        let Ok(log) = std::fs::read(&path) else {
            eprintln!("SKIPPED: no {}", path.display());
            continue;
        };
        let froms: Vec<usize> = (0..log.len()).step_by(997).collect();
        assert_eq!(hold(&log, &froms), 2_000, "{set}");
    }
}
