//! What a soak has done and found, as a table and as JSON.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::ExitStatus,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::supervisor::Supervisor;
use crate::load::{Attempt, Fate};

/// Lines of errsift's log that a failing soak keeps.
const LOG_LINES: usize = 5_000;

#[derive(Debug, Default)]
struct Told {
    faults: BTreeMap<String, u64>,
    ends: BTreeMap<String, u64>,
    failures: Vec<String>,
    rounds: u64,
    acked: u64,
    maybe: u64,
    refused: u64,
    /// The longest that an event took from its answer to the tables when nothing was wrong.
    fresh: Duration,
}

/// Told by every thread.
pub struct Report {
    seed: u64,
    since: Instant,
    told: Mutex<Told>,
}

impl Report {
    pub fn new(seed: u64) -> Self {
        Self { seed, since: Instant::now(), told: Mutex::default() }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a fault that is being made.
    pub fn fault(&self, kind: &str) {
        *self.told().faults.entry(kind.to_owned()).or_default() += 1;
    }

    /// Counts an errsift that has ended.
    pub fn ended(&self, status: ExitStatus) {
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => status.to_string(),
        };
        *self.told().ends.entry(how).or_default() += 1;
    }

    /// Something that must not happen.
    pub fn failure(&self, what: String) {
        eprintln!("soak: FAILED: {what}");
        self.told().failures.push(what);
    }

    /// Notes how long an event took to the tables after the faults.
    pub fn fresh(&self, took: Duration) {
        let mut told = self.told();
        told.fresh = told.fresh.max(took);
    }

    pub fn has_failures(&self) -> bool {
        !self.told().failures.is_empty()
    }

    /// Counts a compared round; says how many of its attempts were acknowledged.
    pub fn round(&self, attempts: &[Attempt], wrong: Vec<String>) -> u64 {
        for wrong in wrong {
            self.failure(wrong);
        }
        let of = |fate| attempts.iter().filter(|attempt| attempt.fate == fate).count() as u64;
        let acked = of(Fate::Acked);
        let mut told = self.told();
        told.rounds += 1;
        told.acked += acked;
        told.maybe += of(Fate::Maybe);
        told.refused += of(Fate::Not);
        acked
    }

    /// How it stands.
    pub fn line(&self) -> String {
        let told = self.told();
        let faults: u64 = told.faults.values().sum();
        let seconds = self.since.elapsed().as_secs();
        let (acked, maybe, refused) = (told.acked, told.maybe, told.refused);
        let failures = told.failures.len();
        format!(
            "{seconds} s, {faults} faults, {acked} acked, {maybe} maybe, {refused} refused, \
             {failures} failures"
        )
    }

    /// Prints the table and writes `target/soak/SEED.json`; fails if anything has.
    pub fn finish(&self, supervisor: &Supervisor) {
        eprintln!("soak: SOAK_SEED={}: {}", self.seed, self.line());
        let told = self.told();
        for (kind, count) in told.faults.iter().chain(&told.ends) {
            eprintln!("soak: {count:6} {kind}");
        }
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("soak");
        fs::create_dir_all(&dir).expect("a directory for the report");
        let json = serde_json::json!({
            "seed": self.seed, "seconds": self.since.elapsed().as_secs(), "rounds": told.rounds,
            "faults": told.faults, "ends": told.ends, "acked": told.acked, "maybe": told.maybe,
            "refused": told.refused, "fresh_ms": told.fresh.as_millis(), "failures": told.failures,
        });
        let file = dir.join(format!("{}.json", self.seed));
        fs::write(&file, format!("{json:#}\n")).expect("the report");
        if !told.failures.is_empty() {
            let log = dir.join(format!("{}.log", self.seed));
            fs::write(&log, supervisor.log_tail(LOG_LINES)).expect("the log");
            panic!("SOAK_SEED={}: {}", self.seed, told.failures.join("\n"));
        }
    }
}
