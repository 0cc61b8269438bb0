//! Logs: for people on a terminal, JSON off one; repeated warnings are limited, and no text of
//! users reaches either raw.

mod limit;
mod text;

use std::{
    io::IsTerminal,
    sync::{Arc, OnceLock},
};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, fmt, fmt::MakeWriter, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

use self::limit::{Limiter, Shared};
use crate::{clock::SystemClock, settings::LogFormat};

static LIMITER: OnceLock<Arc<Limiter>> = OnceLock::new();

/// Starts logging to standard error. A filter that cannot be read counts as `info`, and the log
/// says so.
pub fn start(filter: &str, format: LogFormat) {
    let parsed = EnvFilter::try_new(filter);
    let fault = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let json = match format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Human => false,
    };
    let limiter = LIMITER.get_or_init(|| Arc::new(Limiter::new(Arc::new(SystemClock::start()))));
    let registry = tracing_subscriber::registry().with(filter).with(Shared(Arc::clone(limiter)));
    // an error means that logging was started before, as by a test
    let _ = if json {
        registry.with(as_json(std::io::stderr)).try_init()
    } else {
        registry.with(for_people(std::io::stderr, terminal)).try_init()
    };
    if let Some(fault) = fault {
        tracing::warn!(%fault, "--log: cannot be read, logging at info");
    }
}

/// Says what was suppressed and not said yet; for the end of the process.
pub fn finish() {
    if let Some(limiter) = LIMITER.get() {
        limiter.tell_all();
    }
}

/// One object a line.
fn as_json<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fmt::layer()
        .json()
        .flatten_event(true)
        .log_internal_errors(false)
        .with_writer(text::PrintableJson(writer))
}

/// One line for people, in colours if the terminal has them.
fn for_people<S, W>(writer: W, colours: bool) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fmt::layer()
        .fmt_fields(text::escaped_fields())
        .with_target(false)
        .with_ansi(colours)
        .log_internal_errors(false)
        .with_writer(writer)
}

#[cfg(test)]
mod tests;
