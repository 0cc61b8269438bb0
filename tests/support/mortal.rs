//! An errsift that is expected to end: by a crash, a signal, or by itself.
//!
//! Unlike [`Errsift`](super::errsift::Errsift), which must be ready or the test fails, this one is
//! only started; whoever holds it asks what became of it. It keeps nothing: flags say where its
//! stores are, so the next one on the same port goes on where this one ended.

use std::{
    fs::{self, OpenOptions},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{client::Client, errsift::command, ports};

const POLL: Duration = Duration::from_millis(5);

/// A child process that serves, or did.
pub struct Mortal {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Mortal {
    /// Starts `errsift serve` on `port` with further flags and variables, in the directory `dir`,
    /// and adds what it says to the file `log` there.
    pub fn start(
        dir: &Path,
        log: &str,
        port: u16,
        flags: &[String],
        environment: &[(&str, &str)],
    ) -> Self {
        let log = dir.join(log);
        let file = OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let child = command()
            .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
            .args(flags)
            .envs(environment.iter().copied())
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("one more descriptor"))
            .stderr(file)
            .spawn()
            .expect("errsift was built");
        Self { child, port, log }
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// How it ended; `None` if it has not within `patience`.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + patience;
        loop {
            let ended = self.ended();
            if ended.is_some() || Instant::now() >= end {
                return ended;
            }
            thread::sleep(POLL);
        }
    }

    /// Whether it takes events now.
    pub fn is_ready(&self) -> bool {
        let ask = || Client::new(self.address()).request("GET", "/readyz", &[], b"");
        ports::listens(self.child.id(), self.port) && matches!(ask(), Ok((200, _)))
    }

    /// Sends a signal by its name; a process that has ended gets none.
    pub fn signal(&mut self, name: &str) {
        if self.ended().is_none() {
            // the shell's own: there is no unsafe code here, and the pid is ours until reaped
            let mut kill = Command::new("sh");
            kill.args(["-c", "kill -s \"$1\" \"$2\"", "sh", name]).arg(self.child.id().to_string());
            assert!(kill.status().is_ok_and(|status| status.success()), "SIG{name} failed");
        }
    }

    /// SIGKILL, and waits until it is reaped.
    pub fn kill(&mut self) {
        // neither does harm to one that has ended
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The end of all that was written to its log file.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.kill();
    }
}
