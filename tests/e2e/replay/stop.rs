//! Ctrl-C.

use std::{thread, time::Duration};

use super::place::{Place, SMALL, assert_same, indexes, log, summary};
use crate::{command::Running, support::mariadb::Mariadb, wait};

/// The input does not end: what was read is counted, and the rest by the next run.
#[test]
fn a_replay_that_is_told_to_stop_counts_what_it_has_read() {
    let lines = log(2_000, 100);
    let place = Place::embedded();
    let arguments = [&SMALL[..], &["--json", "--progress", "json", "-"]].concat();
    let mut replay = Running::start(&mut place.command(&arguments));
    replay.reads(&lines[..lines.floor_char_boundary(lines.len() / 2)]);
    // what is read in blocks shows when a block is full: wait for the log to be taken
    wait::until_true("the tables", || place.path("errsift.db").exists());
    thread::sleep(Duration::from_millis(500));
    replay.interrupt();
    let ended = replay.ends();
    ended.assert_says(79, &["run the same again to go on"]);
    let before = place.tables(None);
    before.assert_windows_sum_to_counts();
    let rest = place.replay_input(lines.as_bytes(), &["--json", "-"]);
    let rest = summary(&rest, 0)["events"].as_u64().expect("a number");
    assert_eq!(before.sum() + rest, 2_000);
    let expected = Place::embedded();
    expected.replay(&[&expected.write("log", &lines)]).assert_says(0, &[]);
    assert_same(&place.tables(None), &expected.tables(None));
}

/// Words take long, and whoever waits for them has enough: nothing is committed, and it says so.
#[test]
#[cfg(feature = "failpoints")]
fn a_replay_that_is_told_twice_stops_at_once() {
    let place = Place::embedded();
    let log = place.write("log", log(600, 600));
    let mut command = place.command(&["--json", &log]);
    command.env("FAILPOINTS", "details_begin=sleep(20000)");
    let mut replay = Running::start(&mut command);
    wait::until_true("the tables", || place.path("errsift.db").exists());
    thread::sleep(Duration::from_millis(500));
    replay.interrupt();
    thread::sleep(Duration::from_millis(500));
    assert!(replay.is_running());
    replay.interrupt();
    let ended = replay.ends();
    ended.assert_says(79, &["once more to stop at once", "stopped at once"]);
    let said = summary(&ended, 79);
    assert!(said["committed_seconds"].is_null() && said["complete"] == false, "{said}");
    assert_eq!(place.tables(None).sum(), 0);
    place.replay(&[&log]).assert_says(0, &["600 counted"]);
}

/// A table is complete long before the other, and the server closes connections that are idle.
#[test]
fn one_table_waits_for_the_other() {
    let mariadb = Mariadb::start();
    let place = Place::on(&mariadb, "idle");
    let mut replay = Running::start(&mut place.command(&["-"]));
    await_tables(&mariadb, "idle");
    let reader = mariadb.hold("idle", &["START TRANSACTION", "SELECT * FROM error_details"]);
    mariadb.query("idle", "SET GLOBAL wait_timeout = 1");
    replay.reads(&log(300, 40));
    replay.reads_no_more();
    await_waiting_index(&mariadb, "idle");
    wait::until_true("the other table's indexes", || indexes(&mariadb, "idle") == 3);
    thread::sleep(Duration::from_secs(3));
    drop(reader);
    replay.end().assert_says(0, &["300 counted"]);
    assert_eq!((place.tables(Some(&mariadb)).sum(), indexes(&mariadb, "idle")), (300, 8));
    let version = place.number(Some(&mariadb), "SELECT MAX(version) FROM schema_migrations");
    assert!(version > 1, "{version}");
}

/// All is counted, and somebody keeps the indexes from being built: they are left to whoever comes next.
#[test]
fn a_replay_that_builds_indexes_is_told_to_stop() {
    let mariadb = Mariadb::start();
    let (place, lines) = (Place::on(&mariadb, "stopped"), log(300, 40));
    let mut replay = Running::start(&mut place.command(&["--json", "-"]));
    await_tables(&mariadb, "stopped");
    let reader = mariadb.hold("stopped", &["START TRANSACTION", "SELECT * FROM error_counts"]);
    replay.reads(&lines);
    replay.reads_no_more();
    await_waiting_index(&mariadb, "stopped");
    // it says so after 2 s
    thread::sleep(Duration::from_secs(4));
    assert!(replay.is_running());
    replay.interrupt();
    let ended = replay.end();
    ended.assert_says(79, &["building the tables' indexes", "run the same again to go on"]);
    // all was committed before
    let said = summary(&ended, 79);
    let seconds = |name: &str| said[name].as_f64().expect("a number");
    assert!(seconds("committed_seconds") + 4.0 < seconds("seconds"), "{said}");
    assert!(indexes(&mariadb, "stopped") < 8);
    drop(reader);
    place.replay_input(lines.as_bytes(), &["-"]).assert_says(0, &[]);
    assert_eq!((place.tables(Some(&mariadb)).sum(), indexes(&mariadb, "stopped")), (300, 8));
}

fn await_tables(mariadb: &Mariadb, database: &str) {
    wait::until_true("the tables", || {
        !mariadb.query(database, "SHOW TABLES LIKE 'replay_sources'").is_empty()
    });
}

/// Whoever changes a table waits for whoever has read it.
fn await_waiting_index(mariadb: &Mariadb, database: &str) {
    wait::until_true("an index that waits", || {
        let waiting = "SELECT 1 FROM information_schema.processlist \
             WHERE db = DATABASE() AND state LIKE 'Waiting for table metadata lock%'";
        !mariadb.query(database, waiting).is_empty()
    });
}
