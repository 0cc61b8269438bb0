//! What errsift refuses at its start, and how clearly.

use rusqlite::Connection;
use tempfile::TempDir;

use crate::{
    command::run,
    load,
    stack::{DATABASE, Servers, Stack},
    support::{errsift::Errsift, ports},
};

#[test]
fn a_bad_value_is_named_with_the_accepted_range() {
    let cases = [
        ("--flush-interval", "ERRSIFT_FLUSH_INTERVAL", "0s", "100ms to 1h"),
        ("--workers", "ERRSIFT_WORKERS", "0", "1 to 64"),
        ("--workers", "ERRSIFT_WORKERS", "65", "1 to 64"),
        ("--shard", "ERRSIFT_SHARD", "99999", "0 to 65535"),
        ("--durability", "ERRSIFT_DURABILITY", "nope", "fsync, replicated, everysec, memory"),
        ("--listen", "ERRSIFT_LISTEN", "here", "an address and a port"),
    ];
    for (flag, variable, value, range) in cases {
        let by_flag = run(&["serve", flag, value], &[]);
        by_flag.assert_says(2, &[flag, value, range]);
        let by_environment = run(&["serve"], &[(variable, value)]);
        by_environment.assert_says(78, &[flag, variable, value, range]);
        let bare = run(&[flag, value], &[]);
        bare.assert_says(2, &[flag, value, range]);
    }
    let replicated = ("ERRSIFT_DURABILITY", "replicated");
    run(&["check"], &[replicated]).assert_says(78, &["--durability"]);
    run(&["check", "--durability", "fsync"], &[replicated]).assert_says(0, &["embedded"]);
}

#[test]
fn one_url_without_the_other_is_refused() {
    let redis = ("ERRSIFT_REDIS_URL", "redis://127.0.0.1:1");
    let mysql = ("ERRSIFT_MYSQL_URL", "mysql://root@127.0.0.1:1/db");
    for command in ["serve", "check"] {
        let missing = "--mysql-url: needed when --redis-url is given";
        run(&[command], &[redis]).assert_says(78, &[missing]);
        let missing = "--redis-url: needed when --mysql-url is given";
        run(&[command], &[mysql]).assert_says(78, &[missing]);
    }
    let wrong = [("ERRSIFT_REDIS_URL", "http://x"), ("ERRSIFT_MYSQL_URL", "nonsense")];
    run(&["serve"], &wrong).assert_says(78, &["--redis-url", "--mysql-url"]);
    run(&["serve", "--durability", "replicated"], &[]).assert_says(78, &["--durability"]);
}

#[test]
fn without_redis_there_is_no_server() {
    let nowhere = format!("127.0.0.1:{}", ports::free());
    let redis = format!("redis://{nowhere}");
    let mysql = format!("mysql://root@{nowhere}/db");
    let urls = ["--redis-url", &redis, "--mysql-url", &mysql];
    let ended = run(&[&["serve", "--listen", "127.0.0.1:0"], &urls[..]].concat(), &[]);
    ended.assert_says(69, &[&format!("errsift: redis at {nowhere}: "), "refused"]);
}

#[test]
fn an_address_in_use_leaves_the_running_server_alone() {
    let servers = Servers::start();
    let errsift = servers.errsift(&["--flush-interval", "300ms"]);
    let address = errsift.address().to_string();
    let [redis, mysql] = [servers.redis.url(), servers.mysql_url.clone()];
    let mut client = errsift.client();
    for n in 0..5 {
        let second = run(
            &["serve", "--listen", &address, "--redis-url", &redis, "--mysql-url", &mysql],
            &[],
        );
        second.assert_says(71, &["--listen", &address, "in use"]);
        let (status, answer) = client.post(load::LOG, &load::body("still here"));
        assert_eq!(status, 200, "after {n}: {answer}");
    }
    let stack = Stack::of(errsift, servers);
    stack.settle();
    assert_eq!(stack.tables().count("still here"), 5);
}

#[test]
fn a_newer_schema_is_not_touched() {
    let servers = Servers::start();
    drop(servers.errsift(&[]));
    servers.mariadb.query(DATABASE, "INSERT INTO schema_migrations VALUES (99, NOW())");
    let [redis, mysql] = [servers.redis.url(), servers.mysql_url.clone()];
    let listen = ["serve", "--listen", "127.0.0.1:0"];
    let urls = ["--redis-url", &redis, "--mysql-url", &mysql];
    let words = ["version 99", "run a newer errsift"];
    run(&[&listen, &urls[..]].concat(), &[]).assert_says(78, &words);

    let dir = TempDir::new().expect("no temporary directory");
    for name in ["errsift.db", "errsift.journal.db"] {
        let data = dir.path().join("errsift.db").display().to_string();
        drop(Errsift::start(&["--data", &data]));
        let file = Connection::open(dir.path().join(name)).expect("the store's file");
        let version: i64 =
            file.pragma_query_value(None, "user_version", |row| row.get(0)).expect("the version");
        file.pragma_update(None, "user_version", 99).expect("a higher version");
        run(&[&listen, &["--data", &data][..]].concat(), &[]).assert_says(78, &words);
        file.pragma_update(None, "user_version", version).expect("the old version");
    }
}
