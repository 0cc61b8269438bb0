//! A job that kills every process that reads it: after a few starts it is set aside, everything
//! else is counted, and `errsift dead jobs` has the last word.

use std::{path::Path, time::Duration};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::{
    command::run,
    load,
    stack::{DATABASE, Servers},
    support::{
        client::Client,
        errsift::{self, sum_of},
        mortal::Mortal,
        ports,
    },
    tables::Tables,
    wait,
};

const LOG: &str = "errsift.log";
const DEADLINE: Duration = Duration::from_secs(60);
/// The flight that kills, as the fail point is told.
const DEADLY: &str = "recover_fed_3=return";
const JOBS: u32 = 6;
/// One start that feeds many jobs at once, and three careful ones.
const DEATHS: u32 = 4;

fn metric(errsift: &Mortal, name: &str) -> Option<f64> {
    sum_of(&Client::new(errsift.address()).get("/metrics").1, name)
}

fn kills_until_it_is_set_aside(dir: &Path, stores: &[&str], tables: impl Fn() -> Tables) {
    let port = ports::free();
    let flags: Vec<String> =
        [stores, &["--flush-interval", "1h"]].concat().iter().map(ToString::to_string).collect();
    let start = |failpoints| Mortal::start(dir, LOG, port, &flags, &[("FAILPOINTS", failpoints)]);
    let ready = |errsift: &Mortal| wait::until_true("errsift to be ready", || errsift.is_ready());
    let dead = |words: &[&str]| run(&[&["dead", "jobs"], words, stores].concat(), &[]);
    let mut errsift = start("");
    ready(&errsift);
    let messages: Vec<String> = (1..=JOBS).map(|n| format!("error {n}")).collect();
    load::post_all(errsift.address(), &messages, 1);
    errsift.kill();
    for death in 1..=DEATHS {
        let mut errsift = start(DEADLY);
        assert!(errsift.wait(DEADLINE).is_some(), "death {death}: {}", errsift.log_tail(20));
    }
    let mut errsift = start(DEADLY);
    ready(&errsift);
    wait::until_true("the job to be set aside", || {
        metric(&errsift, "errsift_dead_jobs") == Some(1.0)
    });
    dead(&["list"]).assert_says(0, &["1 dead jobs", "the process died 3 times in a row"]);
    errsift.signal("TERM");
    assert_eq!(errsift.wait(DEADLINE).and_then(|status| status.code()), Some(0));
    for (n, message) in messages.iter().enumerate() {
        assert_eq!(tables().count(message), u64::from(n != 2), "{message}");
    }
    let mut errsift = start("");
    ready(&errsift);
    wait::until_true("its event to be known", || {
        metric(&errsift, "errsift_dead_events") == Some(1.0)
    });
    let verify = [&["journal", "verify"], stores].concat();
    run(&verify, &[]).assert_says(0, &["ok       ledger", "1 in 1 jobs set aside"]);
    // what killed it is mended: it is counted once, however often that is asked
    let cat = errsift::command().args(["dead", "jobs", "cat", "3"]).args(stores).output();
    assert!(cat.is_ok_and(|cat| cat.status.success() && cat.stdout.starts_with(b"ESJB")));
    dead(&["redrive", "4"]).assert_says(1, &["seq 4 is no dead job"]);
    dead(&["redrive", "3"]).assert_says(0, &["1 dead jobs redriven, 1 events counted"]);
    dead(&["redrive", "3"]).assert_says(1, &["seq 3 is no dead job"]);
    dead(&["redrive", "--all"]).assert_says(0, &["0 dead jobs redriven"]);
    dead(&["list", "--json"]).assert_says(0, &["\"count\":0", "\"events\":0"]);
    wait::until("the ledger", wait::SOON, || {
        let found = ["errsift_dead_jobs", "errsift_dead_events", "errsift_ledger_difference"]
            .map(|name| metric(&errsift, name));
        if found == [Some(0.0); 3] { Ok(()) } else { Err(format!("{found:?}")) }
    });
    errsift.signal("TERM");
    assert_eq!(errsift.wait(DEADLINE).and_then(|status| status.code()), Some(0));
    for message in &messages {
        assert_eq!(tables().count(message), 1, "{message}");
    }
    run(&verify, &[]).assert_says(0, &["ok       ledger"]);
}

#[test]
fn a_job_on_redis_that_kills_is_set_aside_and_redriven() {
    let (servers, dir) = (Servers::start(), TempDir::new().expect("a directory"));
    let urls = [servers.redis.url(), servers.mysql_url.clone()];
    let stores = ["--redis-url", &urls[0], "--mysql-url", &urls[1]];
    kills_until_it_is_set_aside(dir.path(), &stores, || {
        Tables::of_mariadb(&servers.mariadb, DATABASE)
    });
}

#[test]
fn an_embedded_job_that_kills_is_set_aside_and_redriven() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("errsift.db");
    let stores = ["--data", file.to_str().expect("a path of text")];
    kills_until_it_is_set_aside(dir.path(), &stores, || {
        Tables::of_sqlite(&Connection::open(&file).expect("a file"))
    });
}
