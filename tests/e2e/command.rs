//! Runs of errsift that end by themselves.

use std::{
    io::Read,
    process::{Child, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use tempfile::TempDir;

use crate::{support::errsift, wait};

/// What a run left behind.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Panics unless it ended so, and said all of `words` on one of the two outputs.
    pub fn assert_says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            let said = self.stdout.contains(word) || self.stderr.contains(word);
            assert!(said, "{word:?} is not in {self:?}");
        }
    }
}

/// Runs errsift to its end in a directory of its own. Panics if it does not end.
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let dir = TempDir::new().expect("no temporary directory");
    let mut command = errsift::command();
    command.args(arguments).envs(environment.iter().copied()).current_dir(dir.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Killed(command.spawn().expect("errsift cannot be run"));
    let stdout = collect(running.0.stdout.take().expect("piped"));
    let stderr = collect(running.0.stderr.take().expect("piped"));
    let what = format!("the end of errsift {arguments:?}");
    let status = wait::until(&what, 2 * Duration::from_secs(30), || {
        let ended = running.0.try_wait().map_err(|error| error.to_string())?;
        ended.ok_or_else(|| "it runs".to_owned())
    });
    let text = |output: JoinHandle<String>| output.join().expect("its output is UTF-8");
    Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// A child that does not outlive a panic.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // it has ended by itself unless the test fails
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn collect(mut output: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).expect("its output is UTF-8");
        text
    })
}
