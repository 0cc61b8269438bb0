//! Rows as lines of NDJSON or CSV.

use std::io::{self, Write};

use clap::ValueEnum;
use errsift_ops::{
    event::Payload, fingerprint::Fingerprint, tags, timestamp::Timestamp, window::Window,
};
use errsift_pipeline::ports::errors::ErrorRow;
use serde::{Serialize, Serializer};

use super::WindowRow;

/// What is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// One line for each error: the view `errors`
    #[default]
    Errors,
    /// One line for each error and 30-second window: its fingerprint, the window and the count
    Windows,
    /// The same as events with a count, which say all that errsift needs to count them again
    Events,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line
    #[default]
    Ndjson,
    /// RFC 4180, with a line of names first; nothing and an empty text are the same
    Csv,
}

/// Writes lines.
pub struct Lines<W: Write> {
    subject: Subject,
    out: Out<W>,
}

enum Out<W: Write> {
    Ndjson(W),
    Csv(Box<csv::Writer<W>>),
}

/// Names of the columns of errors.
const ERRORS: [&str; 13] = [
    "fingerprint",
    "rule",
    "message",
    "stack_trace",
    "type",
    "level",
    "service",
    "environment",
    "release",
    "tags",
    "count",
    "first_seen",
    "last_seen",
];
const WINDOWS: [&str; 3] = ["fingerprint", "window_start", "count"];

#[derive(Serialize)]
struct ErrorLine<'a> {
    fingerprint: String,
    rule: Option<u16>,
    message: Option<&'a str>,
    stack_trace: Option<&'a str>,
    r#type: Option<&'a str>,
    level: Option<&'a str>,
    service: Option<&'a str>,
    environment: Option<&'a str>,
    release: Option<&'a str>,
    tags: Option<Tags<'a>>,
    count: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
}

#[derive(Serialize)]
struct WindowLine {
    fingerprint: String,
    window_start: String,
    count: u64,
}

/// An event's fields, and those of all events that it stands for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventLine<'a> {
    error_fingerprint: String,
    rule: Option<u16>,
    window: String,
    count: u64,
    first_seen: String,
    last_seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_trace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Tags<'a>>,
}

struct Tags<'a>(&'a [(String, String)]);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<W: Write> Lines<W> {
    /// Lines on `out`; the names are written at once.
    pub fn new(subject: Subject, format: Format, out: W) -> io::Result<Self> {
        let out = match format {
            Format::Ndjson => Out::Ndjson(out),
            Format::Csv => {
                let mut builder = csv::WriterBuilder::new();
                let mut writer = builder.terminator(csv::Terminator::CRLF).from_writer(out);
                match subject {
                    Subject::Errors => writer.write_record(ERRORS),
                    Subject::Windows | Subject::Events => writer.write_record(WINDOWS),
                }
                .map_err(of_csv)?;
                Out::Csv(Box::new(writer))
            }
        };
        Ok(Self { subject, out })
    }

    /// What the lines are of.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// Writes one error.
    pub fn error(&mut self, fingerprint: &Fingerprint, row: &ErrorRow) -> io::Result<()> {
        let payload = row.details.as_ref().map(|(_, payload)| payload);
        let line = ErrorLine {
            fingerprint: fingerprint.to_string(),
            rule: row.details.as_ref().map(|(rule, _)| rule.0),
            message: payload.map(|payload| payload.message.as_str()),
            stack_trace: text(payload, |payload| &payload.stack_trace),
            r#type: text(payload, |payload| &payload.kind),
            level: text(payload, |payload| &payload.level),
            service: text(payload, |payload| &payload.service),
            environment: text(payload, |payload| &payload.environment),
            release: text(payload, |payload| &payload.release),
            tags: payload.map(|payload| Tags(&payload.tags)),
            count: row.count,
            first_seen: row.first_seen.map(|at| at.to_string()),
            last_seen: row.last_seen.map(|at| at.to_string()),
        };
        match &mut self.out {
            Out::Ndjson(out) => json(out, &line),
            Out::Csv(writer) => {
                let tags = payload.map(|payload| tags::to_json(&payload.tags)).transpose()?;
                let rule = line.rule.map(|rule| rule.to_string());
                let count = line.count.to_string();
                let record = [
                    Some(line.fingerprint.as_str()),
                    rule.as_deref(),
                    line.message,
                    line.stack_trace,
                    line.r#type,
                    line.level,
                    line.service,
                    line.environment,
                    line.release,
                    tags.as_deref(),
                    Some(&count),
                    line.first_seen.as_deref(),
                    line.last_seen.as_deref(),
                ];
                writer.write_record(record.map(Option::unwrap_or_default)).map_err(of_csv)
            }
        }
    }

    /// Writes one window of one error.
    pub fn window(&mut self, row: &WindowRow) -> io::Result<()> {
        let fingerprint = row.fingerprint.to_string();
        let window_start = row.start.to_string();
        match (&mut self.out, self.subject) {
            (Out::Ndjson(out), Subject::Events) => json(out, &event(row)),
            (Out::Ndjson(out), _) => {
                json(out, &WindowLine { fingerprint, window_start, count: row.count })
            }
            (Out::Csv(writer), _) => {
                let record = [fingerprint, window_start, row.count.to_string()];
                writer.write_record(record).map_err(of_csv)
            }
        }
    }

    /// Writes what is still held back.
    pub fn end(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::Ndjson(out) => out.flush(),
            Out::Csv(writer) => writer.flush(),
        }
    }
}

/// The first and the last time lie in the window, and over all windows of an error they are its
/// own.
fn event(row: &WindowRow) -> EventLine<'_> {
    let payload = row.error.details.as_ref().map(|(_, payload)| payload);
    let last_of_window = row.start.plus_millis(Window::LENGTH_MS - 1);
    let within = |at: Option<Timestamp>, otherwise: Timestamp| {
        at.unwrap_or(otherwise).clamp(row.start, last_of_window).to_string()
    };
    EventLine {
        error_fingerprint: row.fingerprint.to_string(),
        rule: row.error.details.as_ref().map(|(rule, _)| rule.0),
        window: row.start.to_string(),
        count: row.count,
        first_seen: within(row.error.first_seen, row.start),
        last_seen: within(row.error.last_seen, last_of_window),
        message: payload.map(|payload| payload.message.as_str()),
        stack_trace: text(payload, |payload| &payload.stack_trace),
        r#type: text(payload, |payload| &payload.kind),
        level: text(payload, |payload| &payload.level),
        service: text(payload, |payload| &payload.service),
        environment: text(payload, |payload| &payload.environment),
        release: text(payload, |payload| &payload.release),
        tags: payload.filter(|payload| !payload.tags.is_empty()).map(|payload| Tags(&payload.tags)),
    }
}

fn text(payload: Option<&Payload>, of: impl Fn(&Payload) -> &Option<String>) -> Option<&str> {
    payload.and_then(|payload| of(payload).as_deref())
}

/// The error below: whether the reader has gone is told by its kind, which csv's own conversion hides.
fn of_csv(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn json(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}
