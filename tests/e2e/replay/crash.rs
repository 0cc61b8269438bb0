//! A replay that is killed, wherever it is, and run again.

use crate::{
    command::{self, Running},
    support::mariadb::Mariadb,
    wait,
};

use super::place::{Place, SMALL, assert_same, indexes, log};

/// Points that a replay meets, and how often it passes them before it dies.
const POINTS: [(&str, u32); 12] = [
    ("guards_begin", 0),
    ("guards_taken", 0),
    ("details_begin", 0),
    ("details_stored", 0),
    ("apply_begin", 3),
    ("apply_guarded", 0),
    ("apply_counted", 2),
    ("apply_commit", 1),
    ("apply_committed", 0),
    ("apply_committed", 3),
    ("apply_noted", 4),
    ("apply_done", 1),
];

/// How many errors are counted whose words are not there.
const NAMELESS: &str = "SELECT COUNT(*) FROM error_counts WHERE fingerprint NOT IN \
     (SELECT fingerprint FROM error_details)";

fn killed_everywhere(place: &Place, server: Option<&Mariadb>, workers: &str) {
    let lines = log(3_000, 400);
    let log = place.write("log", &lines);
    let arguments = [&SMALL[..], &["--workers", workers, &log]].concat();
    let mut died = 0;
    for (point, passes) in POINTS {
        let mut replay = place.command(&arguments);
        let first = if passes == 0 { String::new() } else { format!("{passes}*off->") };
        replay.env("FAILPOINTS", format!("{point}={first}return"));
        let ended = command::end(replay, b"");
        died += u32::from(ended.code.is_none());
        let counted = place.tables(server);
        counted.assert_windows_sum_to_counts();
        assert!(counted.sum() <= 3_000, "{point}: {}", counted.sum());
    }
    assert!(died >= 10, "only {died} died");
    // guards stand at several places now; whatever the sizes are, they are gone on from
    place.replay(&["--chunk-bytes", "777", &log]).assert_says(0, &[]);
    let expected = Place::embedded();
    expected.replay(&[&expected.write("log", &lines)]).assert_says(0, &["3000 counted"]);
    assert_same(&place.tables(server), &expected.tables(None));
}

#[test]
fn a_replay_that_was_killed_goes_on() {
    killed_everywhere(&Place::embedded(), None, "2");
    let mariadb = Mariadb::start();
    killed_everywhere(&Place::on(&mariadb, "killed_1"), Some(&mariadb), "1");
    assert_eq!(indexes(&mariadb, "killed_1"), 8);
    killed_everywhere(&Place::on(&mariadb, "killed_3"), Some(&mariadb), "3");
}

/// Into an empty database rows come first, and then what they are read by, whoever is killed between.
#[test]
fn tables_are_complete_after_a_replay_or_the_next() {
    let mariadb = Mariadb::start();
    let whole = Place::on(&mariadb, "whole");
    whole.replay(&[&whole.write("log", log(300, 40))]).assert_says(0, &["300 counted"]);
    assert_eq!(indexes(&mariadb, "whole"), 8);

    let killed = Place::on(&mariadb, "killed");
    let log = killed.write("log", log(300, 40));
    let mut replay = killed.command(&["--workers", "1", &log]);
    replay.env("FAILPOINTS", "apply_done=return");
    assert_eq!(command::end(replay, b"").code, None);
    assert_eq!((killed.tables(Some(&mariadb)).sum(), indexes(&mariadb, "killed")), (300, 0));
    killed.replay(&[&log]).assert_says(0, &[]);
    assert_eq!((killed.tables(Some(&mariadb)).sum(), indexes(&mariadb, "killed")), (300, 8));
}

/// A replay fills tables that have no indexes yet, and another, that ends before, builds them.
#[test]
fn tables_are_completed_beside_a_replay_that_fills_them() {
    let mariadb = Mariadb::start();
    let (place, lines) = (Place::on(&mariadb, "beside"), log(2_000, 100));
    let arguments = [&SMALL[..], &["--workers", "2", "-"]].concat();
    let mut filling = Running::start(&mut place.command(&arguments));
    let half = lines.floor_char_boundary(lines.len() / 2);
    filling.reads(&lines[..half]);
    let counted = |sql| place.number(Some(&mariadb), sql);
    wait::until_true("its first counts", || {
        !mariadb.query("beside", "SHOW TABLES LIKE 'replay_sources'").is_empty()
            && counted("SELECT COUNT(*) FROM error_counts") > 0
    });
    assert_eq!(indexes(&mariadb, "beside"), 0);

    let other = place.write("other", log(300, 40).replace("1700", "1600"));
    place.replay(&[&other]).assert_says(0, &["300 counted"]);
    assert_eq!(indexes(&mariadb, "beside"), 8);

    filling.reads(&lines[half..]);
    filling.end().assert_says(0, &[]);
    let tables = place.tables(Some(&mariadb));
    tables.assert_windows_sum_to_counts();
    assert_eq!((tables.sum(), indexes(&mariadb, "beside")), (2_300, 8));
    assert_eq!(counted(NAMELESS), 0);
}

/// A guard row says that a range need not be read again: what it counts has its words by then, however
/// long these take.
#[test]
fn what_is_counted_has_its_words_when_a_replay_is_killed() {
    killed_while_words_are_stored(&Place::embedded(), None);
    let mariadb = Mariadb::start();
    killed_while_words_are_stored(&Place::on(&mariadb, "worded"), Some(&mariadb));
}

fn killed_while_words_are_stored(place: &Place, server: Option<&Mariadb>) {
    let log = place.write("log", log(600, 600));
    let arguments = [&SMALL[..], &["--workers", "2", &log]].concat();
    let mut replay = place.command(&arguments);
    replay.env("FAILPOINTS", "details_begin=sleep(700);apply_committed=return");
    let ended = command::end(replay, b"");
    assert_eq!(ended.code, None, "{ended:?}");
    let number = |sql| place.number(server, sql);
    assert!(number("SELECT count(*) FROM error_counts") > 0);
    assert_eq!(number(NAMELESS), 0);
    // longer than a transaction waits
    let mut replay = place.command(&arguments);
    replay.env("FAILPOINTS", "details_begin=1*sleep(4000)->off");
    command::end(replay, b"").assert_says(0, &[]);
    assert_eq!((place.tables(server).sum(), number(NAMELESS)), (600, 0));
}

/// Somebody has tied counts to words, and words are late: no count is refused for that.
#[test]
fn a_foreign_key_to_words_sets_nothing_aside() {
    let mariadb = Mariadb::start();
    let place = Place::on(&mariadb, "tied");
    place.replay_input(log(10, 10).as_bytes(), &["-"]).assert_says(0, &[]);
    mariadb.query(
        "tied",
        "ALTER TABLE error_counts ADD FOREIGN KEY (fingerprint) REFERENCES error_details (fingerprint)",
    );
    // shorter and longer than a transaction waits
    for (name, millis, year) in [("soon", 500, "1600"), ("late", 4_000, "1500")] {
        let words = log(600, 600).replace("\"message\":\"", &format!("\"message\":\"{name} "));
        let log = place.write(name, words.replace("1700", year));
        let mut replay = place.command(&["--workers", "2", &log]);
        replay.env("FAILPOINTS", format!("details_begin=1*sleep({millis})->off"));
        command::end(replay, b"").assert_says(0, &["600 counted"]);
    }
    assert_eq!(place.number(Some(&mariadb), "SELECT COUNT(*) FROM dead_letters"), 0);
    assert_eq!(place.tables(Some(&mariadb)).sum(), 1_210);
}

#[test]
fn of_two_replays_of_one_log_one_wins() {
    let place = Place::embedded();
    let log = place.write("log", log(2_000, 100));
    let arguments = [&SMALL[..], &["--workers", "1", &log]].concat();
    let mut slow = place.command(&arguments);
    slow.env("FAILPOINTS", "apply_begin=1*off->1*sleep(5000)->off");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| command::end(slow, b""));
        // it has begun when something is counted
        crate::wait::until_true("the first range", || {
            place.path("errsift.db").exists()
                && std::panic::catch_unwind(|| place.tables(None).sum() > 0).unwrap_or(false)
        });
        place.replay(&arguments).assert_says(0, &[]);
        let slow = slow.join().expect("it ended");
        slow.assert_says(75, &["guard row"]);
    });
    assert_eq!(place.tables(None).sum(), 2_000);
}
