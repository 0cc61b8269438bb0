//! Keeps one errsift serving, as a supervisor does, and does to it what may happen to a process:
//! it is killed, frozen, told to stop, and its shard is taken by another, also while it is frozen.

use std::{
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{WELL, driver::Target, report::Report};
use crate::{
    load::{self, Attempt},
    support::{client::Client, mortal::Mortal, ports, random::Random},
};

const LOG: &str = "errsift.log";
const STEP: Duration = Duration::from_millis(50);
/// How long a second process may take to be ready before the take-over is given up.
const READY: Duration = Duration::from_secs(15);
/// How long the current one may take until it serves, before it is left alone.
const SERVES: Duration = Duration::from_secs(2);
/// Told to stop a second time after this, it leaves without a drain.
const DRAIN: Duration = Duration::from_secs(4);

/// Flags of a process that takes a shard although another holds it.
const TAKE_OVER: [&str; 1] = ["--take-over"];

const FENCED: i32 = 75;
const UNAVAILABLE: i32 = 69;
const UNDRAINED: i32 = 79;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

#[derive(Clone, Copy)]
enum Fault {
    Kill,
    Freeze,
    Terminate,
    TakeOver,
    TakeOverFrozen,
}

const FAULTS: [Fault; 8] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Freeze,
    Fault::Freeze,
    Fault::Terminate,
    Fault::TakeOver,
    Fault::TakeOverFrozen,
];

/// One errsift that serves and perhaps one that has lost its shard.
pub struct Supervisor {
    flags: Vec<String>,
    dir: TempDir,
    /// The first is the current one's.
    ports: [u16; 2],
    current: Mortal,
    previous: Option<Mortal>,
    /// Whether another process has wanted the shard since the current one was started.
    contested: bool,
    poked: u64,
}

impl Supervisor {
    pub fn start(flags: &[String]) -> Self {
        let dir = TempDir::new().expect("a directory");
        let ports = [ports::free(), ports::free()];
        let current = Mortal::start(dir.path(), LOG, ports[0], flags, &[]);
        let flags = flags.to_vec();
        Self { flags, dir, ports, current, previous: None, contested: false, poked: 0 }
    }

    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    pub fn address(&self) -> SocketAddr {
        self.current.address()
    }

    pub fn log_tail(&self, lines: usize) -> String {
        self.current.log_tail(lines)
    }

    /// Makes fault after fault until `end`. The events that it posts itself are the answer.
    pub fn trouble(
        &mut self,
        target: &Target,
        (seed, round): (u64, u32),
        end: Instant,
        report: &Report,
    ) -> Vec<Attempt> {
        let mut random = Random::new(seed, &format!("errsift {round}"));
        let mut attempts = Vec::new();
        loop {
            self.watch(random.millis(500..6_000), report, &mut attempts);
            if Instant::now() >= end {
                return attempts;
            }
            match random.one_of(&FAULTS) {
                Fault::Kill => {
                    report.fault("errsift killed");
                    self.current.kill();
                    self.watch(random.millis(0..700), report, &mut attempts);
                }
                Fault::Freeze => {
                    report.fault("errsift frozen");
                    let long = random.millis(200..4_000);
                    self.frozen(long);
                }
                Fault::Terminate => {
                    report.fault("errsift told to stop");
                    self.terminate(report);
                }
                Fault::TakeOver => self.take_over(None, target, report),
                Fault::TakeOverFrozen => {
                    let long = random.millis(0..2_000);
                    self.take_over(Some(long), target, report);
                }
            }
        }
    }

    /// After the faults: waits until one errsift serves, and the one that lost its shard has left.
    pub fn calm(&mut self, report: &Report) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        let end = Instant::now() + WELL;
        while self.previous.is_some() || !self.current.is_ready() {
            if Instant::now() >= end {
                let left = if self.previous.is_some() { "does not leave" } else { "is not ready" };
                report.failure(format!("errsift {left}: {}", self.log_tail(30)));
                self.previous = None;
                break;
            }
            self.watch(4 * STEP, report, &mut attempts);
        }
        attempts
    }

    /// Lets time pass; a process that has ended is judged and started again.
    fn watch(&mut self, long: Duration, report: &Report, attempts: &mut Vec<Attempt>) {
        let end = Instant::now() + long;
        loop {
            if let Some(status) = self.current.ended() {
                self.judge(status, report);
                self.restart();
            }
            self.nudge_previous(report, attempts);
            if Instant::now() >= end {
                return;
            }
            thread::sleep(STEP);
        }
    }

    fn restart(&mut self) {
        self.contested = self.previous.is_some();
        self.current = Mortal::start(self.dir.path(), LOG, self.ports[0], &self.flags, &[]);
    }

    /// Whether it may have ended so: killed by us, or because a store was away at its start, or
    /// because another has taken the shard.
    fn judge(&self, status: ExitStatus, report: &Report) {
        let fine = match status.code() {
            Some(UNAVAILABLE) => true,
            Some(FENCED) => self.contested,
            Some(_) => false,
            None => status.signal() == Some(SIGKILL),
        };
        report.ended(status);
        if !fine {
            report.failure(format!("errsift ended, {status}: {}", self.log_tail(30)));
        }
    }

    /// The one that lost its shard learns so by an event; it must leave with 75.
    fn nudge_previous(&mut self, report: &Report, attempts: &mut Vec<Attempt>) {
        let Some(previous) = &mut self.previous else { return };
        if previous.ended().is_none() {
            let message = format!("poke {} of port {}", self.poked, previous.address().port());
            self.poked += 1;
            let fate = load::attempt(&mut Client::new(previous.address()), &message);
            attempts.push(Attempt { message, fate });
        }
        if let Some(status) = previous.ended() {
            report.ended(status);
            if status.code() != Some(FENCED) {
                let log = previous.log_tail(30);
                report.failure(format!("the loser ended, {status}: {log}"));
            }
            self.previous = None;
        }
    }

    fn frozen(&mut self, long: Duration) {
        self.current.signal("STOP");
        thread::sleep(long);
        self.current.signal("CONT");
    }

    fn terminate(&mut self, report: &Report) {
        self.current.signal("TERM");
        let mut ended = self.current.wait(DRAIN);
        if ended.is_none() {
            self.current.signal("TERM");
            ended = self.current.wait(DRAIN);
        }
        if let Some(status) = ended {
            report.ended(status);
            // one that does not listen for signals yet is ended by it as any process is
            let early = status.signal() == Some(SIGTERM);
            let fine = match status.code() {
                Some(0 | UNDRAINED | UNAVAILABLE) => true,
                Some(FENCED) => self.contested,
                _ => early,
            };
            if !fine {
                report.failure(format!("told to stop, {status}: {}", self.log_tail(30)));
            }
        } else {
            report.failure(format!("told to stop twice, still there: {}", self.log_tail(30)));
            self.current.kill();
        }
        self.restart();
    }

    fn is_soon_ready(&self) -> bool {
        let end = Instant::now() + SERVES;
        while !self.current.is_ready() {
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(STEP);
        }
        true
    }

    /// Starts another on the same shard; once it is ready it is the one that is posted to. With
    /// `frozen`, the first is frozen meanwhile and so much longer.
    fn take_over(&mut self, frozen: Option<Duration>, target: &Target, report: &Report) {
        // of two that start together either may take the shard, and the loser is not known
        if self.previous.is_some() || !self.is_soon_ready() {
            return;
        }
        let (dir, port) = (self.dir.path(), self.ports[1]);
        let kind = if frozen.is_some() { "taken over while frozen" } else { "taken over" };
        report.fault(&format!("errsift {kind}"));
        if frozen.is_some() {
            self.current.signal("STOP");
        }
        self.contested = true;
        let flags: Vec<String> =
            TAKE_OVER.map(str::to_owned).into_iter().chain(self.flags.clone()).collect();
        let start = || Mortal::start(dir, LOG, port, &flags, &[]);
        let (second, ready) = soon_ready(&start, report);
        if ready {
            target.set(port);
        }
        if let Some(longer) = frozen {
            thread::sleep(longer);
            self.current.signal("CONT");
        }
        if ready {
            self.ports.swap(0, 1);
            self.previous = Some(std::mem::replace(&mut self.current, second));
            self.contested = false;
        }
    }
}

/// A second process, and whether it serves. One that finds a store away ends, and is started again.
fn soon_ready(start: &dyn Fn() -> Mortal, report: &Report) -> (Mortal, bool) {
    let mut second = start();
    let end = Instant::now() + READY;
    while Instant::now() < end {
        if second.is_ready() {
            return (second, true);
        }
        if let Some(status) = second.ended() {
            report.ended(status);
            if status.code() != Some(UNAVAILABLE) {
                report.failure(format!("the second ended, {status}: {}", second.log_tail(30)));
            }
            second = start();
        }
        thread::sleep(STEP);
    }
    (second, false)
}
