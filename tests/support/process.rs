//! A server as a child process of the test.
//!
//! A [`Program`] says how to run it on a given port and directory and how to ask whether it is
//! ready; a [`Process`] is one that runs. Promised: when [`Process::start`], [`Process::start_in`]
//! or [`Process::restart`] return, this very child listens on [`Process::port`] and is ready, or
//! the test has panicked with the server's log. When the guard goes, the child is killed and
//! reaped; a test that panics prints the end of its log.
//!
//! Deliberately absent: shared servers, fixed ports, process groups. A program must not fork away.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::ports;

/// How long a server may take to be ready.
const READY_DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// Another process may take the port between choosing and binding it: then the server ends at once.
const STARTS_MAX: u32 = 3;
/// What a failing test shows of the log.
const LOG_TAIL_LINES: usize = 80;

/// What a running child is asked with: where it should be, and the pid it has if it is ours.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    pub port: u16,
    pub pid: u32,
    pub dir: &'a Path,
}

impl Running<'_> {
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

type Spell = dyn Fn(u16, &Path) -> Command + Send + Sync;
type Ask = dyn Fn(Running) -> bool + Send + Sync;

/// How to run a server, and how to know that it is ready.
pub struct Program {
    name: &'static str,
    command: Box<Spell>,
    ready: Box<Ask>,
}

impl Program {
    /// `command` spells the command line for a port of 127.0.0.1 and a directory; the child's
    /// working directory is that directory and its output goes to `NAME.log` in it. `ready` asks
    /// the server over its port; that the child is the one who listens there is checked before.
    pub fn new(
        name: &'static str,
        command: impl Fn(u16, &Path) -> Command + Send + Sync + 'static,
        ready: impl Fn(Running) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { name, command: Box::new(command), ready: Box::new(ready) }
    }
}

/// A running server; see the module for what is promised.
pub struct Process {
    program: Program,
    dir: TempDir,
    port: u16,
    child: Child,
}

impl Process {
    /// Starts the program in a fresh directory.
    pub fn start(program: Program) -> Self {
        Self::start_in(TempDir::new().expect("no temporary directory"), program)
    }

    /// Starts the program in a directory that was prepared for it.
    pub fn start_in(dir: TempDir, program: Program) -> Self {
        let port = ports::free();
        let child = spawn(&program, dir.path(), port);
        // From here on a panic, also one of `ready`, kills the child and prints its log.
        let mut process = Self { program, dir, port, child };
        for start in 1.. {
            let Err(fault) = process.await_ready() else {
                break;
            };
            let name = process.program.name;
            let again = !process.is_running() && start < STARTS_MAX;
            assert!(again, "{name} on {}: {fault}", process.port);
            eprintln!("{name} on {}: {fault}, trying another port", process.port);
            process.port = ports::free();
            process.child = spawn(&process.program, process.dir.path(), process.port);
        }
        process
    }

    /// The same command on the same port and directory, after the child is gone; kills it if it
    /// still runs.
    pub fn restart(&mut self) {
        self.kill_9();
        self.child = spawn(&self.program, self.dir.path(), self.port);
        if let Err(fault) = self.await_ready() {
            panic!("{} restarted: {fault}", self.program.name);
        }
    }

    /// SIGKILL, and waits until the child is reaped. Nothing happens when it is gone already.
    pub fn kill_9(&mut self) {
        reap(&mut self.child);
    }

    /// SIGTERM, and waits for the exit. `None` as code: ended by a signal. Panics when the child
    /// still runs at the deadline.
    pub fn sigterm(&mut self, deadline: Duration) -> Option<i32> {
        self.signal("TERM");
        self.wait(deadline).code()
    }

    /// Waits until the child ends by itself. Panics when it still runs at the deadline.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().expect("cannot wait for the child") {
                return status;
            }
            let name = self.program.name;
            assert!(Instant::now() < end, "{name} still runs after {deadline:?}");
            thread::sleep(POLL);
        }
    }

    /// Sends a signal by its name: `STOP` and `CONT` freeze and thaw the server. The pid cannot be
    /// another's: the child is not reaped before this guard says so.
    pub fn signal(&mut self, name: &str) {
        let alive = self.is_running();
        assert!(alive, "{} is gone, no SIG{name} sent", self.program.name);
        // The shell's own `kill`: this workspace has no unsafe code, and Debian may lack procps.
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name])
            .arg(self.pid().to_string())
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} failed");
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn await_ready(&mut self) -> Result<(), String> {
        let end = Instant::now() + READY_DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("ended before it was ready, {status}"));
            }
            let running = Running { port: self.port, pid: self.pid(), dir: self.dir.path() };
            if ports::listens(running.pid, running.port) && (self.program.ready)(running) {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(format!("not ready after {READY_DEADLINE:?}"));
            }
            thread::sleep(POLL);
        }
    }

    /// Everything that all starts of this server have written so far.
    pub fn log(&self) -> String {
        read_log(&self.program, self.dir.path())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        reap(&mut self.child);
        if thread::panicking() {
            let name = self.program.name;
            eprintln!("{name}:\n{}", log_tail(&self.program, self.dir.path()));
        }
    }
}

fn spawn(program: &Program, dir: &Path, port: u16) -> Child {
    let log = open_log(&log_path(program, dir)).expect("cannot open the server's log");
    let mut command = (program.command)(port, dir);
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("cannot share the server's log"))
        .stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Kills and waits; both do nothing to a child that was waited for before.
fn reap(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn log_path(program: &Program, dir: &Path) -> PathBuf {
    dir.join(format!("{}.log", program.name))
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn read_log(program: &Program, dir: &Path) -> String {
    let bytes = fs::read(log_path(program, dir)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn log_tail(program: &Program, dir: &Path) -> String {
    let log = read_log(program, dir);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
