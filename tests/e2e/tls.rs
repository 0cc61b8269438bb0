//! Encrypted stores, with real certificates made here, and users that may do only what is needed.

use crate::{
    command::{Ended, run},
    load::{self, Barrage, assert_exactly_once},
    stack::{DATABASE, Servers, Stack},
    support::{
        certificates::{Authority, Signed},
        errsift::Errsift,
        mariadb::Mariadb,
        redis::Redis,
    },
    wait,
};

/// What a user of Redis needs, as `src/redis/permissions.rs` says it.
const REDIS_USER: &[&str] = &[
    "SETUSER",
    "app",
    "on",
    ">r3dis",
    "~{es:*}:*",
    "+watch",
    "+exec",
    "+multi",
    "+discard",
    "+rpush",
    "+hset",
    "+hget",
    "+hmget",
    "+hincrby",
    "+llen",
    "+lrange",
    "+lset",
    "+ltrim",
    "+unlink",
    "+type",
    "+evalsha",
    "+script|load",
    "+pexpire",
    "+config|get",
    "+info",
    "+memory|usage",
    "+hscan",
    "+lset",
    "+lrem",
];
/// What a user of MySQL needs, as `src/mysql/privileges.rs` says it.
const MYSQL_GRANT: &str = "SELECT, INSERT, UPDATE, ALTER, CREATE, CREATE VIEW, DROP";

fn acl(redis: &Redis, words: &[&str]) {
    redis::cmd("ACL").arg(words).exec(&mut redis.connection()).expect("ACL");
}

fn path(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// Both stores encrypted, each wanting our certificate, for users with the fewest rights.
struct Encrypted {
    servers: Servers,
    authority: Authority,
    client: Signed,
    urls: [String; 2],
}

fn encrypted() -> Encrypted {
    let authority = Authority::new();
    let client = authority.sign("errsift", &["errsift"]);
    let redis = Redis::start_encrypted(&authority, "localhost");
    let mariadb = Mariadb::start_encrypted(&authority, "localhost");
    let mysql_url = mariadb.database(DATABASE);
    acl(&redis, REDIS_USER);
    for sql in [
        "CREATE USER app IDENTIFIED BY 'my5ql' REQUIRE X509".to_owned(),
        format!("GRANT {MYSQL_GRANT} ON {DATABASE}.* TO app"),
    ] {
        mariadb.query("mysql", &sql);
    }
    let urls = [
        format!("rediss://app:r3dis@localhost:{}", redis.process.port()),
        format!(
            "mysql://app:my5ql@localhost:{}/{DATABASE}?ssl-mode=VERIFY_IDENTITY",
            mariadb.process.port()
        ),
    ];
    Encrypted { servers: Servers { redis, mariadb, mysql_url }, authority, client, urls }
}

impl Encrypted {
    /// Settings as the environment gives them, with `ca` as the authority.
    fn environment(&self, ca: &std::path::Path) -> [(&'static str, String); 5] {
        [
            ("ERRSIFT_REDIS_URL", self.urls[0].clone()),
            ("ERRSIFT_MYSQL_URL", self.urls[1].clone()),
            ("ERRSIFT_TLS_CA", path(ca)),
            ("ERRSIFT_TLS_CERT", path(&self.client.cert)),
            ("ERRSIFT_TLS_KEY", path(&self.client.key)),
        ]
    }

    fn start(&self, flags: &[&str]) -> Errsift {
        let settings = self.environment(&self.authority.file());
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Errsift::start_with(flags, &settings)
    }

    fn run(&self, words: &[&str], change: impl Fn(&mut [(&'static str, String); 5])) -> Ended {
        let mut settings = self.environment(&self.authority.file());
        change(&mut settings);
        let settings: Vec<_> = settings
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let ended = run(words, &settings);
        for secret in ["r3dis", "my5ql", "PRIVATE"] {
            assert!(!format!("{ended:?}").contains(secret), "{secret} is in {ended:?}");
        }
        ended
    }
}

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

#[test]
fn encrypted_stores_count_exactly_once_while_redis_is_killed() {
    let mut encrypted = encrypted();
    let checked = encrypted.run(&["check"], |_| {});
    checked.assert_says(0, &["redis     ok                 tls", "TLSv1.3, TLS13_", "all, as app"]);
    checked.assert_says(0, &["mysql     ok                 tls", "TLSv1.3, TLS_", "as app@%"]);

    let errsift = encrypted.start(&["--flush-interval", "300ms", "--log", "debug"]);
    let barrage = Barrage::start(errsift.address(), 16);
    for _ in 0..3 {
        barrage.await_acks(400);
        encrypted.servers.redis.process.restart();
        acl(&encrypted.servers.redis, REDIS_USER);
    }
    barrage.await_acks(400);
    encrypted.servers.mariadb.process.restart();
    barrage.await_acks(400);
    let attempts = barrage.stop();
    let stack = Stack::of(errsift, encrypted.servers);
    stack.settle();
    assert_exactly_once(&stack.tables(), &attempts);
    for secret in ["r3dis", "my5ql"] {
        assert!(!stack.errsift.process.log().contains(secret), "{secret} is logged");
    }
}

#[test]
fn a_store_that_cannot_be_trusted_is_refused_by_name() {
    let encrypted = encrypted();
    let stranger = Authority::new();
    let other = path(&stranger.file());
    let checked = encrypted.run(&["check"], |settings| settings[2].1.clone_from(&other));
    checked.assert_says(69, &["redis     does not answer", "mysql     does not answer"]);
    assert_eq!(checked.stdout.matches("with --tls-ca").count(), 2, "{checked:?}");
    // the public authorities have not signed it either
    let checked = encrypted.run(&["check"], |settings| settings[2].1.clear());
    assert_eq!(checked.stdout.matches("with --tls-ca").count(), 2, "{checked:?}");
    // a server with a certificate of the right authority, but for another name
    let elsewhere = Redis::start_encrypted(&encrypted.authority, "elsewhere.example");
    let impostors = Mariadb::start_encrypted(&encrypted.authority, "elsewhere.example");
    let named = encrypted.run(&["check"], |settings| {
        let ports = [elsewhere.process.port(), impostors.process.port()];
        let ours =
            [encrypted.servers.redis.process.port(), encrypted.servers.mariadb.process.port()];
        for at in [0, 1] {
            let (from, to) = (ours[at].to_string(), ports[at].to_string());
            settings[at].1 = settings[at].1.replace(&from, &to);
        }
    });
    assert_eq!(named.stdout.matches("name or address into the URL").count(), 2, "{named:?}");
    let no_certificate = encrypted.run(&["check"], |settings| {
        settings[3].1.clear();
        settings[4].1.clear();
    });
    no_certificate.assert_says(69, &["redis     does not answer", "--tls-cert and --tls-key"]);

    for ended in [
        encrypted.run(&SERVE, |settings| settings[2].1.clone_from(&other)),
        encrypted.run(&SERVE, |settings| {
            // Redis does without, so it is MariaDB that is refused
            settings[0].1 = "redis://127.0.0.1:1".to_owned();
            settings[2].1.clone_from(&other);
        }),
    ] {
        ended.assert_says(78, &["--tls-ca"]);
    }
}

#[test]
fn missing_rights_are_named_with_what_grants_them() {
    let encrypted = encrypted();
    let revoke = |what: &str| {
        let sql = format!("REVOKE {what} ON {DATABASE}.* FROM app");
        encrypted.servers.mariadb.query("mysql", &sql);
    };
    revoke("INSERT, CREATE VIEW, DROP");
    let mend = format!("mend: GRANT INSERT, CREATE VIEW, DROP ON `{DATABASE}`.* TO 'app'@'%'");
    encrypted.run(&["check"], |_| {}).assert_says(1, &["app@% without INSERT, CREATE VIEW", &mend]);
    encrypted.run(&SERVE, |_| {}).assert_says(78, &[&mend]);
    let made = encrypted.servers.mariadb.query(DATABASE, "SHOW TABLES");
    assert!(made.is_empty(), "asking has made {made:?}");
    let grant = format!("GRANT {MYSQL_GRANT} ON {DATABASE}.* TO app");
    encrypted.servers.mariadb.query("mysql", &grant);
    acl(&encrypted.servers.redis, &["SETUSER", "app", "-rpush", "-memory|usage"]);
    let mend = "mend: ACL SETUSER app +rpush +memory|usage,";
    encrypted.run(&["check"], |_| {}).assert_says(1, &["app without rpush, memory|usage", mend]);
    // what only looking takes is not demanded
    let mend = "mend: ACL SETUSER app +rpush,";
    encrypted.run(&SERVE, |_| {}).assert_says(69, &[mend]);
    let allowed = [&SERVE[..], &["--allow-weaker"]].concat();
    encrypted.run(&allowed, |_| {}).assert_says(69, &[mend]);
    acl(&encrypted.servers.redis, &["SETUSER", "app", "-multi", "resetkeys"]);
    let mend = "ACL SETUSER app resetkeys ~{es:*}:* +";
    encrypted.run(&["check"], |_| {}).assert_says(1, &[mend]);
    let jobs = crate::stack::journal_jobs(&encrypted.servers.redis);
    assert_eq!(jobs, 0, "asking has executed nothing");
    acl(&encrypted.servers.redis, REDIS_USER);
    acl(&encrypted.servers.redis, &["SETUSER", "app", "allkeys"]);

    drop(encrypted.start(&[]));
    // once the schema is up to date, making tables is not needed
    revoke("CREATE, CREATE VIEW, DROP");
    let errsift = encrypted.start(&["--flush-interval", "300ms"]);
    // a flight larger than what TLS encrypts at once
    let trace = "x".repeat(64_000);
    let body = format!(r#"{{"message":"{}","stackTrace":"{trace}"}}"#, "y".repeat(8_000));
    assert_eq!(errsift.client().post(load::LOG, &body).0, 200);
    wait::until_true("the count in MariaDB", || {
        errsift.metric("errsift_counted_events") == Some(1.0)
    });
    encrypted.run(&["check"], |_| {}).assert_says(0, &["as app@%"]);
}

#[test]
fn weaker_tables_are_refused_unless_that_is_allowed() {
    let servers = Servers::start();
    servers.mariadb.query("mysql", "SET GLOBAL innodb_flush_log_at_trx_commit = 2");
    let [redis, mysql] = [servers.redis.url(), servers.mysql_url.clone()];
    let urls = ["--redis-url", redis.as_str(), "--mysql-url", mysql.as_str()];
    let mend = "mend: SET GLOBAL innodb_flush_log_at_trx_commit = 1";
    run(&[&["check"], &urls[..]].concat(), &[]).assert_says(1, &["weaker than asked", mend]);
    let refused = run(&[&SERVE, &urls[..]].concat(), &[]);
    refused.assert_says(78, &[mend, "--allow-weaker", "durability fsync"]);
    drop(servers.errsift(&["--allow-weaker"]));

    // weaker when connections are made again: nothing is applied until that is mended
    let set = |level: u32| {
        let sql = format!("SET GLOBAL innodb_flush_log_at_trx_commit = {level}");
        servers.mariadb.query("mysql", &sql);
    };
    set(1);
    let errsift = servers.errsift(&["--flush-interval", "300ms"]);
    set(2);
    let sql = "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = ";
    for row in servers.mariadb.query("mysql", &format!("{sql}'{DATABASE}'")) {
        let connection: u64 = mysql_async::from_row(row);
        // it may be gone by itself
        let _ = servers.mariadb.try_query("mysql", &format!("KILL {connection}"));
    }
    assert_eq!(errsift.client().post(load::LOG, &load::body("kept")).0, 200);
    wait::until_true("the refusal", || errsift.process.log().contains(mend));
    assert_ne!(errsift.metric("errsift_counted_events"), Some(1.0));
    set(1);
    let stack = Stack::of(errsift, servers);
    stack.settle();
    assert_eq!(stack.tables().count("kept"), 1);
}
