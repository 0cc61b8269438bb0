//! Passwords work and are never said.

use crate::{
    command::run,
    load,
    stack::{DATABASE, Servers},
    support::errsift::Errsift,
    wait,
};

/// With characters that a URL must escape.
const REDIS_PASSWORD: &str = "r3d#is@sec/ret";
const REDIS_ESCAPED: &str = "r3d%23is%40sec%2Fret";
const MYSQL_PASSWORD: &str = "my$ql:se?cret";
const MYSQL_ESCAPED: &str = "my%24ql%3Ase%3Fcret";
/// What both spellings of either have in them.
const TRACES: [&str; 4] = ["r3d", "sec/ret", "my$ql", "my%24ql"];

fn assert_silent(text: &str) {
    for trace in TRACES.iter().chain(&["wr0ng"]) {
        assert!(!text.contains(trace), "{trace} is in {text}");
    }
}

fn guarded() -> (Servers, [(&'static str, String); 2]) {
    let servers = Servers::start();
    let _: () = redis::cmd("CONFIG")
        .arg(&["SET", "requirepass", REDIS_PASSWORD])
        .query(&mut servers.redis.connection())
        .expect("CONFIG SET");
    for sql in [
        format!("CREATE USER app IDENTIFIED BY '{MYSQL_PASSWORD}'"),
        format!("GRANT ALL ON {DATABASE}.* TO app"),
    ] {
        servers.mariadb.query("mysql", &sql);
    }
    let port = servers.mariadb.process.port();
    let redis = format!("redis://:{REDIS_ESCAPED}@127.0.0.1:{}", servers.redis.process.port());
    let mysql = format!("mysql://app:{MYSQL_ESCAPED}@127.0.0.1:{port}/{DATABASE}");
    (servers, [("ERRSIFT_REDIS_URL", redis), ("ERRSIFT_MYSQL_URL", mysql)])
}

#[test]
fn passwords_work_and_are_never_said() {
    let (mut servers, urls) = guarded();
    let environment = [(urls[0].0, urls[0].1.as_str()), (urls[1].0, urls[1].1.as_str())];
    let checked = run(&["check"], &environment);
    checked.assert_says(0, &["appendfsync", "innodb_flush_log_at_trx_commit"]);
    assert_silent(&format!("{checked:?}"));

    let flags = ["--flush-interval", "300ms", "--log", "trace"];
    let errsift = Errsift::start_with(&flags, &environment);
    let mut client = errsift.client();
    assert_eq!(client.post(load::LOG, &load::body("let in")).0, 200);
    wait::until_true("the count in MariaDB", || {
        errsift.metric("errsift_counted_events") == Some(1.0)
    });
    // both stores go away: now errors are logged and shown
    servers.mariadb.process.kill_9();
    servers.redis.process.kill_9();
    assert_eq!(client.post(load::LOG, &load::body("lost")).0, 503);
    wait::until_true("both to be missed", || client.get("/health/db").0 == 503);
    for path in ["/metrics", "/health", "/health/db", "/health/redis", "/readyz"] {
        assert_silent(&client.get(path).1);
    }
    assert_silent(&errsift.process.log());
}

#[test]
fn wrong_passwords_are_refused_without_being_said() {
    let (_servers, [redis, mysql]) = guarded();
    let wrong = |url: &str, escaped: &str| url.replace(escaped, "wr0ng");
    let wrong_redis = [(redis.0, wrong(&redis.1, REDIS_ESCAPED)), (mysql.0, mysql.1.clone())];
    let wrong_mysql = [(redis.0, redis.1), (mysql.0, wrong(&mysql.1, MYSQL_ESCAPED))];
    for (urls, word) in [(wrong_redis, "authentication failed"), (wrong_mysql, "denied")] {
        let environment = [(urls[0].0, urls[0].1.as_str()), (urls[1].0, urls[1].1.as_str())];
        let checked = run(&["check"], &environment);
        checked.assert_says(69, &["does not answer"]);
        assert_silent(&format!("{checked:?}"));
        let ended = run(&["serve", "--listen", "127.0.0.1:0"], &environment);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains(word), "{word} is not in {ended:?}");
        assert_silent(&format!("{ended:?}"));
    }
    // a URL that cannot be read is not repeated either
    let broken = [("ERRSIFT_REDIS_URL", "redis://:wr0ng@127.0.0.1:port"), (mysql.0, "wr0ng")];
    let ended = run(&["serve"], &broken);
    ended.assert_says(78, &["--redis-url", "--mysql-url"]);
    assert_silent(&format!("{ended:?}"));
    assert_silent(&format!("{:?}", run(&["--help"], &broken)));
}
