//! A master that fails over under load, and a replica that hangs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    command::run,
    load::{self, Attempt, Barrage, Fate, assert_exactly_once},
    stack::{DATABASE, journal_jobs, settle},
    support::{
        errsift::Errsift,
        mariadb::Mariadb,
        ports,
        redis::Redis,
        sentinel::{Sentinels, replica_of},
    },
    tables::{Tables, sha256},
    wait,
};

const CONNECTIONS: u64 = 8;
const ACKS: u64 = 300;

/// Sentinels with their nodes, tables, and an errsift on both. The errsift goes first.
struct Failing {
    errsift: Errsift,
    sentinels: Sentinels,
    mariadb: Mariadb,
}

impl Failing {
    fn start(durability: &str) -> Self {
        let (sentinels, mariadb) = (Sentinels::start(), Mariadb::start());
        let urls = [sentinels.url(), mariadb.database(DATABASE)];
        let errsift = Errsift::start(&[
            "--redis-url",
            &urls[0],
            "--mysql-url",
            &urls[1],
            "--durability",
            durability,
            "--flush-interval",
            "300ms",
        ]);
        Self { errsift, sentinels, mariadb }
    }

    fn settle(&self) {
        let master = &self.sentinels.nodes[self.sentinels.master()];
        settle(&self.errsift, || journal_jobs(master));
    }

    fn tables(&self) -> Tables {
        Tables::of_mariadb(&self.mariadb, DATABASE)
    }
}

/// With `replicated`, a failover in the middle of load loses nothing and needs no restart.
fn survives(fail_over: impl FnOnce(&mut Sentinels), after: impl FnOnce(&mut Sentinels)) {
    let mut all = Failing::start("replicated");
    let pid = all.errsift.process.pid();
    let barrage = Barrage::start(all.errsift.address(), CONNECTIONS);
    barrage.await_acks(ACKS);
    fail_over(&mut all.sentinels);
    all.sentinels.await_master(1);
    after(&mut all.sentinels);
    barrage.await_acks(ACKS);
    let attempts = barrage.stop();
    all.settle();
    assert_exactly_once(&all.tables(), &attempts);
    assert!(all.errsift.process.is_running());
    assert_eq!(all.errsift.process.pid(), pid);
    let found = format!("127.0.0.1:{}", all.sentinels.nodes[1].process.port());
    assert!(all.errsift.process.log().contains(&found), "the new master is not in the log");
}

/// There is no replica left to wait for, until the killed node comes back as one.
#[test]
fn a_killed_master_is_replaced_and_nothing_is_lost() {
    survives(
        |all| all.nodes[0].process.kill_9(),
        |all| {
            all.nodes[0].process.restart();
            all.await_replica(0);
        },
    );
}

/// It wakes up as a master, with commits in its socket that nobody must be told of.
#[test]
fn a_master_that_hangs_is_replaced_and_acks_nothing_when_it_wakes() {
    survives(
        |all| all.nodes[0].process.signal("STOP"),
        |all| {
            all.nodes[0].process.signal("CONT");
            all.await_replica(0);
        },
    );
}

#[test]
fn a_planned_failover_loses_nothing() {
    survives(|all| all.fail_over(), |_| ());
}

/// Starts errsift again whenever it ends by itself.
struct Supervisor {
    errsift: Arc<Mutex<Errsift>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Option<i32>>>,
}

fn locked(errsift: &Mutex<Errsift>) -> MutexGuard<'_, Errsift> {
    errsift.lock().expect("errsift does not start again")
}

impl Supervisor {
    fn of(errsift: Errsift) -> Self {
        let (errsift, stop) = (Arc::new(Mutex::new(errsift)), Arc::new(AtomicBool::new(false)));
        let (watched, ended) = (Arc::clone(&errsift), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut codes = Vec::new();
            while !ended.load(SeqCst) {
                let mut errsift = locked(&watched);
                if !errsift.process.is_running() {
                    codes.push(errsift.process.wait(wait::SOON).code());
                    errsift.process.restart();
                }
                drop(errsift);
                thread::sleep(Duration::from_millis(50));
            }
            codes
        });
        Self { errsift, stop, thread }
    }

    /// The errsift, and the codes that it ended with before.
    fn end(self) -> (Errsift, Vec<Option<i32>>) {
        self.stop.store(true, SeqCst);
        let codes = self.thread.join().expect("errsift starts again");
        let errsift = Arc::into_inner(self.errsift).expect("nobody else has it");
        (errsift.into_inner().expect("errsift starts again"), codes)
    }
}

/// With `fsync`, what only the dead master had may be gone. Never is anything counted twice, and
/// what is missing is said.
#[test]
fn what_was_not_replicated_may_be_lost_and_is_said() {
    let Failing { errsift, mut sentinels, mariadb } = Failing::start("fsync");
    let address = errsift.address();
    let mut client = errsift.client();
    let mut attempts = Vec::new();
    let mut send = |message: String| {
        let fate = load::attempt(&mut client, &message);
        attempts.push(Attempt { message, fate });
        fate
    };
    for n in 0..20 {
        assert_eq!(send(format!("replicated {n}")), Fate::Acked);
    }
    let replica = &sentinels.nodes[1];
    wait_for_offsets(&sentinels.nodes[0], replica);
    // nothing more reaches the replica, which the sentinels would mend after a while
    let nowhere = ["127.0.0.1".to_owned(), ports::free().to_string()];
    let () = redis::cmd("REPLICAOF").arg(&nowhere).query(&mut replica.connection()).expect("set");
    for n in 0..20 {
        assert_eq!(send(format!("on the master alone {n}")), Fate::Acked);
    }
    let supervisor = Supervisor::of(errsift);
    sentinels.nodes[0].process.kill_9();
    sentinels.await_master(1);
    let barrage = Barrage::start(address, CONNECTIONS);
    barrage.await_acks(ACKS);
    attempts.extend(barrage.stop());
    let (errsift, codes) = supervisor.end();
    settle_restarted(&errsift, &sentinels.nodes[1]);

    let tables = Tables::of_mariadb(&mariadb, DATABASE);
    let lost = assert_at_most_once(&tables, &attempts);
    assert!(lost <= 20, "{lost} lost of 20 that were on one node");
    for n in 0..20 {
        assert_eq!(tables.count(&format!("replicated {n}")), 1);
    }
    let log = errsift.process.log();
    assert!(codes.iter().all(|code| *code == Some(74)), "ended with {codes:?}");
    assert!(log.contains("journal went back") || log.contains("heal"), "nothing is said");
}

/// Replication is asynchronous: until the replica has it all, its master is waited for.
fn wait_for_offsets(master: &Redis, replica: &Redis) {
    let offset = |node: &Redis| -> Option<u64> {
        let facts: redis::InfoDict = redis::cmd("INFO").query(&mut node.connection()).ok()?;
        facts.get("master_repl_offset")
    };
    wait::until_true("the replica to have it all", || offset(master) == offset(replica));
}

/// After a restart the ledger begins with what the journal says, which may be less than the tables.
fn settle_restarted(errsift: &Errsift, master: &Redis) {
    wait::until("an empty journal", 2 * wait::SOON, || match journal_jobs(master) {
        0 if errsift.metric("errsift_journaled_events").is_some() => Ok(()),
        jobs => Err(format!("{jobs} jobs")),
    });
}

/// How many acked events are not counted. None may be counted more often than it was sent.
fn assert_at_most_once(tables: &Tables, attempts: &[Attempt]) -> u64 {
    let mut sent: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for Attempt { message, fate } in attempts {
        let (acked, maybe) = sent.entry(message).or_default();
        match fate {
            Fate::Acked => *acked += 1,
            Fate::Maybe => *maybe += 1,
            Fate::Not => {}
        }
    }
    let mut lost = 0;
    for (message, (acked, maybe)) in &sent {
        let count = tables.count(message);
        assert!(count <= acked + maybe, "{count} of {acked} and perhaps {maybe}: {message}");
        lost += acked.saturating_sub(count);
    }
    for (fingerprint, row) in &tables.errors {
        assert!(sent.contains_key(row.message.as_str()), "never sent: {row:?}");
        assert_eq!(*fingerprint, sha256(&row.message));
    }
    lost
}

/// Without sentinels: acks need the replica, and come back with it.
#[test]
fn a_replica_that_hangs_holds_up_acks() {
    let master = Redis::start();
    let mut replica = replica_of(&master);
    let mariadb = Mariadb::start();
    let urls = [master.url(), mariadb.database(DATABASE)];
    let errsift = Errsift::start(&[
        "--redis-url",
        &urls[0],
        "--mysql-url",
        &urls[1],
        "--durability",
        "replicated",
        "--flush-interval",
        "300ms",
    ]);
    let mut client = errsift.client();
    let mut attempts = Vec::new();
    for n in 0..20 {
        let message = format!("with the replica {n}");
        let fate = load::attempt(&mut client, &message);
        assert_eq!(fate, Fate::Acked);
        attempts.push(Attempt { message, fate });
    }
    replica.process.signal("STOP");
    for n in 0..2 {
        let message = format!("without the replica {n}");
        let fate = load::attempt(&mut client, &message);
        assert_ne!(fate, Fate::Acked);
        attempts.push(Attempt { message, fate });
    }
    replica.process.signal("CONT");
    let barrage = Barrage::start(errsift.address(), CONNECTIONS);
    barrage.await_acks(ACKS);
    attempts.extend(barrage.stop());
    settle(&errsift, || journal_jobs(&master));
    assert_exactly_once(&Tables::of_mariadb(&mariadb, DATABASE), &attempts);
    assert!(errsift.process.log().contains("not yet durable"));
}

#[test]
fn sentinels_are_checked_one_by_one() {
    let (mut all, mariadb) = (Sentinels::start(), Mariadb::start());
    let urls = [all.url(), mariadb.database(DATABASE)];
    let check = |durability: &str| {
        let urls = ["--redis-url", &urls[0], "--mysql-url", &urls[1]];
        run(&[&["check", "--durability", durability], &urls[..]].concat(), &[])
    };
    let master = format!("master 127.0.0.1:{}", all.nodes[0].process.port());
    let good = check("replicated");
    good.assert_says(0, &[&master, "2 others, quorum 2", "connected_slaves", "role "]);
    assert_eq!(good.stdout.matches(&master).count(), 3, "{}", good.stdout);
    check("fsync").assert_says(1, &["weaker than asked  min-replicas-to-write", "= 0"]);
    all.watchers[2].kill_9();
    let gone = format!("= {}, ", all.watchers[2].address());
    check("replicated").assert_says(1, &["weaker than asked  sentinel ", &gone, "refused"]);
    for sentinel in &mut all.watchers {
        sentinel.kill_9();
    }
    let silent = check("replicated");
    silent.assert_says(69, &["redis     does not answer", "no sentinel names master journal"]);
}
