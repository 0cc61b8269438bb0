//! An error's words and numbers.

use std::fmt::Write as _;

use errsift_ops::timestamp::Timestamp;

use crate::{client::ErrorDetails, text};

/// One line a field, then the stack trace; what is not known is left out. `now` is the server's.
pub fn card(error: &ErrorDetails, now: Timestamp) -> String {
    let row = &error.row;
    let mut card = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(card, "{name:<12} {value}");
        }
    };
    let words = |words: &Option<String>| words.as_deref().map(text::escaped);
    let seen = |at: Option<Timestamp>| {
        at.map(|at| match text::ago(now.millis() - at.millis()).as_str() {
            "now" => format!("{at} (now)"),
            ago => format!("{at} ({ago} ago)"),
        })
    };
    line("fingerprint", Some(text::escaped(&row.fingerprint)));
    line("rule", row.rule.map(|rule| rule.to_string()));
    line("message", row.message.as_deref().map(message));
    line("type", words(&row.kind));
    line("level", words(&row.level));
    line("service", words(&row.service));
    line("environment", words(&row.environment));
    line("release", words(&row.release));
    line("count", Some(row.count.to_string()));
    line("first seen", seen(row.first_seen));
    line("last seen", seen(row.last_seen));
    for (key, value) in row.tags.iter().flatten() {
        line("tag", Some(format!("{} = {}", text::escaped(key), text::escaped(value))));
    }
    if let Some(trace) = error.stack_trace.as_deref().filter(|trace| !trace.is_empty()) {
        card.push_str("\nstack trace\n");
        for frame in text::lines(trace) {
            let _ = writeln!(card, "  {frame}");
        }
    }
    card
}

/// A message's lines below each other.
fn message(message: &str) -> String {
    text::lines(message).collect::<Vec<_>>().join("\n             ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_has_what_is_known() {
        let json = r#"{"fingerprint":"ab","rule":1,"message":"boom\nand \u001b[31mmore","type":null,
            "service":"shop","tags":{"k":"v\r","a":"b"},"count":3,
            "first_seen":"1970-01-01T00:00:10.000Z","last_seen":"1970-01-01T00:01:40.000Z",
            "stack_trace":"at f\n\tat g\u009b"}"#;
        let error: ErrorDetails = serde_json::from_str(json).unwrap();
        let expected = r"fingerprint  ab
rule         1
message      boom
             and \u{1b}[31mmore
service      shop
count        3
first seen   1970-01-01T00:00:10.000Z (1m ago)
last seen    1970-01-01T00:01:40.000Z (now)
tag          a = b
tag          k = v\r

stack trace
  at f
      at g\u{9b}
";
        assert_eq!(card(&error, Timestamp::from_millis(100_000)), expected);
    }
}
