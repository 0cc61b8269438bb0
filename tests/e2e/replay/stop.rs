//! Ctrl-C.

use std::{
    io::Write,
    process::{Child, Stdio},
};

use super::place::{Place, SMALL, assert_same, indexes, log};
use crate::{
    command::{Killed, collect},
    support::mariadb::Mariadb,
    wait,
};

fn signal(child: &Child) {
    let pid = i32::try_from(child.id()).expect("a pid");
    let told = std::process::Command::new("kill").args(["-INT", &pid.to_string()]).status();
    assert!(told.expect("kill").success());
}

/// The input does not end: what was read is counted, and the rest by the next run.
#[test]
fn a_replay_that_is_told_to_stop_counts_what_it_has_read() {
    let lines = log(2_000, 100);
    let place = Place::embedded();
    let arguments = [&SMALL[..], &["--json", "--progress", "json", "-"]].concat();
    let mut command = place.command(&arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Killed(command.spawn().expect("errsift"));
    let mut stdin = child.0.stdin.take().expect("piped");
    let half = lines.floor_char_boundary(lines.len() / 2);
    stdin.write_all(&lines.as_bytes()[..half]).expect("it reads");
    let stdout = collect(child.0.stdout.take().expect("piped"));
    let stderr = collect(child.0.stderr.take().expect("piped"));
    // what is read in blocks shows when a block is full: wait for the log to be taken
    wait::until_true("the tables", || place.path("errsift.db").exists());
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal(&child.0);
    let status = wait::until("the end", wait::SOON, || {
        child.0.try_wait().map_err(|error| error.to_string())?.ok_or_else(|| "it runs".to_owned())
    });
    drop(stdin);
    let (stdout, stderr) = (stdout.join().expect("text"), stderr.join().expect("text"));
    assert_eq!(status.code(), Some(79), "{stdout} {stderr}");
    assert!(stderr.contains("run the same again to go on"), "{stderr}");
    let before = place.tables(None);
    before.assert_windows_sum_to_counts();
    let rest = place.replay_input(lines.as_bytes(), &["--json", "-"]);
    let rest = super::place::summary(&rest, 0)["events"].as_u64().expect("a number");
    assert_eq!(before.sum() + rest, 2_000);
    let expected = Place::embedded();
    expected.replay(&[&expected.write("log", &lines)]).assert_says(0, &[]);
    assert_same(&place.tables(None), &expected.tables(None));
}

/// A table is complete long before the other, and the server closes connections that are idle.
#[test]
fn one_table_waits_for_the_other() {
    let mariadb = Mariadb::start();
    let (place, lines) = (Place::on(&mariadb, "idle"), log(300, 40));
    let mut command = place.command(&["-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Killed(command.spawn().expect("errsift"));
    let mut stdin = child.0.stdin.take().expect("piped");
    let stdout = collect(child.0.stdout.take().expect("piped"));
    let stderr = collect(child.0.stderr.take().expect("piped"));
    await_tables(&mariadb, "idle");
    let reader = mariadb.hold("idle", &["START TRANSACTION", "SELECT * FROM error_details"]);
    mariadb.query("idle", "SET GLOBAL wait_timeout = 1");
    stdin.write_all(lines.as_bytes()).expect("it reads");
    drop(stdin);
    await_waiting_index(&mariadb, "idle");
    wait::until_true("the other table's indexes", || indexes(&mariadb, "idle") == 3);
    std::thread::sleep(std::time::Duration::from_secs(3));
    drop(reader);
    let status = child.0.wait().expect("a process");
    let (stdout, stderr) = (stdout.join().expect("text"), stderr.join().expect("text"));
    assert_eq!(status.code(), Some(0), "{stdout} {stderr}");
    assert_eq!((place.tables(Some(&mariadb)).sum(), indexes(&mariadb, "idle")), (300, 8));
    let version = |sql| place.number(Some(&mariadb), sql);
    assert!(version("SELECT MAX(version) FROM schema_migrations") > 1);
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

/// All is counted, and somebody keeps the indexes from being built: they are left to whoever comes next.
#[test]
fn a_replay_that_builds_indexes_is_told_to_stop() {
    let mariadb = Mariadb::start();
    let (place, lines) = (Place::on(&mariadb, "stopped"), log(300, 40));
    let mut command = place.command(&["--json", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Killed(command.spawn().expect("errsift"));
    let mut stdin = child.0.stdin.take().expect("piped");
    let stdout = collect(child.0.stdout.take().expect("piped"));
    let stderr = collect(child.0.stderr.take().expect("piped"));
    await_tables(&mariadb, "stopped");
    let reader = mariadb.hold("stopped", &["START TRANSACTION", "SELECT * FROM error_counts"]);
    stdin.write_all(lines.as_bytes()).expect("it reads");
    drop(stdin);
    await_waiting_index(&mariadb, "stopped");
    // it says so after 2 s
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(child.0.try_wait().expect("a process").is_none());
    signal(&child.0);
    let status = wait::until("the end", wait::SOON, || {
        child.0.try_wait().map_err(|error| error.to_string())?.ok_or_else(|| "it runs".to_owned())
    });
    let (stdout, stderr) = (stdout.join().expect("text"), stderr.join().expect("text"));
    assert_eq!(status.code(), Some(79), "{stdout} {stderr}");
    for said in ["building the tables' indexes", "run the same again to go on"] {
        assert!(stderr.contains(said), "{stderr}");
    }
    // all was committed before
    let summary: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    let seconds = |name: &str| summary[name].as_f64().expect("a number");
    assert!(seconds("committed_seconds") + 4.0 < seconds("seconds"), "{summary}");
    assert!(indexes(&mariadb, "stopped") < 8);
    drop(reader);
    place.replay_input(lines.as_bytes(), &["-"]).assert_says(0, &[]);
    assert_eq!((place.tables(Some(&mariadb)).sum(), indexes(&mariadb, "stopped")), (300, 8));
}
