//! The crash table: for each point at which errsift can be made to end, and for both kinds of
//! stores, it ends there under load, starts and ends there once more, and starts for good. What
//! was acknowledged must then be counted exactly once, and what was not at most once.
//!
//! The points are those of `pipeline/src/failpoints.rs`. Which passing of a point is the last is
//! drawn from `CRASH_SEED`, 4 by default; a failing row says its seed.

mod row;
mod table;

use std::{env, sync::Mutex, thread};

use crate::support::{mariadb::Mariadb, random::Random};

use self::{
    row::{Place, run},
    table::{Meets, ROWS},
};

const SOURCE: &str = include_str!("../../../pipeline/src/failpoints.rs");
/// Rows at once: most of a row is waiting for processes to start and disks to sync.
const AT_ONCE: usize = 3;

fn seed() -> u64 {
    let given = env::var_os("CRASH_SEED");
    given.map_or(4, |seed| seed.to_string_lossy().parse().expect("CRASH_SEED is a number"))
}

/// Runs the rows that `place` can make, and says which of them failed.
fn assert_survives<'servers>(place: &(dyn Fn(usize) -> Place<'servers> + Sync)) {
    let seed = seed();
    let waiting: Mutex<Vec<usize>> = Mutex::new((0..ROWS.len()).rev().collect());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(at) = waiting.lock().expect("no panic while held").pop() else {
                        return;
                    };
                    let (point, meets) = ROWS[at];
                    let place = place(at);
                    if place.is_embedded() && meets == Meets::LostAnswers {
                        continue; // its answers come by return
                    }
                    let random = Random::new(seed, point);
                    if thread::scope(|row| row.spawn(|| run(place, at, random)).join()).is_err() {
                        failed.lock().expect("no panic while held").push(point);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic while held");
    assert!(failed.is_empty(), "with CRASH_SEED={seed}: {failed:?}");
}

#[test]
fn crashes_on_redis_and_mariadb() {
    let mariadb = Mutex::new(Mariadb::start());
    assert_survives(&|at| Place::servers(&mariadb, at));
}

#[test]
fn crashes_on_the_embedded_store() {
    assert_survives(&|_| Place::embedded());
}

#[test]
fn every_point_has_its_row() {
    let named: Vec<&str> = SOURCE
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next())
        .collect();
    let rows: Vec<&str> = ROWS.iter().map(|(point, _)| *point).collect();
    assert_eq!(rows, named);
}
