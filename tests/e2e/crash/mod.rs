//! The crash table: for each point at which errsift can be made to end, and for both kinds of
//! stores, it ends there under load, starts and ends there once more, and starts for good. What
//! was acknowledged must then be counted exactly once, and what was not at most once.
//!
//! The points are those of `pipeline/src/failpoints.rs`. Which passing of a point is the last is
//! drawn from `CRASH_SEED`, 4 by default; a failing row says its seed. `CRASH_ROWS` leaves out all
//! rows but those it names, between commas.

mod mishap;
mod row;
mod table;

use std::{collections::BTreeSet, env, fs, path::Path, sync::Mutex, thread};

use crate::support::{mariadb::Mariadb, random::Random};

use self::{
    row::{Place, run},
    table::{Meets, ROWS},
};

/// Rows at once: most of a row is waiting for processes to start and disks to sync.
const AT_ONCE: usize = 3;

fn seed() -> u64 {
    let given = env::var_os("CRASH_SEED");
    given.map_or(4, |seed| seed.to_string_lossy().parse().expect("CRASH_SEED is a number"))
}

/// Where the rows asked for are in the table.
fn asked() -> Vec<usize> {
    let Some(given) = env::var_os("CRASH_ROWS") else { return (0..ROWS.len()).collect() };
    let given = given.to_string_lossy();
    let at = |name| ROWS.iter().position(|(point, _)| *point == name);
    given.split(',').map(|name| at(name).expect("CRASH_ROWS names rows")).collect()
}

/// Runs the rows that `place` can make, and says which of them failed.
fn assert_survives<'servers>(place: &(dyn Fn(usize) -> Place<'servers> + Sync)) {
    let seed = seed();
    let waiting: Mutex<Vec<usize>> = Mutex::new(asked().into_iter().rev().collect());
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
                    if place.is_embedded() && matches!(meets, Meets::LostAnswers | Meets::Losses) {
                        continue; // its answers come by return, and it is no server that restarts
                    }
                    let random = Random::new(seed, point);
                    if thread::scope(|row| row.spawn(move || run(&place, at, random)).join())
                        .is_err()
                    {
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

/// What stands between `before` and the next quotation mark, wherever it occurs in the text.
fn quoted<'text>(text: &'text str, before: &'text str) -> impl Iterator<Item = &'text str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
}

/// Reads the sources below a directory.
fn read(directory: &Path, sources: &mut String) {
    for entry in fs::read_dir(directory).expect("sources") {
        let path = entry.expect("sources").path();
        if path.is_dir() {
            read(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn every_point_has_its_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(root.join("pipeline/src/failpoints.rs")).expect("the list");
    let rows: Vec<&str> = ROWS.iter().map(|(point, _)| *point).collect();
    assert_eq!(rows, quoted(&list, "\n    (\"").collect::<Vec<_>>());
    let documented = fs::read_to_string(root.join("docs/exactness.md")).expect("the document");
    for row in &rows {
        assert!(documented.contains(&format!("\n| `{row}` |")), "{row} is not documented");
    }

    let mut sources = String::new();
    for directory in ["pipeline/src", "src"] {
        read(&root.join(directory), &mut sources);
    }
    let passed: BTreeSet<&str> = quoted(&sources, "failpoints::pass(\"").collect();
    assert_eq!(passed, rows.into_iter().collect());
}
