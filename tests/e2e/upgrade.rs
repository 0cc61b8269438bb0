//! Tables of an older errsift: events are taken while they are brought up to date.

use mysql_async::{Conn, Opts, prelude::Queryable};

use crate::{
    load,
    stack::{DATABASE, Servers, Stack},
    support::mariadb::Mariadb,
    wait,
};

/// Undoes the second to fourth version of the schema.
const BACK: [&str; 5] = [
    "ALTER TABLE error_counts DROP INDEX by_count, DROP INDEX by_last_seen, \
     DROP INDEX by_first_seen",
    "ALTER TABLE error_details DROP INDEX by_stored_at, DROP INDEX by_service, \
     DROP INDEX by_level, DROP INDEX by_environment, DROP INDEX by_message, DROP COLUMN stored_at",
    "ALTER TABLE applied_epochs DROP COLUMN dropped",
    "DROP TABLE replay_sources",
    "DELETE FROM schema_migrations WHERE version >= 2",
];

/// A connection that holds the lock under which schemas are changed.
fn hold_lock(mariadb: &Mariadb) -> Conn {
    mariadb.handle().block_on(async {
        let opts = Opts::from_url(&mariadb.url(DATABASE)).expect("its own URL");
        let mut conn = Conn::new(opts).await.expect("a connection");
        let lock = "SELECT GET_LOCK(CONCAT('errsift ', LEFT(SHA2(DATABASE(), 256), 32)), 0)";
        let held: Option<u8> = conn.query_first(lock).await.expect("GET_LOCK");
        assert_eq!(held, Some(1));
        conn
    })
}

#[test]
fn events_are_taken_while_the_schema_is_behind() {
    let servers = Servers::start();
    let flags = ["--flush-interval", "300ms"];
    let mut stack = Stack::of(servers.errsift(&flags), servers);
    let messages: Vec<String> = (0..50).map(|n| format!("of two versions {}", n % 10)).collect();
    load::post_all(stack.errsift.address(), &messages, 4);
    stack.settle();
    stack.errsift.process.kill_9();

    let servers = stack.outside();
    for statement in BACK {
        servers.mariadb.query(DATABASE, statement);
    }
    let lock = hold_lock(&servers.mariadb);
    stack.errsift = servers.errsift(&flags);
    load::post_all(stack.errsift.address(), &messages, 4);
    let mut client = stack.errsift.client();
    let (status, answer) = client.get("/errors");
    assert_eq!(status, 503, "{answer}");
    assert!(answer.contains("brought up to date"), "{answer}");
    wait::until_true("the tables to be missed", || client.get("/health/db").0 == 503);
    assert_eq!(client.get("/readyz").0, 200);
    assert_eq!(stack.tables().sum(), 50);

    drop(lock);
    stack.settle();
    let tables = stack.tables();
    assert_eq!(tables.errors.len(), 10);
    assert!(tables.errors.values().all(|row| row.count == 10), "{:?}", tables.errors);
    wait::until_true("lists again", || client.get("/errors").0 == 200);
}
