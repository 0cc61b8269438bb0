//! Several processes that replay together.

use std::{process::Command, thread};

use super::place::{Place, SMALL, assert_same, log};
use crate::{
    command::{self, Ended},
    support::{mariadb::Mariadb, ports},
};

const PROCESSES: usize = 2;

/// The commands of a replay by two processes with two workers each.
fn commands(place: &Place, log: &str) -> Vec<Command> {
    let hosts = [(); PROCESSES].map(|()| format!("127.0.0.1:{}\n", ports::free())).concat();
    let hosts = place.write("hosts", hosts);
    let command = |process: usize| {
        let process = process.to_string();
        let cluster = ["--processes", "2", "--process", &process, "--hosts", &hosts];
        place.command(&[&SMALL[..], &cluster, &["--workers", "2", "--json", log]].concat())
    };
    (0..PROCESSES).map(command).collect()
}

fn run(commands: Vec<Command>) -> Vec<Ended> {
    let running: Vec<_> =
        commands.into_iter().map(|command| thread::spawn(|| command::end(command, b""))).collect();
    running.into_iter().map(|ended| ended.join().expect("it ended")).collect()
}

fn events(ended: &Ended) -> u64 {
    super::place::summary(ended, 0)["events"].as_u64().expect("a number")
}

#[test]
fn processes_share_a_log() {
    let lines = log(4_000, 300);
    let alone = Place::embedded();
    alone.replay(&[&alone.write("log", &lines)]).assert_says(0, &[]);
    let mariadb = Mariadb::start();
    let place = Place::on(&mariadb, "shared");
    let log = place.write("log", &lines);
    let ended = run(commands(&place, &log));
    let shares: Vec<u64> = ended.iter().map(events).collect();
    assert_eq!(shares.iter().sum::<u64>(), 4_000, "{shares:?}");
    assert!(shares.iter().all(|share| *share > 500), "{shares:?}");
    assert_same(&place.tables(Some(&mariadb)), &alone.tables(None));
    assert_eq!(run(commands(&place, &log)).iter().map(events).sum::<u64>(), 0);
}

#[cfg(feature = "failpoints")]
#[test]
fn one_that_is_killed_stops_all_and_the_next_run_goes_on() {
    let lines = log(4_000, 300);
    let alone = Place::embedded();
    alone.replay(&[&alone.write("log", &lines)]).assert_says(0, &[]);
    let mariadb = Mariadb::start();
    let place = Place::on(&mariadb, "killed");
    let log = place.write("log", &lines);
    let mut first = commands(&place, &log);
    first[1].env("FAILPOINTS", "apply_committed=5*off->return");
    let ended = run(first);
    assert_eq!(ended[1].code, None, "{:?}", ended[1]);
    assert!(ended[0].code != Some(0), "{:?}", ended[0]);
    let counted = place.tables(Some(&mariadb));
    assert!(counted.sum() > 0 && counted.sum() < 4_000, "{}", counted.sum());
    for ended in run(commands(&place, &log)) {
        ended.assert_says(0, &[]);
    }
    assert_same(&place.tables(Some(&mariadb)), &alone.tables(None));
}

#[test]
fn wrong_clusters_are_named() {
    let place = Place::embedded();
    let file = place.write("log", log(2, 2));
    let two = ["--processes", "2", "--process", "2", &file];
    place.replay(&two).assert_says(78, &["--process: expected a number below"]);
    place.replay(&["--processes", "2", "-"]).assert_says(78, &["standard input is for one"]);
    let hosts = place.write("hosts", "127.0.0.1:1\n");
    let few = ["--processes", "2", "--hosts", &hosts, &file];
    place.replay(&few).assert_says(78, &["--hosts: 1 addresses for 2 processes"]);
}
