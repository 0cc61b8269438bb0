//! What a replay has come to, printed at its end.

use std::{
    io::{self, Write},
    time::Duration,
};

use errsift_ops::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::{replay::account::Sums, text};

/// What is printed.
pub struct Summary<'a> {
    pub sums: &'a Sums,
    pub names: &'a [String],
    pub distinct: u64,
    /// Errors that the tables had not counted before.
    pub new: u64,
    /// Rows that the tables refused, and events in them.
    pub dead: (u64, u64),
    /// Until everything that was read was committed, if it was.
    pub committed: Option<Duration>,
    /// Until the tables were complete, too.
    pub took: Duration,
    pub place: String,
    pub is_dry: bool,
    pub is_complete: bool,
}

impl Summary<'_> {
    pub fn print(&self, as_json: bool, out: &mut impl Write) -> io::Result<()> {
        if as_json {
            writeln!(out, "{}", self.json())?;
        } else {
            self.table(out)?;
        }
        out.flush()
    }

    fn table(&self, out: &mut impl Write) -> io::Result<()> {
        let Sums { seen, bytes, rejected, reasons, logs, logs_done_before } = self.sums;
        let mut line = |name: &str, text: String| writeln!(out, "{name:<10} {text}");
        let done = match logs_done_before {
            0 => String::new(),
            before => format!(", and {before} with nothing new"),
        };
        line("logs", format!("{logs}{done}"))?;
        let counted = if self.is_dry { "would be counted" } else { "counted" };
        line("events", format!("{:>12} {counted} in {}", seen.events, self.place))?;
        line("distinct", format!("{:>12}", self.distinct))?;
        if !self.is_dry {
            line("new", format!("{:>12}", self.new))?;
        }
        if seen.below_level > 0 || seen.unknown_level > 0 {
            let unknown = seen.unknown_level;
            line(
                "levels",
                format!("{:>12} left out, {unknown} of unknown level counted", seen.below_level),
            )?;
        }
        if seen.clamped > 0 {
            line("future", format!("{:>12} brought back to now", seen.clamped))?;
        }
        if self.dead.0 > 0 {
            let (rows, events) = self.dead;
            line(
                "set aside",
                format!(
                    "{events:>12} in {rows} rows that the tables refuse: see errsift dead list"
                ),
            )?;
        }
        line("rejected", format!("{rejected:>12}"))?;
        for (reason, of) in reasons {
            let first: Vec<String> = of.first.iter().map(|place| self.place(*place)).collect();
            let reason = text::escaped(reason);
            line("", format!("{:>12} {reason}: at byte {}", of.records, first.join(", ")))?;
        }
        if let (Some(first), Some(last)) = (seen.first, seen.last) {
            line("span", format!("{first} to {last}"))?;
        }
        let (events_rate, bytes_rate) = self.rates();
        let seconds = self.took.as_secs_f64();
        line(
            "took",
            format!(
                "{seconds:.2} s, {bytes} bytes: {events_rate:.0} events/s, {:.1} MB/s",
                bytes_rate / 1e6
            ),
        )
    }

    fn place(&self, (log, at): (usize, u64)) -> String {
        if self.names.len() == 1 { at.to_string() } else { format!("{at} of {}", self.names[log]) }
    }

    #[expect(clippy::cast_precision_loss, reason = "rates for people")]
    fn rates(&self) -> (f64, f64) {
        let seconds = self.took.as_secs_f64().max(1e-6);
        (self.sums.seen.events as f64 / seconds, self.sums.bytes as f64 / seconds)
    }

    fn json(&self) -> Value {
        let Sums { seen, bytes, rejected, reasons, logs, logs_done_before } = self.sums;
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let reasons: Vec<Value> = reasons
            .iter()
            .map(|(reason, of)| {
                let first = of.first.iter();
                let first: Vec<_> = first
                    .map(|(log, at)| json!({ "log": self.names[*log], "offset": at }))
                    .collect();
                json!({ "reason": reason, "records": of.records, "first": first })
            })
            .collect();
        json!({
            "complete": self.is_complete,
            "dry_run": self.is_dry,
            "logs": logs,
            "logs_done_before": logs_done_before,
            "events": seen.events,
            "distinct": self.distinct,
            "new": (!self.is_dry).then_some(self.new),
            "below_level": seen.below_level,
            "unknown_level": seen.unknown_level,
            "clamped": seen.clamped,
            "set_aside_events": self.dead.1,
            "rejected": rejected,
            "rejects": reasons,
            "first_seen": time(seen.first),
            "last_seen": time(seen.last),
            "bytes": bytes,
            "committed_seconds": self.committed.map(|committed| committed.as_secs_f64()),
            "seconds": self.took.as_secs_f64(),
            "events_per_second": self.rates().0,
        })
    }
}
