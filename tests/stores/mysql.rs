//! `MySQL`, on a real server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, sleep},
    time::Duration,
};

use errsift::{
    check::Verdict,
    migrated::Migrate,
    mysql::{MysqlErrors, MysqlUrlFault},
    schema::{SchemaFault, SchemaVersion, Stand},
};
use errsift_ops::{
    event::Payload,
    fingerprint::RULE,
    flight::Details,
    id::{Epoch, Seq, Shard, Term},
};
use errsift_pipeline::{
    conformance::{
        self,
        errors::{claim, row},
        fingerprint,
    },
    ports::{
        errors::{
            Claim, CountRow, DeadLetters, Errors, ErrorsFault, ErrorsWriter, PartStep, Range,
        },
        words::Words,
    },
};
use mysql_async::{Conn, Opts, prelude::Queryable};

use crate::support::mariadb::Mariadb;

fn store(server: &Mariadb, database: &str) -> MysqlErrors {
    MysqlErrors::new(&server.database(database), server.handle()).unwrap()
}

#[test]
fn mysql_keeps_the_contract() {
    let server = Mariadb::start();
    let errors = store(&server, "whole");
    assert_eq!(errors.migrate().unwrap(), SchemaVersion(4));
    conformance::errors::every(&errors);
    let errors = store(&server, "text").in_text();
    errors.migrate().unwrap();
    conformance::errors::every(&errors);
    // the smallest packet that the details of one error fit
    server.query("mysql", "SET GLOBAL max_allowed_packet = 1048576");
    let errors = store(&server, "small");
    errors.migrate().unwrap();
    conformance::errors::every(&errors);
    let of = |name| errors.settings().unwrap().into_iter().find(|check| check.name == name);
    assert_eq!(of("max_allowed_packet").unwrap().verdict, Verdict::Weaker);
    for name in ["version", "innodb_flush_log_at_trx_commit", "character_set_client", "sql_mode"] {
        assert_eq!(of(name).unwrap().verdict, Verdict::Ok, "{name}");
    }
    people_query_the_view(&server, &errors);
}

#[test]
fn mysql_answers_questions() {
    let server = Mariadb::start();
    let errors = store(&server, "questions");
    errors.migrate().unwrap();
    crate::queries::every(&errors);

    // a database of the first version, with errors in it, is brought up to date, also when that
    // was cut short before
    let errors = store(&server, "upgraded");
    errors.migrate().unwrap();
    crate::queries::fill(&errors);
    server.query(
        "upgraded",
        "ALTER TABLE error_counts DROP INDEX by_count, DROP INDEX by_last_seen, \
         DROP INDEX by_first_seen",
    );
    server.query(
        "upgraded",
        "ALTER TABLE error_details DROP INDEX by_stored_at, DROP INDEX by_service, \
         DROP INDEX by_level, DROP INDEX by_environment, DROP INDEX by_message, \
         DROP COLUMN stored_at",
    );
    for cut_short in ["", "ALTER TABLE error_details DROP INDEX by_message"] {
        if !cut_short.is_empty() {
            server.query("upgraded", cut_short);
            server.query("upgraded", "CREATE INDEX by_message ON error_details (message(64))");
        }
        server.query("upgraded", "DELETE FROM schema_migrations WHERE version >= 2");
        assert_eq!(errors.migrate().unwrap(), SchemaVersion(4));
        crate::queries::answers(&errors);
    }
}

/// How tables are made that hold the same.
fn made(server: &Mariadb, database: &str) -> Vec<String> {
    let tables = ["error_details", "error_counts", "applied_epochs", "replay_sources"];
    let shown = |table| {
        let rows = server.query(database, &format!("SHOW CREATE TABLE {table}"));
        mysql_async::from_row::<(String, String)>(rows[0].clone()).1
    };
    tables.map(shown).to_vec()
}

fn version(server: &Mariadb, database: &str) -> u32 {
    let rows = server.query(database, "SELECT MAX(version) FROM schema_migrations");
    mysql_async::from_row(rows[0].clone())
}

/// Tables that are made for a great many rows have no indexes before they are complete, or anybody
/// else has come.
#[test]
fn tables_made_for_many_rows_are_completed() {
    let server = Mariadb::start();
    let there = store(&server, "usual");
    there.migrate().unwrap();
    let usual = made(&server, "usual");
    let completions: [fn(&MysqlErrors); 3] = [
        |errors| assert_eq!(errors.complete().unwrap(), SchemaVersion(4)),
        |errors| assert_eq!(errors.migrate().unwrap(), SchemaVersion(4)),
        |errors| assert_eq!(errors.begin().unwrap(), Stand::UpToDate),
    ];
    for (name, complete) in ["completed", "migrated", "begun_again"].iter().zip(completions) {
        let errors = store(&server, name);
        assert_eq!(errors.look().unwrap(), Stand::Absent);
        assert_eq!(errors.begin().unwrap(), Stand::Behind);
        assert_eq!((version(&server, name), errors.look().unwrap()), (1, Stand::Behind));
        let has_indexes = |made: &[String]| made[..2].concat().contains("KEY `by_");
        assert!(has_indexes(&usual) && !has_indexes(&made(&server, name)), "{name}");
        // what lists are read by is missing, and no row
        crate::queries::fill(&errors);
        complete(&errors);
        assert_eq!(made(&server, name), usual, "{name}");
        assert_eq!((version(&server, name), errors.look().unwrap()), (4, Stand::UpToDate));
        crate::queries::answers(&errors);
    }
    // nothing is left out of tables that are there
    assert_eq!(there.begin().unwrap(), Stand::UpToDate);
    assert_eq!(there.complete().unwrap(), SchemaVersion(4));
}

/// More words than one statement takes are stored together, and all but those that are refused.
#[test]
fn many_words_are_stored_but_those_that_are_refused() {
    let server = Mariadb::start();
    let errors = store(&server, "many_words");
    errors.migrate().unwrap();
    let details: Vec<_> = (0..5_000)
        .map(|n| {
            let payload = Payload { message: format!("m{n:04}"), ..Payload::default() };
            (fingerprint(25, n), Arc::new(Details { rule: RULE, payload }))
        })
        .collect();
    let check = "ALTER TABLE error_details ADD CONSTRAINT odd CHECK (message <> 'm4321')";
    server.query("many_words", check);
    let dead = errors.writer().insert_details(Shard(25), &details).unwrap();
    assert_eq!(dead, DeadLetters { rows: 1, events: 0 });
    let stored = server.query("many_words", "SELECT COUNT(*) FROM error_details");
    assert_eq!(mysql_async::from_row::<u64>(stored[0].clone()), 4_999);
    server.query("many_words", "ALTER TABLE error_details DROP CONSTRAINT odd");
    let dead = errors.writer().insert_details(Shard(25), &details).unwrap();
    assert_eq!(dead, DeadLetters::default());
    let stored = server.query("many_words", "SELECT COUNT(*) FROM error_details");
    assert_eq!(mysql_async::from_row::<u64>(stored[0].clone()), 5_000);
}

/// Rows go in bulk by prepared statements, of which other programs may have used up all.
#[test]
fn a_server_without_prepared_statements_gets_text() {
    let server = Mariadb::start();
    let errors = store(&server, "unprepared");
    errors.migrate().unwrap();
    let mut writer = errors.writer();
    let details = Details { rule: RULE, payload: Payload::default() };
    let details = [(fingerprint(25, 1), Arc::new(details))];
    server.query("unprepared", "SET GLOBAL max_prepared_stmt_count = 0");
    let refused = writer.insert_details(Shard(25), &details);
    assert!(matches!(refused, Err(ErrorsFault::Transient(_))), "{refused:?}");
    writer.insert_details(Shard(25), &details).unwrap();
    let stored = server.query("unprepared", "SELECT COUNT(*) FROM error_details");
    assert_eq!(mysql_async::from_row::<u64>(stored[0].clone()), 1);
}

fn people_query_the_view(server: &Mariadb, errors: &MysqlErrors) {
    let key = fingerprint(25, 1);
    let rows = server.query(
        "small",
        &format!(
            "SELECT message, `count`, CAST(first_seen AS CHAR), CAST(last_seen AS CHAR), \
             JSON_VALUE(tags, '$.k') FROM errors WHERE fingerprint = '{key}'"
        ),
    );
    let row: (String, u64, String, String, String) = mysql_async::from_row(rows[0].clone());
    let (first, last) = ("2023-11-14 22:13:20.001", "2023-11-14 22:13:20.999");
    assert_eq!(row, ("all".into(), 3, first.into(), last.into(), "v".into()));
    let read = errors.reader().read(Shard(20), &key).unwrap();
    assert_eq!(read.count, 3);
    let none = server.query("small", "SELECT `count` FROM errors WHERE message = 'short 7'");
    assert_eq!(mysql_async::from_row::<u64>(none[0].clone()), 0);
}

#[test]
fn a_schema_is_made_once_and_guarded() {
    let server = Mariadb::start();
    let errors = store(&server, "schema");
    thread::scope(|scope| {
        let starts = [(); 2].map(|()| scope.spawn(|| errors.migrate().unwrap()));
        for start in starts {
            assert_eq!(start.join().unwrap(), SchemaVersion(4));
        }
    });
    assert_eq!(errors.migrate().unwrap(), SchemaVersion(4));

    server.query("schema", "UPDATE errsift_settings SET value = '32' WHERE name = 'parts'");
    let refused = errors.migrate().unwrap_err();
    assert!(matches!(refused, SchemaFault::Setting { name: "parts", .. }), "{refused}");
    server.query("schema", "INSERT INTO schema_migrations VALUES (99, NOW())");
    let refused = errors.migrate().unwrap_err().to_string();
    assert!(refused.contains("version 99") && refused.contains("up to 4"), "{refused}");

    server.query("schema", "DROP TABLE error_counts");
    let denied = errors.reader().read(Shard(1), &fingerprint(1, 1));
    assert!(matches!(denied, Err(ErrorsFault::Denied(_))), "{denied:?}");
    a_predecessor_is_ended(&server);
    what_cannot_be_reached(&server);
}

/// A predecessor that is frozen inside a transaction does not hold its guard rows for ever.
fn a_predecessor_is_ended(server: &Mariadb) {
    let errors = store(server, "frozen");
    errors.migrate().unwrap();
    errors.writer().take_guards(&claim(1, 1)).unwrap();
    let mut frozen = server.handle().block_on(async {
        let opts = Opts::from_url(&server.url("frozen")).unwrap();
        let mut conn = Conn::new(opts).await.unwrap();
        let take = "UPDATE applied_epochs SET connection_id = CONNECTION_ID()";
        conn.query_drop(take).await.unwrap();
        conn.query_drop("START TRANSACTION").await.unwrap();
        conn.query_drop("UPDATE applied_epochs SET epoch = 5").await.unwrap();
        conn
    });
    let taken = errors.writer().take_guards(&claim(1, 2)).unwrap();
    assert!(taken.iter().all(|guard| (guard.term, guard.epoch) == (Term(2), Epoch(0))));
    let woken = server.handle().block_on(frozen.query_drop("COMMIT"));
    assert!(woken.is_err());
}

fn what_cannot_be_reached(server: &Mariadb) {
    let fault = |url: &str| {
        let errors = MysqlErrors::new(url, server.handle()).unwrap();
        errors.writer().guards(Shard(1)).unwrap_err()
    };
    let nobody = fault("mysql://root@127.0.0.1:1/schema");
    assert!(matches!(nobody, ErrorsFault::Transient(_)), "{nobody}");
    let unknown = fault(&server.url("absent"));
    assert!(matches!(unknown, ErrorsFault::Denied(_)), "{unknown}");
    let stranger = fault(&server.url("schema").replace("root@", "stranger:secret@"));
    assert!(matches!(stranger, ErrorsFault::Denied(_)), "{stranger}");
    assert!(!stranger.to_string().contains("secret"));
    let without = MysqlErrors::new("mysql://root@127.0.0.1:1", server.handle());
    assert!(matches!(without, Err(MysqlUrlFault::NoDatabase)));
}

const ROUNDS: u64 = 300;
const WIDTH: u32 = 200;

/// Applies epochs one after the other, and after each fault does what a caller does: reads the
/// guard, and applies again if it says that nothing was applied.
fn apply_all(writer: &mut dyn ErrorsWriter, claim: &Claim, reached: &AtomicU64) -> u64 {
    let rows: Vec<CountRow> = (0..WIDTH).map(|n| row(fingerprint(40, n), 1, 0, 0)).collect();
    let parts = [PartStep { part: rows[0].fingerprint.part(), events: u64::from(WIDTH) }];
    let (mut epoch, mut faults) = (0, 0);
    while epoch < ROUNDS {
        let (after, upto, seq) = (Epoch(epoch), Epoch(epoch + 1), Seq(epoch + 1));
        let words = Words::NONE;
        let range = Range { after, upto, seq, parts: &parts, rows: &rows, words };
        match writer.apply(claim, &range) {
            Ok(applied) if applied.is_whole() => epoch += 1,
            Ok(moved) => panic!("nobody else writes, and nothing is refused: {moved:?}"),
            Err(ErrorsFault::Denied(reason)) => panic!("{reason}"),
            Err(ErrorsFault::Transient(_) | ErrorsFault::Unknown(_)) => {
                faults += 1;
                epoch = wait_for_guard(writer, claim);
            }
        }
        reached.store(epoch, Ordering::Release);
    }
    faults
}

fn wait_for_guard(writer: &mut dyn ErrorsWriter, claim: &Claim) -> u64 {
    for _ in 0..600 {
        match writer.guards(claim.shard) {
            Ok(guards) => return guards[40].epoch.0,
            Err(ErrorsFault::Denied(reason)) => panic!("{reason}"),
            Err(_) => sleep(Duration::from_millis(100)),
        }
    }
    panic!("the server does not come back");
}

#[test]
fn a_killed_server_is_found_again_and_nothing_counts_twice() {
    let mut server = Mariadb::start();
    let errors = store(&server, "killed");
    errors.migrate().unwrap();
    let (claim, reached) = (claim(1, 1), AtomicU64::new(0));
    let mut writer = errors.writer();
    writer.take_guards(&claim).unwrap();
    let faults = thread::scope(|scope| {
        let applying = scope.spawn(|| apply_all(&mut *writer, &claim, &reached));
        for mark in [ROUNDS / 4, ROUNDS / 2, ROUNDS * 3 / 4] {
            while reached.load(Ordering::Acquire) < mark {
                assert!(!applying.is_finished());
                sleep(Duration::from_millis(1));
            }
            server.process.kill_9();
            server.process.restart();
        }
        applying.join().unwrap()
    });
    assert!(faults >= 1);
    let guard = writer.guards(Shard(1)).unwrap()[40];
    assert_eq!((guard.epoch, guard.events), (Epoch(ROUNDS), ROUNDS * u64::from(WIDTH)));
    let mut reader = errors.reader();
    for n in [0, 1, WIDTH - 1] {
        assert_eq!(reader.read(Shard(1), &fingerprint(40, n)).unwrap().count, ROUNDS);
    }
}
