//! Runs of errsift that end by themselves.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
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
    let mut command = errsift::command();
    command.args(arguments).envs(environment.iter().copied());
    end(command, b"")
}

/// As [`run`], with something on standard input.
pub fn run_on(input: &[u8], arguments: &[&str]) -> Ended {
    let mut command = errsift::command();
    command.args(arguments);
    end(command, input)
}

/// Runs a command to its end in a directory of its own. Panics if it does not end.
pub fn end(mut command: Command, input: &[u8]) -> Ended {
    let dir = TempDir::new().expect("no temporary directory");
    let mut running = Running::start(command.current_dir(dir.path()));
    // it may end without reading it
    let _ = running.stdin.as_mut().expect("open").write_all(input);
    running.end()
}

/// A run with pipes to all that it reads and says.
pub struct Running {
    what: String,
    child: Killed,
    stdin: Option<ChildStdin>,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("errsift cannot be run");
        let stdout = collect(child.stdout.take().expect("piped"));
        let stderr = collect(child.stderr.take().expect("piped"));
        let what = format!("the end of {command:?}");
        Self { what, stdin: child.stdin.take(), child: Killed(child), stdout, stderr }
    }

    /// Gives it something to read.
    pub fn reads(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("open");
        stdin.write_all(text.as_bytes()).expect("it reads");
    }

    /// What it reads ends here.
    pub fn reads_no_more(&mut self) {
        self.stdin = None;
    }

    /// As Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = i32::try_from(self.child.0.id()).expect("a pid");
        let told = Command::new("kill").args(["-INT", &pid.to_string()]).status();
        assert!(told.expect("kill").success());
    }

    pub fn is_running(&mut self) -> bool {
        self.child.0.try_wait().expect("a process").is_none()
    }

    /// Its end, when it has read all. Panics if it does not end.
    pub fn end(mut self) -> Ended {
        self.reads_no_more();
        self.ends()
    }

    /// Its end although there may be more to read. Panics if it does not end.
    pub fn ends(self) -> Ended {
        let Self { what, mut child, stdin, stdout, stderr } = self;
        let status = wait::until(&what, 2 * Duration::from_secs(30), || {
            let ended = child.0.try_wait().map_err(|error| error.to_string())?;
            ended.ok_or_else(|| "it runs".to_owned())
        });
        drop(stdin);
        let text = |output: JoinHandle<String>| output.join().expect("its output is UTF-8");
        Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

/// A child that does not outlive a panic.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // it has ended by itself unless the test fails
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn collect(mut output: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).expect("its output is UTF-8");
        text
    })
}
