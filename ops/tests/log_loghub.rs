//! The real logs of Loghub 2k, held to their structured columns: each record's time, level and
//! message. They are not part of this repository: they are looked for in the directory that
//! `LOGHUB_DIR` names, else beside it; without them these tests say aloud that they skip.

use std::fs;

use errsift_ops::{
    log::{Assumed, Format, Level, Record, Year},
    timestamp::Timestamp,
};

#[expect(dead_code, reason = "made for the tests of the whole; of it only the CSV is read here")]
#[path = "../../tests/support/loghub.rs"]
mod loghub;

const ASSUMED: Assumed = Assumed { year: Year::Is(2005), utc_offset_seconds: 0 };

/// A set's log, and the rows of its structured form by column.
struct Set {
    log: Vec<u8>,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Set {
    fn read(name: &str) -> Option<Self> {
        let dir = loghub::dir();
        let log = dir.join(format!("{name}_2k.log"));
        let Ok(log) = fs::read(log) else {
            eprintln!("SKIPPED: no {name}_2k.log in {}", dir.display());
            return None;
        };
        let structured = dir.join(format!("{name}_2k.log_structured_corrected.csv"));
        let mut rows = loghub::csv(&fs::read_to_string(structured).expect("the structured form"));
        let columns = rows.remove(0);
        Some(Self { log, columns, rows })
    }

    fn cell<'a>(&self, row: &'a [String], column: &str) -> &'a str {
        let at = self.columns.iter().position(|name| name == column).expect("the column");
        &row[at]
    }
}

/// Holds each record of a set to its row: the form's name, the time that `time` makes of the row as
/// RFC 3339, the level in the column `level`, and the message.
fn hold(name: &str, form: &str, level: Option<&str>, time: impl Fn(&Set, &[String]) -> String) {
    let Some(set) = Set::read(name) else { return };
    let format = Format::detect(&set.log[..set.log.len().min(64 * 1024)], &ASSUMED);
    assert_eq!(format.name(), form);
    let records: Vec<Record> = format.records(&set.log).collect();
    assert_eq!(records.len(), 2_000);
    assert_eq!(set.rows.len(), 2_000);
    for (record, row) in records.iter().zip(&set.rows) {
        let line = set.cell(row, "LineId");
        let expected = time(&set, row);
        let expected = Timestamp::parse_rfc3339(&expected).expect("a time");
        assert_eq!(record.timestamp, Some(expected), "{name} {line}");
        let expected = level.map(|level| Level::of_word(set.cell(row, level)).expect("a level"));
        assert_eq!(record.level, expected, "{name} {line}");
        assert_eq!(record.message, set.cell(row, "Content").trim_end(), "{name} {line}");
        assert_eq!((record.kind.as_deref(), record.stack_trace.as_deref()), (None, None));
    }
    let bytes: usize = records.iter().map(|record| record.len).sum();
    assert_eq!(bytes, set.log.len());
}

#[test]
fn apache() {
    hold("Apache", "apache-error", Some("Level"), |set, row| {
        // "Sun Dec 04 04:47:44 2005"
        let words: Vec<&str> = set.cell(row, "Time").split(' ').collect();
        assert_eq!((words[1], words[4]), ("Dec", "2005"));
        format!("2005-12-{}T{}Z", words[2], words[3])
    });
}

#[test]
fn bgl() {
    hold("BGL", "bgl", Some("Level"), |set, row| {
        // "2005-06-03-15.42.50.675872" in California, where summer ended on October 30
        let time = set.cell(row, "Time");
        let (date, clock) = (&time[..10], time[11..19].replace('.', ":"));
        let at = |zone| format!("{date}T{clock}.{}{zone}", &time[20..]);
        let seconds: i64 = set.cell(row, "Timestamp").parse().expect("seconds");
        let of_epoch = |utc: &String| {
            Timestamp::parse_rfc3339(utc).is_some_and(|utc| utc.seconds() == seconds)
        };
        [at("-07:00"), at("-08:00")].into_iter().find(of_epoch).expect("one time in two columns")
    });
}

#[test]
fn hadoop() {
    hold("Hadoop", "iso", Some("Level"), |set, row| {
        format!("{}T{}Z", set.cell(row, "Date"), set.cell(row, "Time").replace(',', "."))
    });
}

#[test]
fn hdfs() {
    hold("HDFS", "yymmdd", Some("Level"), |set, row| {
        // the columns are numbers, without zeros in front
        let date = format!("{:0>6}", set.cell(row, "Date"));
        let time = format!("{:0>6}", set.cell(row, "Time"));
        let date = format!("20{}-{}-{}", &date[..2], &date[2..4], &date[4..]);
        format!("{date}T{}:{}:{}Z", &time[..2], &time[2..4], &time[4..])
    });
}

#[test]
fn linux() {
    hold("Linux", "syslog", None, |set, row| {
        let month = match set.cell(row, "Month") {
            "Jun" => "06",
            "Jul" => "07",
            other => panic!("{other}"),
        };
        format!("2005-{month}-{:0>2}T{}Z", set.cell(row, "Date"), set.cell(row, "Time"))
    });
}

#[test]
fn openstack() {
    hold("OpenStack", "prefixed-iso", Some("Level"), |set, row| {
        format!("{}T{}Z", set.cell(row, "Date"), set.cell(row, "Time"))
    });
}

#[test]
fn spark() {
    hold("Spark", "yy/mm/dd", Some("Level"), |set, row| {
        let date = set.cell(row, "Date").replace('/', "-");
        format!("20{date}T{}Z", set.cell(row, "Time"))
    });
}

#[test]
fn zookeeper() {
    hold("Zookeeper", "iso", Some("Level"), |set, row| {
        format!("{}T{}Z", set.cell(row, "Date"), set.cell(row, "Time").replace(',', "."))
    });
}
