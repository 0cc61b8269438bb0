//! The oracle soak: events are posted without pause while errsift, Redis and MariaDB are killed,
//! frozen, told to stop and taken over, and proxies between them cut, refuse, delay, swallow and
//! deliver late, each at random and all at once. In the end the tables must say what the oracle
//! remembers: what was acknowledged exactly once, what got no certain answer at most once, what
//! was refused never, and nothing else.
//!
//! `SOAK_SECONDS` (60) of faults, in rounds; after each round all faults stop, everything settles
//! and is compared, and the oracle forgets it. `SOAK_SEED` (4) repeats a schedule: what each fault
//! is, how long it lasts and how long the pause before it is. What it meets differs from run to run.

mod books;
mod driver;
mod network;
mod report;
mod servers;
mod supervisor;

use std::{
    env, thread,
    time::{Duration, Instant},
};

use self::{
    books::Books, driver::Target, network::Network, report::Report, supervisor::Supervisor,
};
use crate::{
    command,
    load::{self, Attempt, Fate},
    stack::{DATABASE, Servers, journal_jobs},
    support::{client::Client, errsift::sum_of, proxy::Proxy},
    wait,
};

/// Faults without pause between two comparisons.
const ROUND_MAX: Duration = Duration::from_secs(120);
/// So that the shortest soak has more than one round.
const ROUNDS_MIN: u32 = 2;
/// How long everything may take to be well again after the last fault.
const WELL: Duration = Duration::from_secs(120);
/// A round in which next to nothing was acknowledged shows nothing.
const ACKED_MIN: u64 = 50;

fn number(name: &str, otherwise: u64) -> u64 {
    let given = env::var_os(name);
    given.map_or(otherwise, |given| {
        given.to_string_lossy().parse().unwrap_or_else(|_| panic!("{name} is a number"))
    })
}

struct Soak {
    servers: Servers,
    redis_proxy: Proxy,
    mysql_proxy: Proxy,
    supervisor: Supervisor,
    books: Books,
    report: Report,
    seed: u64,
}

impl Soak {
    fn start(seed: u64) -> Self {
        let servers = Servers::start();
        let redis_proxy = Proxy::start(servers.redis.process.address());
        let mysql_proxy = Proxy::start(servers.mariadb.process.address());
        let flags = [
            "--redis-url".to_owned(),
            format!("redis://127.0.0.1:{}", redis_proxy.port()),
            "--mysql-url".to_owned(),
            format!("mysql://root@127.0.0.1:{}/{DATABASE}", mysql_proxy.port()),
            "--flush-interval".to_owned(),
            "1s".to_owned(),
        ];
        let supervisor = Supervisor::start(&flags);
        let (books, report) = (Books::default(), Report::new(seed));
        Self { servers, redis_proxy, mysql_proxy, supervisor, books, report, seed }
    }

    /// Faults for so long, then quiet, then the comparison.
    fn round(&mut self, number: u32, length: Duration) {
        let end = Instant::now() + length;
        let (seed, report) = (self.seed, &self.report);
        let target = Target::new(self.supervisor.port());
        let (redis, mariadb) = (&mut self.servers.redis, &mut self.servers.mariadb);
        let between = [("redis", &self.redis_proxy), ("mysql", &self.mysql_proxy)];
        let mut attempts = thread::scope(|scope| {
            let drivers: Vec<_> = (0..driver::CONNECTIONS)
                .map(|driver| {
                    let target = &target;
                    scope.spawn(move || driver::post(target, driver, (seed, number)))
                })
                .collect();
            let mut faults = vec![
                scope.spawn(|| {
                    servers::trouble("redis", &mut redis.process, (seed, number), end, report);
                }),
                scope.spawn(|| {
                    servers::trouble("mysql", &mut mariadb.process, (seed, number), end, report);
                }),
            ];
            for (name, proxy) in between {
                let network = Network { name, proxy, report };
                faults.push(scope.spawn(move || network.trouble((seed, number), end)));
            }
            let mut all = self.supervisor.trouble(&target, (seed, number), end, report);
            for fault in faults {
                fault.join().expect("a fault cannot be made");
            }
            // now nothing is wrong any more, and errsift must be well by itself
            all.extend(self.supervisor.calm(report));
            target.stop();
            for driver in drivers {
                all.extend(driver.join().expect("a driver fails"));
            }
            all
        });
        self.settle();
        attempts.extend(self.fresh(number));
        self.settle();
        self.verify();
        let wrong = self.books.compare(&self.servers.mariadb, number, &attempts);
        let acked = self.report.round(&attempts, wrong);
        assert!(acked >= ACKED_MIN, "round {number}: only {acked} acknowledged");
        eprintln!("soak: round {number}: {}", self.report.line());
    }

    /// An event after all faults: it is taken, and counted once the tables stand at the epoch in
    /// which it was.
    fn fresh(&self, round: u32) -> Vec<Attempt> {
        let mut client = Client::new(self.supervisor.address());
        let mut attempts = Vec::new();
        for n in 0_u32.. {
            let message = format!("fresh {round}-{n}");
            let fate = load::attempt(&mut client, &message);
            attempts.push(Attempt { message, fate });
            if fate == Fate::Acked {
                break;
            }
            assert!(n < 200, "no event is taken after the faults have stopped");
            thread::sleep(Duration::from_millis(100));
        }
        let mut redis = self.servers.redis.connection();
        let fence = redis::cmd("HGET").arg("{es:0}:fence").arg("epoch").query(&mut redis);
        let epoch: u64 = fence.expect("a fence");
        let mariadb = &self.servers.mariadb;
        let acked = &attempts.last().expect("one is acked").message;
        let since = Instant::now();
        wait::until("the tables to stand at the epoch", WELL, || {
            let applied = "SELECT MIN(epoch) FROM applied_epochs";
            let mut rows = mariadb.query(DATABASE, applied);
            let applied: u64 = mysql_async::from_row(rows.pop().expect("a row"));
            if applied >= epoch { Ok(()) } else { Err(format!("at {applied}, {epoch} wanted")) }
        });
        self.report.fresh(since.elapsed());
        let words = format!("SELECT `count` FROM errors WHERE message = '{acked}'");
        let rows: Vec<u64> =
            mariadb.query(DATABASE, &words).into_iter().map(mysql_async::from_row).collect();
        assert_eq!(rows, [1], "{acked}");
        attempts
    }

    /// What the journal itself says: order, fence and ledger.
    fn verify(&self) {
        let (redis, mysql) = (self.servers.redis.url(), &self.servers.mysql_url);
        let words = ["journal", "verify", "--redis-url", &redis, "--mysql-url", mysql];
        command::run(&words, &[]).assert_says(0, &["ok       ledger"]);
    }

    /// Waits until all that is journaled is counted and trimmed, and the ledger says so.
    fn settle(&self) {
        let mut client = Client::new(self.supervisor.address());
        wait::until("everything to be counted after the faults", WELL, || {
            let (_, page) = client.get("/metrics");
            let of = |name| sum_of(&page, name);
            let stand = (of("errsift_journaled_events"), of("errsift_counted_events"));
            let differences = of("errsift_ledger_difference");
            let jobs = journal_jobs(&self.servers.redis);
            if stand.0.is_some() && stand.0 == stand.1 && jobs == 0 && differences == Some(0.0) {
                return Ok(());
            }
            let log = self.supervisor.log_tail(20);
            Err(format!(
                "{stand:?} journaled and counted, {jobs} jobs, {differences:?} missing\n{log}"
            ))
        });
    }
}

#[test]
fn nothing_is_lost_or_doubled() {
    let (seconds, seed) = (number("SOAK_SECONDS", 60), number("SOAK_SEED", 4));
    eprintln!("soak: SOAK_SECONDS={seconds} SOAK_SEED={seed}");
    let whole = Duration::from_secs(seconds);
    let rounds = u32::try_from(whole.as_secs().div_ceil(ROUND_MAX.as_secs())).expect("few rounds");
    let rounds = rounds.max(ROUNDS_MIN);
    let mut soak = Soak::start(seed);
    for round in 0..rounds {
        soak.round(round, whole / rounds);
        if soak.report.has_failures() {
            break;
        }
    }
    soak.report.finish(&soak.supervisor);
}
