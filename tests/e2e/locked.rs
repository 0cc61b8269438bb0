//! Sentinels and nodes that speak only TLS, or want passwords: found, failed over, and refused by
//! name.

use crate::{
    command::{Ended, run},
    load::{Barrage, assert_exactly_once},
    stack::{DATABASE, journal_jobs, settle},
    support::{
        certificates::Authority, errsift::Errsift, gate::Gate, mariadb::Mariadb,
        sentinel::Sentinels,
    },
    tables::Tables,
};

const CONNECTIONS: u64 = 8;
const ACKS: u64 = 300;
const OF_NODES: &str = "n0des";
const OF_SENTINELS: &str = "s3ntinels";

/// Sentinels with their nodes and tables, and how errsift is told of them.
struct Locked {
    sentinels: Sentinels,
    mariadb: Mariadb,
    environment: Vec<(&'static str, String)>,
}

impl Locked {
    fn of(sentinels: Sentinels, redis_url: String) -> Self {
        let mariadb = Mariadb::start();
        let mysql_url = mariadb.database(DATABASE);
        let environment = vec![
            ("ERRSIFT_REDIS_URL", redis_url),
            ("ERRSIFT_MYSQL_URL", mysql_url),
            ("ERRSIFT_DURABILITY", "replicated".to_owned()),
            ("ERRSIFT_FLUSH_INTERVAL", "300ms".to_owned()),
        ];
        Self { sentinels, mariadb, environment }
    }

    fn check(&self) -> Ended {
        let settings = self.environment.iter().map(|(name, value)| (*name, value.as_str()));
        let ended = run(&["check"], &settings.collect::<Vec<_>>());
        for secret in [OF_NODES, OF_SENTINELS] {
            assert!(!format!("{ended:?}").contains(secret), "{secret} is in {ended:?}");
        }
        ended
    }

    /// What `check` says with one setting changed.
    fn check_with(&mut self, name: &'static str, value: &str) -> Ended {
        let setting = self.environment.iter().position(|(known, _)| *known == name);
        let setting = setting.expect("a setting that is given");
        let kept = std::mem::replace(&mut self.environment[setting].1, value.to_owned());
        let ended = self.check();
        self.environment[setting].1 = kept;
        ended
    }

    /// A failover in the middle of load: the new master is found by the same way in.
    fn fails_over(&self) {
        let master = format!("master 127.0.0.1:{}", self.sentinels.nodes[0].process.port());
        let good = self.check();
        good.assert_says(0, &[&master, "2 others, quorum 2"]);
        assert_eq!(good.stdout.matches(&master).count(), 3, "{}", good.stdout);

        let settings = self.environment.iter().map(|(name, value)| (*name, value.as_str()));
        let errsift = Errsift::start_with(&["--log", "debug"], &settings.collect::<Vec<_>>());
        let barrage = Barrage::start(errsift.address(), CONNECTIONS);
        barrage.await_acks(ACKS);
        self.sentinels.fail_over();
        self.sentinels.await_master(1);
        barrage.await_acks(ACKS);
        let attempts = barrage.stop();
        settle(&errsift, || journal_jobs(&self.sentinels.nodes[1]));
        assert_exactly_once(&Tables::of_mariadb(&self.mariadb, DATABASE), &attempts);
        let log = errsift.process.log();
        for secret in [OF_NODES, OF_SENTINELS] {
            assert!(!log.contains(secret), "{secret} is logged");
        }
    }
}

#[test]
fn encrypted_sentinels_lead_to_encrypted_nodes() {
    let authority = Authority::new();
    let gate = Gate::encrypted(&authority, "localhost");
    let sentinels = Sentinels::start_behind(&gate, &gate);
    let url = format!("rediss+sentinel://{}", sentinels.place());
    let mut locked = Locked::of(sentinels, url);
    let client = authority.sign("errsift", &["errsift"]);
    let files = [authority.file(), client.cert, client.key].map(|file| file.display().to_string());
    let names = ["ERRSIFT_TLS_CA", "ERRSIFT_TLS_CERT", "ERRSIFT_TLS_KEY"];
    locked.environment.extend(names.into_iter().zip(files));
    locked.fails_over();

    let stranger = Authority::new();
    let untrusted = stranger.file().display().to_string();
    let refused = locked.check_with("ERRSIFT_TLS_CA", &untrusted);
    refused.assert_says(
        69,
        &["redis     does not answer", "no sentinel names", "invalid peer certificate"],
    );
    let plain = format!("rediss+sentinel://{}?sentinel-tls=no", locked.sentinels.place());
    let refused = locked.check_with("ERRSIFT_REDIS_URL", &plain);
    refused.assert_says(69, &["redis     does not answer", "no sentinel names master"]);
}

#[test]
fn sentinels_and_nodes_have_passwords_of_their_own() {
    let gates = [Gate::locked(OF_NODES), Gate::locked(OF_SENTINELS)];
    let sentinels = Sentinels::start_behind(&gates[0], &gates[1]);
    let place = sentinels.place();
    let url = |node: &str, sentinel: &str| {
        format!("redis+sentinel://:{node}@{place}?sentinel-password={sentinel}")
    };
    let mut locked = Locked::of(sentinels, url(OF_NODES, OF_SENTINELS));
    locked.fails_over();

    for (node, sentinel, words) in [
        // each place has its own
        (OF_NODES, OF_NODES, "AuthenticationFailed"),
        (OF_SENTINELS, OF_SENTINELS, "WRONGPASS"),
    ] {
        let refused = locked.check_with("ERRSIFT_REDIS_URL", &url(node, sentinel));
        refused.assert_says(69, &["redis     does not answer", words]);
    }
    let without = format!("redis+sentinel://:{OF_NODES}@{place}");
    let refused = locked.check_with("ERRSIFT_REDIS_URL", &without);
    refused.assert_says(69, &["redis     does not answer", "no sentinel names master"]);
}
