//! What a panic does: it ends the process at once, whatever thread it happens on and however the
//! binary was built. The thread leaves a broken promise behind, and the others would not hear of
//! it; the journal has everything that was acknowledged.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::PanicHookInfo,
    process, thread,
    time::Duration,
};

use super::exit;

/// The log may be what has panicked, with its locks held: the process ends after this all the same.
const LOG_MAX: Duration = Duration::from_secs(2);

/// Has every panic logged, and the process end with [`exit::BROKEN`].
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        // without a thread for it, the log is trusted
        let _ = thread::Builder::new().spawn(|| {
            thread::sleep(LOG_MAX);
            process::abort();
        });
        log(panic);
        crate::logging::finish();
        process::exit(i32::from(exit::BROKEN));
    }));
}

fn log(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let thread = thread.name().unwrap_or("unnamed").escape_debug().to_string();
    let panicked = panic.payload_as_str().unwrap_or("no message").escape_debug().to_string();
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let exit_code = exit::BROKEN;
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(thread, location, panic = panicked, %backtrace, exit_code, "a thread panicked");
    } else {
        tracing::error!(thread, location, panic = panicked, exit_code, "a thread panicked");
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::settings::LogFormat;

    #[test]
    #[ignore = "ends the process: the test below runs it in one of its own"]
    fn panics() {
        crate::logging::start("info", LogFormat::Json);
        end_on_panic();
        let thread = thread::Builder::new().name("counts".to_owned());
        let spawned = thread.spawn(|| panic!("on purpose, with\u{1b}[31m colour"));
        let _ = spawned.unwrap().join();
        // only reached if the panic has not ended the process
        process::exit(0);
    }

    #[test]
    fn any_threads_panic_ends_the_process_with_a_line_in_the_log() {
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cli::panicked::tests::panics", "--ignored", "--nocapture"])
            .env_remove("RUST_BACKTRACE")
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(70), "{ended:?}");
        let log = String::from_utf8(ended.stderr).unwrap();
        let line = log.lines().find(|line| line.contains("a thread panicked")).expect(&log);
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["thread"], "counts");
        assert_eq!(line["message"], "a thread panicked", "{line}");
        assert_eq!(line["panic"], r"on purpose, with\u{1b}[31m colour", "{line}");
        assert!(line["location"].as_str().unwrap().starts_with("src/cli/panicked.rs:"), "{line}");
    }
}
