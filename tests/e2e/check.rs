//! `errsift check`, and servers whose settings promise less than is asked.

use crate::{
    command::run,
    load,
    stack::Servers,
    support::{errsift::Errsift, ports, redis::Redis},
};

fn urls(servers: &Servers) -> [String; 2] {
    [servers.redis.url(), servers.mysql_url.clone()]
}

fn with_everysec() -> Servers {
    let servers = Servers::start();
    Servers { redis: Redis::start_with(&["--appendfsync", "everysec"]), ..servers }
}

#[test]
fn good_stores_are_ok_line_by_line() {
    let [redis, mysql] = urls(&Servers::start());
    // the servers are gone by now: neither answers
    let gone = run(&["check", "--redis-url", &redis, "--mysql-url", &mysql], &[]);
    gone.assert_says(69, &["redis     does not answer", "mysql     does not answer"]);

    let servers = Servers::start();
    let [redis, mysql] = urls(&servers);
    let good = run(&["check", "--redis-url", &redis, "--mysql-url", &mysql], &[]);
    good.assert_says(
        0,
        &["appendonly", "= yes", "appendfsync", "= always", "= noeviction", "all, as default"],
    );
    good.assert_says(0, &["innodb_flush_log_at_trx_commit = 1", "version ", "as root@"]);
    for line in good.stdout.lines() {
        assert!(line.contains(" ok "), "{line}");
        assert_eq!(line.find(" = "), Some(59), "{line}");
    }
    assert!(good.stdout.lines().count() >= 20, "{}", good.stdout);

    let nowhere = format!("redis://127.0.0.1:{}", ports::free());
    let half = run(&["check", "--redis-url", &nowhere, "--mysql-url", &mysql], &[]);
    half.assert_says(69, &["redis     does not answer", "innodb_flush_log_at_trx_commit = 1"]);
    run(&["check"], &[]).assert_says(0, &["embedded", "ok"]);
}

#[test]
fn a_weaker_redis_is_named_refused_and_allowed() {
    let servers = with_everysec();
    let [redis, mysql] = urls(&servers);
    let urls = ["--redis-url", redis.as_str(), "--mysql-url", mysql.as_str()];
    let remedy = "CONFIG SET appendfsync always";

    let checked = run(&[&["check"], &urls[..]].concat(), &[]);
    checked.assert_says(1, &["weaker than asked  appendfsync ", "= everysec", remedy]);
    let enough = run(&[&["check", "--durability", "everysec"], &urls[..]].concat(), &[]);
    enough.assert_says(0, &["= everysec"]);

    let listen = ["serve", "--listen", "127.0.0.1:0"];
    let refused = run(&[&listen, &urls[..]].concat(), &[]);
    let words = ["= everysec", "durability fsync", remedy, "--allow-weaker"];
    refused.assert_says(69, &words);

    for more in [&["--allow-weaker"][..], &["--durability", "everysec"]] {
        let errsift = Errsift::start(&[&urls, more].concat());
        let answer = errsift.client().post(load::LOG, &load::body("weaker"));
        assert_eq!(answer.0, 200, "{more:?}: {}", answer.1);
    }
    drop(Errsift::start_with(&urls, &[("ERRSIFT_DURABILITY", "memory")]));
}
