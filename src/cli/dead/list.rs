//! `errsift dead list`: a line for each dead letter.

use std::io::Write;

use errsift_pipeline::ports::errors::DeadLetters;
use serde_json::json;

use super::{
    Fault,
    pages::{kind, share, to_json, walk},
};
use crate::{
    dead::{DeadRow, DeadRows, Letter, WORDS},
    inspect::InspectGuards,
    text,
};

/// Columns of a reason.
const REASON_WIDTH: usize = 100;

/// Lists the letters as they are read.
pub fn run(
    rows: &mut dyn DeadRows,
    guards: &mut dyn InspectGuards,
    place: &str,
    json: bool,
    out: &mut impl Write,
) -> Result<u8, Fault> {
    let dropped = guards.settled()?.dropped();
    out.write_all(head(rows, place, json).as_bytes())?;
    let mut sum = DeadLetters::default();
    walk(rows, None, &mut |_, row| {
        if json && sum.rows > 0 {
            out.write_all(b",\n")?;
        }
        sum.add(share(row));
        let line = if json { text::escaped_json(&to_json(row).to_string()) } else { line(row) };
        Ok(out.write_all(line.as_bytes())?)
    })?;
    let DeadLetters { rows, events } = sum;
    if json {
        writeln!(out, "\n],\"count\":{rows},\"events\":{events},\"dropped_events\":{dropped}}}")?;
    } else {
        writeln!(
            out,
            "{rows} dead letters, {events} events; {dropped} events were dropped before"
        )?;
    }
    out.flush()?;
    Ok(0)
}

fn head(rows: &dyn DeadRows, place: &str, json: bool) -> String {
    let shard = rows.shard();
    if json {
        let head = json!({ "shard": shard.0, "tables": place }).to_string();
        // the letters come last, and are written as they are read
        return head.strip_suffix('}').unwrap_or(&head).to_owned() + ",\"letters\":[\n";
    }
    format!(
        "shard {shard}, {place}\n\
         {:<5} {:>11}  {:<64}  {:<24} {:>8}  {:<24}  {:<24}  {}\n",
        "KIND", "EPOCH", "FINGERPRINT", "WINDOW", "COUNT", "FIRST SEEN", "LAST SEEN", "REASON"
    )
}

fn line(row: &DeadRow) -> String {
    let DeadRow { key, count, reason, letter } = row;
    let (mut epoch, mut window) = (String::new(), String::new());
    if key.epoch != WORDS {
        (epoch, window) = (key.epoch.to_string(), key.window.start().to_string());
    }
    let seen = letter.as_ref().ok().and_then(Letter::seen);
    let (first, last) = seen.map(|(f, l)| (f.to_string(), l.to_string())).unwrap_or_default();
    format!(
        "{:<5} {epoch:>11}  {}  {window:<24} {count:>8}  {first:<24}  {last:<24}  {}\n",
        kind(row),
        key.fingerprint,
        text::cut(&text::first_line(reason), REASON_WIDTH),
    )
}

#[cfg(test)]
mod tests {
    use errsift_ops::{fingerprint::Fingerprint, id::Epoch, timestamp::Timestamp, window::Window};

    use super::*;
    use crate::dead::Key;

    #[test]
    fn a_letter_is_a_line_that_steers_no_terminal() {
        let start = Timestamp::from_millis(1_700_000_010_000);
        let key = Key {
            epoch: Epoch(1_700_000_040),
            fingerprint: Fingerprint([1; 32]),
            window: Window::of(start),
        };
        let (first_ms, last_ms) = (start.millis(), start.millis() + 7);
        let row = DeadRow {
            key,
            count: 12,
            reason: "no\u{1b}[31m\nmore".to_owned(),
            letter: Ok(Letter::Seen { first_ms, last_ms }),
        };
        let expected = format!(
            "row    1700000040  {}  2023-11-14T22:13:30.000Z       12  2023-11-14T22:13:30.000Z  \
             2023-11-14T22:13:30.007Z  no\\u{{1b}}[31m…\n",
            key.fingerprint
        );
        assert_eq!(line(&row), expected);
        let words = DeadRow {
            key: Key::of_words(key.fingerprint),
            count: 0,
            letter: Err("torn".to_owned()),
            ..row
        };
        assert!(line(&words).starts_with(&format!("words              {}  ", key.fingerprint)));
        assert_eq!(to_json(&words)["epoch"], serde_json::Value::Null);
    }
}
