//! `errsift dead show FINGERPRINT…`: all that is known of some errors' dead letters.

use std::{fmt::Write as _, io::Write};

use errsift_ops::fingerprint::Fingerprint;
use serde_json::json;

use super::{
    Fault,
    pages::{kind, to_json, walk},
};
use crate::{
    cli::{exit, output},
    dead::{DeadRow, DeadRows, Letter, WORDS},
    text,
};

/// Shows the letters of each error. Exits 1 if one has none.
pub fn run(
    rows: &mut dyn DeadRows,
    fingerprints: &[Fingerprint],
    json: bool,
    out: &mut impl Write,
) -> Result<u8, Fault> {
    let (mut code, mut any) = (0, false);
    if json {
        writeln!(out, "{{\"shard\":{},\"letters\":[", rows.shard())?;
    }
    for fingerprint in fingerprints {
        let mut found = false;
        walk(rows, Some(fingerprint), &mut |_, row| {
            let separator = match (any, json) {
                (false, _) => "",
                (true, true) => ",\n",
                (true, false) => "\n",
            };
            (any, found) = (true, true);
            let text = if json { document(row) } else { card(row) };
            Ok(out.write_all(format!("{separator}{text}").as_bytes())?)
        })?;
        if !found {
            output::complain(&format!("{fingerprint} has no dead letters"));
            code = exit::NOT_SO;
        }
    }
    if json {
        out.write_all(b"\n]}\n")?;
    }
    out.flush()?;
    Ok(code)
}

fn document(row: &DeadRow) -> String {
    let mut document = to_json(row);
    document["payload"] = match &row.letter {
        Ok(letter) => json!(letter),
        Err(_) => serde_json::Value::Null,
    };
    text::escaped_json(&document.to_string())
}

fn card(row: &DeadRow) -> String {
    let mut card = String::new();
    let mut say = |name: &str, value: &str| {
        // a String takes whatever is written to it
        let _ = writeln!(card, "{name:<12} {value}");
    };
    say("fingerprint", &row.key.fingerprint.to_string());
    say("kind", kind(row));
    if row.key.epoch != WORDS {
        say("epoch", &row.key.epoch.to_string());
        say("window", &row.key.window.start().to_string());
        say("count", &row.count.to_string());
    }
    let mut reason = text::lines(&row.reason);
    say("reason", &reason.next().unwrap_or_default());
    for line in reason {
        say("", &line);
    }
    match &row.letter {
        Err(why) => say("payload", &text::escaped(why)),
        Ok(Letter::Seen { .. }) => {
            if let Some((first, last)) = row.letter.as_ref().ok().and_then(Letter::seen) {
                say("first seen", &first.to_string());
                say("last seen", &last.to_string());
            }
        }
        Ok(Letter::Words(details)) => {
            let payload = &details.payload;
            say("rule", &details.rule.0.to_string());
            say("message", &text::quoted(&payload.message));
            for (name, value) in [
                ("type", &payload.kind),
                ("level", &payload.level),
                ("service", &payload.service),
                ("environment", &payload.environment),
                ("release", &payload.release),
                ("stack trace", &payload.stack_trace),
            ] {
                if let Some(value) = value {
                    say(name, &text::quoted(value));
                }
            }
            for (key, value) in &payload.tags {
                say("tag", &format!("{} = {}", text::quoted(key), text::quoted(value)));
            }
        }
    }
    card
}
