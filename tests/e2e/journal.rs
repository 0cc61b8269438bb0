//! `errsift journal` beside a running server, and on journals that somebody has damaged.

use std::process::Command;

use crate::{
    command::{self, Ended, run},
    load::{self, Barrage},
    stack::{Servers, Stack, Stores},
    tables::sha256,
    wait,
};

/// What a test does to a journal, by plain commands of its store.
trait Damage {
    fn corrupt(&self, seq: u64);
    fn remove(&self, seq: u64);
    fn inflate_pending(&self);
}

const JOURNAL: &str = "{es:0}:journal";

impl Damage for Servers {
    fn corrupt(&self, seq: u64) {
        let index = i64::try_from(seq).expect("few jobs") - 1;
        let mut connection = self.redis.connection();
        let mut job: Vec<u8> =
            redis::cmd("LINDEX").arg(JOURNAL).arg(index).query(&mut connection).expect("a job");
        job[60] ^= 1;
        let set = redis::cmd("LSET").arg(JOURNAL).arg(index).arg(job).query(&mut connection);
        let () = set.expect("LSET");
    }

    fn remove(&self, seq: u64) {
        let mut connection = self.redis.connection();
        let index = i64::try_from(seq).expect("few jobs") - 1;
        let set = redis::cmd("LSET").arg(JOURNAL).arg(index).arg("x").query(&mut connection);
        let () = set.expect("LSET");
        let removed = redis::cmd("LREM").arg(JOURNAL).arg(1).arg("x").query(&mut connection);
        assert_eq!(removed, Ok(1));
    }

    fn inflate_pending(&self) {
        let mut connection = self.redis.connection();
        let keys: Vec<String> =
            redis::cmd("KEYS").arg("{es:0}:pending:*").query(&mut connection).expect("KEYS");
        let fields: Vec<Vec<u8>> =
            redis::cmd("HKEYS").arg(&keys[0]).query(&mut connection).expect("HKEYS");
        let mut add = redis::cmd("HINCRBY");
        let () = add.arg(&keys[0]).arg(&fields[0]).arg(9).query(&mut connection).expect("HINCRBY");
    }
}

impl Damage for rusqlite::Connection {
    fn corrupt(&self, seq: u64) {
        let sql = format!(
            "UPDATE jobs \
             SET job = CAST(x'00' || substr(job, 2) AS BLOB) WHERE seq = {seq}"
        );
        assert_eq!(self.execute(&sql, []), Ok(1));
    }

    fn remove(&self, seq: u64) {
        assert_eq!(self.execute(&format!("DELETE FROM jobs WHERE seq = {seq}"), []), Ok(1));
    }

    fn inflate_pending(&self) {
        let sql = "UPDATE pending SET count = count + 9 \
                   WHERE fingerprint = (SELECT min(fingerprint) FROM pending)";
        assert!(self.execute(sql, []).is_ok_and(|rows| rows > 0));
    }
}

/// The flags that lead to the stack's stores.
fn flags(stack: &Stack) -> Vec<String> {
    match &stack.stores {
        Stores::Servers(servers) => {
            vec![
                "--redis-url".into(),
                servers.redis.url(),
                "--mysql-url".into(),
                servers.mysql_url.clone(),
            ]
        }
        Stores::Embedded => {
            let data = stack.errsift.process.dir().join("errsift.db");
            vec!["--data".into(), data.display().to_string()]
        }
    }
}

fn journal(stack: &Stack, words: &[&str]) -> Ended {
    let flags = flags(stack);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    run(&[&["journal"], words, &flags].concat(), &[])
}

/// Waits until the live counts are those of the jobs, so that damage to them shows.
fn await_pending(stack: &Stack) {
    wait::until("the pending counts", wait::SOON, || {
        let verified = journal(stack, &["verify"]);
        verified.assert_says(0, &["ok       pending", "ok       ledger"]);
        let behind = verified.stdout.contains("not yet counted");
        if behind { Err(verified.stdout) } else { Ok(()) }
    });
}

fn is_listed_and_damage_is_found(stack: &Stack) {
    let messages: Vec<String> = (0..40).map(|n| format!("error {n}\u{1b}[0m\nline 2")).collect();
    // one after the other: at least three flights
    load::post_all(stack.errsift.address(), &messages, 1);
    await_pending(stack);

    let listed = journal(stack, &["list", "--json"]);
    listed.assert_says(0, &[]);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let jobs = listed["jobs"].as_array().expect("jobs");
    let events: u64 = jobs.iter().filter_map(|job| job["events"].as_u64()).sum();
    assert_eq!((events, listed["fence"]["events"].as_u64()), (40, Some(40)));
    assert_eq!(jobs.len() as u64, stack.journal_jobs());
    let lines = journal(stack, &["list"]);
    lines.assert_says(0, &["shard 0", "events 40"]);
    assert_eq!(lines.stdout.lines().count(), jobs.len() + 5);

    let shown = journal(stack, &["show", "1"]);
    shown.assert_says(0, &[&sha256(&messages[0]), r"error 0\u{1b}[0m…"]);
    assert!(!shown.stdout.contains('\u{1b}'));
    journal(stack, &["show", "999"]).assert_says(1, &["not executed yet"]);

    let damage: &dyn Damage = match &stack.stores {
        Stores::Servers(servers) => servers.as_ref(),
        Stores::Embedded => &stack.sqlite("errsift.journal.db"),
    };
    damage.inflate_pending();
    journal(stack, &["verify"]).assert_says(1, &["wrong    pending   epoch "]);
    damage.corrupt(2);
    let corrupted = journal(stack, &["verify"]);
    corrupted
        .assert_says(1, &["wrong    jobs      seq 2, ", "ok       sequence", "wrong    ledger"]);
    journal(stack, &["list"]).assert_says(65, &["         2 cannot be read"]);
    journal(stack, &["show", "2"]).assert_says(65, &["seq 2 cannot be read"]);
    damage.remove(2);
    let removed = journal(stack, &["verify"]);
    removed.assert_says(
        1,
        &["wrong    sequence  seq 2 is missing", "wrong    fence", "1 are missing"],
    );
    quiet_when_nobody_reads(stack);
}

/// The reader is gone before anything is written.
fn quiet_when_nobody_reads(stack: &Stack) {
    let mut command = Command::new("sh");
    command.args(["-c", r#"{ sleep 0.1; "$@"; echo "code $?" >&2; } | true"#, "sh"]);
    command.args([env!("CARGO_BIN_EXE_errsift"), "journal", "list"]).args(flags(stack));
    let ended = command::end(command, b"");
    ended.assert_says(0, &[]);
    assert_eq!(ended.stderr.trim(), "code 0", "who has gone has seen enough");
}

/// The server commits, applies and trims while its journal is read.
fn is_right_under_load(stack: &Stack) {
    let barrage = Barrage::start(stack.errsift.address(), 4);
    let mut ledgers = 0;
    for _ in 0..8 {
        barrage.await_acks(50);
        let verified = journal(stack, &["verify"]);
        verified.assert_says(0, &["ok       sequence"]);
        ledgers += u32::from(verified.stdout.contains("ok       ledger"));
        journal(stack, &["list"]).assert_says(0, &["fence"]);
    }
    barrage.stop();
    assert!(ledgers > 0, "the ledger was never compared");
    stack.settle();
    journal(stack, &["verify"]).assert_says(0, &["ok       ledger", "and 0 not yet"]);
}

#[test]
fn a_journal_on_redis_is_listed_and_damage_is_found() {
    is_listed_and_damage_is_found(&Stack::servers(&["--flush-interval", "1h"]));
}

#[test]
fn an_embedded_journal_is_listed_and_damage_is_found() {
    is_listed_and_damage_is_found(&Stack::embedded(&["--flush-interval", "1h"]));
}

#[test]
fn a_journal_on_redis_is_right_under_load() {
    is_right_under_load(&Stack::servers(&["--flush-interval", "300ms"]));
}

#[test]
fn an_embedded_journal_is_right_under_load() {
    is_right_under_load(&Stack::embedded(&["--flush-interval", "300ms"]));
}

#[test]
fn looking_makes_no_files() {
    let dir = tempfile::TempDir::new().expect("no temporary directory");
    let data = dir.path().join("errsift.db").display().to_string();
    let ended = run(&["journal", "verify", "--data", &data], &[]);
    ended.assert_says(69, &["errsift.journal.db"]);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0);
}
