//! Logs: for people on a terminal, JSON off one.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. A filter that cannot be read counts as `info`, and the log
/// says so.
pub fn start(filter: &str) {
    let parsed = EnvFilter::try_new(filter);
    let fault = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // an error means that logging was started before, as by a test
    let _ = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    if let Some(fault) = fault {
        tracing::warn!(%fault, "--log: cannot be read, logging at info");
    }
}
