//! Rows that the real tables refuse: by a trigger, by a constraint, or because a sum does not fit.

use std::sync::Arc;

use errsift::{
    dead::{DeadRow, DeadRows, Letter, Redriven},
    embedded::EmbeddedErrors,
    migrated::Migrate,
    mysql::MysqlErrors,
};
use errsift_ops::{
    event::Payload,
    fingerprint::{Fingerprint, RuleVersion},
    flight::Details,
    id::Shard,
};
use errsift_pipeline::{
    conformance::{
        self,
        errors::{apply, claim, row},
        fingerprint,
    },
    ports::errors::{Added, Applied, DeadLetters, Errors},
};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::mariadb::Mariadb;

/// What a test does to the tables, in the words that both kinds understand.
struct Tables<'a> {
    errors: &'a dyn Errors,
    letters: &'a dyn Fn(Shard) -> Box<dyn DeadRows>,
    run: &'a dyn Fn(&str),
    /// Gives an error the largest count that fits.
    full: &'a dyn Fn(Fingerprint) -> String,
}

fn hex(key: Fingerprint) -> String {
    format!("X'{key}'")
}

fn with_mariadb(database: &str, test: impl Fn(&Tables<'_>)) {
    let server = Mariadb::start();
    let url = server.database(database);
    let errors = MysqlErrors::new(&url, server.handle()).unwrap();
    errors.migrate().unwrap();
    test(&Tables {
        errors: &errors,
        letters: &|shard| errors.dead_rows(shard),
        run: &|sql| drop(server.query(database, sql)),
        full: &|key| {
            let (key, max) = (hex(key), u64::MAX);
            let seen = "'2023-11-14 00:00:00'";
            format!("INSERT INTO error_counts VALUES ({key}, {max}, {seen}, {seen})")
        },
    });
}

fn with_sqlite(test: impl Fn(&Tables<'_>)) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("errsift.db");
    let errors = EmbeddedErrors::new(&path);
    errors.migrate().unwrap();
    test(&Tables {
        errors: &errors,
        letters: &|shard| errors.dead_rows(shard),
        run: &|sql| Connection::open(&path).unwrap().execute_batch(sql).unwrap(),
        full: &|key| format!("INSERT INTO error_counts VALUES ({}, {}, 0, 0)", hex(key), i64::MAX),
    });
}

#[test]
fn mariadb_sets_aside_what_triggers_refuse() {
    with_mariadb("refusing", |tables| {
        (tables.run)("CREATE TABLE refused (fingerprint BINARY(32) PRIMARY KEY)");
        // counts are taken, and only the windows refused: both must go
        for table in ["error_windows", "error_details"] {
            (tables.run)(&format!(
                "CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} FOR EACH ROW \
                 IF EXISTS (SELECT 1 FROM refused AS r WHERE r.fingerprint = NEW.fingerprint) \
                 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'on purpose'; END IF"
            ));
        }
        conformance::dead::every(tables.errors, &|key| {
            (tables.run)(&format!("INSERT IGNORE INTO refused VALUES ({})", hex(key)));
        });
    });
}

#[test]
fn sqlite_sets_aside_what_triggers_refuse() {
    with_sqlite(|tables| {
        (tables.run)("CREATE TABLE refused (fingerprint BLOB PRIMARY KEY)");
        for table in ["error_windows", "error_details"] {
            (tables.run)(&format!(
                "CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} WHEN EXISTS \
                 (SELECT 1 FROM refused AS r WHERE r.fingerprint = NEW.fingerprint) \
                 BEGIN SELECT RAISE(ABORT, 'on purpose'); END"
            ));
        }
        conformance::dead::every(tables.errors, &|key| {
            (tables.run)(&format!("INSERT OR IGNORE INTO refused VALUES ({})", hex(key)));
        });
    });
}

#[test]
fn mariadb_redrives_and_drops() {
    with_mariadb("redriven", |tables| {
        let check = "ALTER TABLE error_windows ADD CONSTRAINT few CHECK (`count` < 100)";
        (tables.run)(check);
        letters_are_redriven_or_dropped(tables, &|tables| {
            (tables.run)("ALTER TABLE error_windows DROP CONSTRAINT few");
        });
    });
}

#[test]
fn sqlite_redrives_and_drops() {
    with_sqlite(|tables| {
        let refuse = |event: &str| {
            format!(
                "CREATE TRIGGER few_{event} BEFORE {event} ON error_windows WHEN NEW.count >= 100 \
                 BEGIN SELECT RAISE(ABORT, 'few'); END;"
            )
        };
        (tables.run)(&(refuse("INSERT") + &refuse("UPDATE")));
        letters_are_redriven_or_dropped(tables, &|tables| {
            (tables.run)("DROP TRIGGER few_INSERT; DROP TRIGGER few_UPDATE;");
        });
    });
}

fn all(letters: &mut dyn DeadRows) -> Vec<DeadRow> {
    letters.page(None, None).unwrap()
}

/// A window of 100 events is too much, and so is a count that does not fit its column.
fn letters_are_redriven_or_dropped(tables: &Tables<'_>, mend: &dyn Fn(&Tables<'_>)) {
    let (claim, at) = (claim(1, 1), 1_700_000_010_000);
    let [plain, large, full] = [1, 2, 3].map(|n| fingerprint(5, n));
    let mut writer = tables.errors.writer();
    writer.take_guards(&claim).unwrap();
    (tables.run)(&(tables.full)(full));
    let rows = [
        row(plain, 7, at, at + 1),
        row(large, 150, at + 2, at + 9),
        row(large, 1, at + 60_000, at + 60_000),
        row(full, 2, at, at),
    ];
    let dead = DeadLetters { rows: 3, events: 153 };
    let added = Added { new_errors: 1, dead };
    assert_eq!(apply(&mut *writer, &claim, (0, 4), &rows), Applied::Done(added));
    let settled = |counted, dead: (u64, u64), dropped| {
        let settled = tables.errors.writer().settled(Shard(1)).unwrap();
        let found = (settled.dead.rows, settled.dead.events);
        assert_eq!((settled.counted(), found, settled.dropped()), (counted, dead, dropped));
        assert_eq!(settled.events(), 160, "no event is ever lost");
    };
    settled(7, (3, 153), 0);

    let mut letters = (tables.letters)(Shard(1));
    let found = all(&mut *letters);
    let keys: Vec<_> = found.iter().map(|row| (row.key.fingerprint, row.count)).collect();
    assert_eq!(keys, [(large, 150), (large, 1), (full, 2)]);
    let seen = Letter::Seen { first_ms: at + 2, last_ms: at + 9 };
    assert_eq!((found[0].key.epoch.0, &found[0].letter), (4, &Ok(seen)));
    assert!(found.iter().all(|row| !row.reason.is_empty()));
    let after = letters.page(Some(&found[0].key), None).unwrap();
    assert_eq!(after, found[1..]);
    assert_eq!(letters.page(None, Some(&full)).unwrap(), found[2..]);
    assert!((tables.letters)(Shard(2)).page(None, None).unwrap().is_empty());

    // refused again; the smaller window is taken by itself
    let again = letters.redrive(&found[0]).unwrap();
    assert!(matches!(again, Redriven::Refused(_)), "{again:?}");
    settled(7, (3, 153), 0);
    assert_eq!(letters.redrive(&found[1]).unwrap(), Redriven::Done);
    assert_eq!(letters.redrive(&found[1]).unwrap(), Redriven::Gone);
    settled(8, (2, 152), 0);
    mend(tables);
    assert_eq!(letters.redrive(&found[0]).unwrap(), Redriven::Done);
    assert!(letters.discard(&found[2]).unwrap());
    assert!(!letters.discard(&found[2]).unwrap());
    assert_eq!(letters.redrive(&found[2]).unwrap(), Redriven::Gone);
    settled(158, (0, 0), 2);
    let read = tables.errors.reader().read(Shard(1), &large).unwrap();
    let times = [read.first_seen, read.last_seen].map(|time| time.unwrap().millis());
    assert_eq!((read.count, times), (151, [at + 2, at + 60_000]));

    // and the guard has moved on for good
    assert!(apply(&mut *writer, &claim, (4, 5), &rows[..1]).is_whole());
}

#[test]
fn words_are_redriven() {
    let words = |tables: &Tables<'_>, refuse: &str, mend: &str| {
        (tables.run)(refuse);
        let payload = Payload { message: "too\0'long".to_owned(), ..Payload::default() };
        let key = fingerprint(6, 1);
        let details = (key, Arc::new(Details { rule: RuleVersion(1), payload: payload.clone() }));
        let dead = tables.errors.writer().insert_details(Shard(3), &[details]).unwrap();
        assert_eq!(dead, DeadLetters { rows: 1, events: 0 });
        let mut letters = (tables.letters)(Shard(3));
        let found = all(&mut *letters);
        assert!(matches!(letters.redrive(&found[0]).unwrap(), Redriven::Refused(_)));
        (tables.run)(mend);
        assert_eq!(letters.redrive(&found[0]).unwrap(), Redriven::Done);
        assert!(all(&mut *letters).is_empty());
        let read = tables.errors.reader().read(Shard(3), &key).unwrap();
        assert_eq!(read.details, Some((RuleVersion(1), payload)));
    };
    with_sqlite(|tables| {
        let refuse = "CREATE TRIGGER short BEFORE INSERT ON error_details \
                      BEGIN SELECT RAISE(ABORT, 'short'); END";
        words(tables, refuse, "DROP TRIGGER short");
    });
    with_mariadb("words", |tables| {
        let refuse = "ALTER TABLE error_details ADD CONSTRAINT short CHECK (LENGTH(message) < 5)";
        words(tables, refuse, "ALTER TABLE error_details DROP CONSTRAINT short");
    });
}
