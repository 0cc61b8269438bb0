//! Two processes that claim one shard: one holds it, the other stands by or takes over, and a
//! holder that was frozen meanwhile never counts.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    load::{self, Attempt, Barrage, Fate, LOG, assert_exactly_once, body},
    stack::{DATABASE, Servers, Stack},
    support::{
        client::Client,
        errsift::{Errsift, command},
        ports,
        redis::Redis,
    },
    tables::Tables,
    wait,
};

const FLUSH: [&str; 2] = ["--flush-interval", "300ms"];
const TAKE_OVER: [&str; 3] = ["--flush-interval", "300ms", "--take-over"];
/// A mark runs out in 5 s, an exit drains for 25 s at most.
const EXIT: Duration = Duration::from_secs(32);

fn term(redis: &Redis) -> u64 {
    let fence = redis::cmd("HGET").arg(&["{es:0}:fence", "term"]).query(&mut redis.connection());
    fence.expect("the shard was taken")
}

fn await_ready(errsift: &Errsift) {
    wait::until_true("the shard to be taken", || {
        // between standing by and serving, connections are closed
        let answer = errsift.client().request("GET", "/readyz", &[], b"");
        matches!(answer, Ok((200, _)))
    });
}

/// What the process that stands by says, and what the holder's drain leaves to it.
#[test]
fn a_standby_serves_when_its_holder_has_drained() {
    let servers = Servers::start();
    let mut first = servers.errsift(&FLUSH);
    let mut second = servers.standby(&FLUSH);
    let mut client = second.client();
    assert_eq!(client.get("/livez").0, 200);
    for (path, of) in
        [(LOG, "the event was not stored"), ("/errors/batch", "nothing of the batch was stored")]
    {
        let headers = [("content-type", "application/json")];
        let refused = client.exchange("POST", path, &headers, body("to the standby").as_bytes());
        let refused = refused.expect("an answer");
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert!(refused.header("retry-after").is_some());
        let said = format!("this process stands by for another; {of}, try again");
        assert!(refused.body.contains(&said), "{}", refused.body);
    }
    let (status, page) = client.get("/metrics");
    assert_eq!(status, 200);
    assert!(page.contains("\nerrsift_standby 1\n"), "{page}");
    assert_eq!(first.metric("errsift_standby"), Some(0.0));
    let held = term(&servers.redis);
    assert_eq!(load::attempt(&mut first.client(), "to the holder"), Fate::Acked);
    assert!(first.process.is_running() && second.process.is_running());
    assert_eq!(term(&servers.redis), held);

    let code = first.process.sigterm(EXIT);
    assert_eq!(code, Some(0));
    await_ready(&second);
    assert_eq!(term(&servers.redis), held + 1);
    assert_eq!(load::attempt(&mut second.client(), "to the successor"), Fate::Acked);
    let mut third = servers.standby(&FLUSH);
    assert_eq!(third.process.sigterm(EXIT), Some(0), "{}", third.process.log());
    assert!(second.process.is_running());
    assert_eq!(second.process.sigterm(EXIT), Some(0));
    let tables = Tables::of_mariadb(&servers.mariadb, DATABASE);
    let count = |message: &str| tables.count(message);
    assert_eq!(count("to the holder"), 1);
    assert_eq!(count("to the successor"), 1);
    assert_eq!(count("to the standby"), 0);
}

/// `--data` of an errsift whose embedded store others are to share.
fn file(dir: &Path) -> String {
    dir.join("errsift.db").display().to_string()
}

/// A process that is frozen while it writes to a file keeps the file locked: nobody can take it
/// over, so this one is frozen while it does not.
fn freeze_between_transactions(errsift: &mut Errsift) {
    let files = ["errsift.db", "errsift.journal.db"].map(|name| errsift.process.dir().join(name));
    let is_free = |file: &std::path::PathBuf| {
        let conn = rusqlite::Connection::open(file).expect("a file of the store");
        conn.busy_timeout(Duration::ZERO).expect("a setting");
        conn.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
    };
    wait::until_true("a moment without a transaction", || {
        errsift.process.signal("STOP");
        let free = files.iter().all(is_free);
        if !free {
            errsift.process.signal("CONT");
        }
        free
    });
}

#[test]
fn a_file_has_one_holder_too() {
    let mut first = Errsift::start(&FLUSH);
    let data = file(first.process.dir());
    let mut flags = FLUSH.to_vec();
    flags.extend(["--data", &data]);
    let mut second = Errsift::stand_by(&flags);
    let of_first = Barrage::start(first.address(), 4);
    of_first.await_acks(200);
    let mut attempts = of_first.stop();
    freeze_between_transactions(&mut first);
    await_ready(&second);
    let of_second = Barrage::start(second.address(), 4);
    of_second.await_acks(200);
    first.process.signal("CONT");
    assert_eq!(first.process.wait(EXIT).code(), Some(75), "{}", first.process.log());
    attempts.extend(of_second.stop());
    assert_eq!(second.process.sigterm(EXIT), Some(0));
    let conn = rusqlite::Connection::open(&data).expect("the tables' file");
    assert_exactly_once(&Tables::of_sqlite(&conn), &attempts);
}

/// Freezes `first` under load, has `second` serve, thaws `first`: it must end without counting.
fn outlives(
    servers: Servers,
    mut first: Errsift,
    freeze: impl FnOnce(&Servers, &mut Errsift),
    successor: impl FnOnce(&Servers) -> Errsift,
) {
    let of_first = Barrage::start(first.address(), 8);
    of_first.await_acks(300);
    freeze(&servers, &mut first);
    let second = successor(&servers);
    let of_second = Barrage::start(second.address(), 8);
    of_second.await_acks(300);
    // its epochs are applied while the first is frozen: nothing of the first's is in the way
    wait::until_true("the successor to apply", || {
        second.metric("errsift_counted_events").is_some_and(|counted| counted > 0.0)
            && second.metric("errsift_applied_epochs_total").is_some_and(|epochs| epochs > 0.0)
    });
    first.process.signal("CONT");
    assert_eq!(first.process.wait(EXIT).code(), Some(75), "{}", first.process.log());
    of_second.await_acks(300);
    let mut attempts: Vec<Attempt> = of_first.stop();
    attempts.extend(of_second.stop());
    let mut stack = Stack::of(second, servers);
    assert!(stack.errsift.process.is_running());
    stack.settle();
    assert_exactly_once(&stack.tables(), &attempts);
}

#[test]
fn a_holder_frozen_under_load_is_overtaken() {
    let servers = Servers::start();
    let first = servers.errsift(&FLUSH);
    outlives(
        servers,
        first,
        |_, first| first.process.signal("STOP"),
        |servers| servers.errsift(&TAKE_OVER),
    );
}

#[test]
fn a_standby_takes_over_from_a_frozen_holder() {
    let servers = Servers::start();
    let first = servers.errsift(&FLUSH);
    let second = servers.standby(&FLUSH);
    outlives(
        servers,
        first,
        |_, first| first.process.signal("STOP"),
        |_| {
            await_ready(&second);
            second
        },
    );
}

/// Longer than `MariaDB` keeps what it last showed of its transactions: a table of
/// `information_schema` that is read more often than every 0.1 s never changes.
const TRANSACTIONS: Duration = Duration::from_millis(250);

/// Transactions in a state that have all guard rows.
fn transactions(servers: &Servers, state: &str) -> usize {
    thread::sleep(TRANSACTIONS);
    let sql = format!(
        "SELECT trx_id FROM information_schema.INNODB_TRX \
         WHERE trx_rows_modified >= 64 AND {state}"
    );
    servers.mariadb.query(DATABASE, &sql).len()
}

/// Locks rows of counts that every epoch needs, and freezes the holder while its transaction
/// waits for them: with its guard rows locked.
fn freeze_in_a_transaction(servers: &Servers, first: &mut Errsift) {
    let rows = || servers.mariadb.query(DATABASE, "SELECT fingerprint FROM error_counts");
    wait::until_true("counts", || !rows().is_empty());
    let opts = mysql_async::Opts::from_url(&servers.mysql_url).expect("a URL");
    let handle = servers.mariadb.handle();
    let mut blocker = handle.block_on(mysql_async::Conn::new(opts)).expect("a connection");
    {
        use mysql_async::prelude::Queryable;
        let lock = ["START TRANSACTION", "SELECT * FROM error_counts FOR UPDATE"];
        for sql in lock {
            handle.block_on(blocker.query_drop(sql)).expect(sql);
        }
    }
    // it waits for 5 s: one that began just now does not give up before it is let go on
    let waits = "trx_state = 'LOCK WAIT' AND trx_wait_started > NOW() - INTERVAL 2 SECOND";
    wait::until_true("a transaction in the middle", || transactions(servers, waits) > 0);
    first.process.signal("STOP");
    // the transaction gets its rows, and nobody is there to go on with it
    handle.block_on(blocker.disconnect()).expect("the lock is given back");
    wait::until_true("a frozen transaction that holds the guards", || {
        transactions(servers, "trx_state = 'RUNNING'") > 0
    });
}

#[test]
fn a_holder_frozen_in_a_transaction_is_ended_by_its_successor() {
    let servers = Servers::start();
    let first = servers.errsift(&FLUSH);
    outlives(servers, first, freeze_in_a_transaction, |servers| {
        let second = servers.errsift(&TAKE_OVER);
        wait::until_true("the predecessor's connection to be ended", || {
            second.process.log().contains("ended a predecessor's connection")
        });
        second
    });
}

/// As a supervisor does it: whenever the process ends, the same command again.
struct Supervised {
    port: u16,
    flags: Vec<String>,
    child: Child,
    starts: u32,
}

impl Supervised {
    fn start(servers: &Servers) -> Self {
        let port = ports::free();
        let mut flags = vec!["serve".to_owned(), "--listen".to_owned()];
        flags.push(format!("127.0.0.1:{port}"));
        flags.extend(["--redis-url".to_owned(), servers.redis.url()]);
        flags.extend(["--mysql-url".to_owned(), servers.mysql_url.clone()]);
        let child = spawn(&flags);
        Self { port, flags, child, starts: 1 }
    }

    fn look_after(&mut self) {
        if self.child.try_wait().expect("a child").is_some() {
            self.child = spawn(&self.flags);
            self.starts += 1;
        }
    }

    fn is_ready(&self) -> bool {
        let mut client = Client::new(([127, 0, 0, 1], self.port).into());
        matches!(client.request("GET", "/readyz", &[], b""), Ok((200, _)))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &self.child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} failed");
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(flags: &[String]) -> Child {
    let mut command = command();
    command.args(flags).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("errsift runs")
}

#[test]
fn two_supervised_processes_do_not_take_the_shard_from_each_other() {
    let servers = Servers::start();
    let mut first = Supervised::start(&servers);
    wait::until_true("a first holder", || first.is_ready());
    let mut second = Supervised::start(&servers);
    first.signal("STOP");
    wait::until_true("a second holder", || second.is_ready());
    first.signal("CONT");
    wait::until_true("the first to be started again", || {
        first.look_after();
        first.starts == 2
    });
    let settled = term(&servers.redis);
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        first.look_after();
        second.look_after();
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!((first.starts, second.starts), (2, 1));
    assert_eq!(term(&servers.redis), settled, "the shard was taken again");
    assert!(second.is_ready() && !first.is_ready());
}
