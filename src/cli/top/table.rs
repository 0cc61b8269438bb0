//! The table as lines of text.

use std::fmt::Write as _;

use errsift_ops::timestamp::Timestamp;

use super::rates::Loud;
use crate::text;

/// What stands for a value that is not known.
const UNKNOWN: &str = "-";
/// The message has at least this many columns, while others can be left out for it.
const MESSAGE_MIN: usize = 20;
/// Digits of a fingerprint: enough to tell errors apart.
const FINGERPRINT_DIGITS: usize = 12;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Count,
    Rate,
    LastSeen,
    Level,
    Service,
    Message,
    Fingerprint,
}

/// All columns with their widths; the message takes the rest.
const COLUMNS: [(Column, &str, usize); 7] = [
    (Column::Count, "COUNT", 9),
    (Column::Rate, "RATE", 8),
    (Column::LastSeen, "LAST SEEN", 9),
    (Column::Level, "LEVEL", 7),
    (Column::Service, "SERVICE", 14),
    (Column::Message, "MESSAGE", 0),
    (Column::Fingerprint, "FINGERPRINT", FINGERPRINT_DIGITS),
];
/// Those that a narrow table goes without, first to go first.
const OPTIONAL: [Column; 4] = [Column::Level, Column::Fingerprint, Column::Service, Column::Rate];

/// The table's head and a line for each error, no wider than `width`; `now` is the server's.
pub fn lines(loud: &[Loud], now: Timestamp, width: usize) -> Vec<String> {
    let columns = fitting(width);
    let mut lines = vec![line(&columns, width, |_, name| name.to_owned())];
    for loud in loud {
        lines.push(line(&columns, width, |column, _| value(loud, now, column)));
    }
    lines
}

/// The columns that leave room for the message.
fn fitting(width: usize) -> Vec<(Column, &'static str, usize)> {
    let mut columns = COLUMNS.to_vec();
    for optional in OPTIONAL {
        let taken: usize = columns.iter().map(|(_, _, width)| width + 1).sum();
        if taken + MESSAGE_MIN <= width {
            break;
        }
        columns.retain(|(column, _, _)| *column != optional);
    }
    let taken: usize = columns.iter().map(|(_, _, width)| width + 1).sum();
    let message = width.saturating_sub(taken.saturating_sub(1));
    for (column, _, width) in &mut columns {
        if *column == Column::Message {
            *width = message;
        }
    }
    columns
}

fn line(
    columns: &[(Column, &'static str, usize)],
    width: usize,
    value: impl Fn(Column, &'static str) -> String,
) -> String {
    let mut line = String::new();
    for (column, name, width) in columns {
        if !line.is_empty() {
            line.push(' ');
        }
        let value = value(*column, name);
        match column {
            // numbers are never cut: a table that is too narrow loses its last columns instead
            Column::Count | Column::Rate | Column::LastSeen => {
                let _ = write!(line, "{value:>width$}");
            }
            _ => line.push_str(&text::column(&value, *width)),
        }
    }
    text::cut(line.trim_end(), width)
}

fn value(loud: &Loud, now: Timestamp, column: Column) -> String {
    let row = &loud.row.value;
    let label = |label: &Option<String>| match label {
        Some(label) => text::escaped(label),
        None => UNKNOWN.to_owned(),
    };
    match column {
        Column::Count => row.count.to_string(),
        Column::Rate => loud.rate.map_or_else(|| UNKNOWN.to_owned(), rate),
        Column::LastSeen => match row.last_seen {
            Some(last) => text::ago(now.millis() - last.millis()),
            None => UNKNOWN.to_owned(),
        },
        Column::Level => label(&row.level),
        Column::Service => label(&row.service),
        Column::Message => {
            row.message.as_deref().map_or_else(|| UNKNOWN.to_owned(), text::first_line)
        }
        Column::Fingerprint => {
            let digits: String = row.fingerprint.chars().take(FINGERPRINT_DIGITS).collect();
            text::escaped(&digits)
        }
    }
}

/// Events per second, short.
fn rate(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        ..0.05 => "<0.1".to_owned(),
        ..10_000.0 => format!("{rate:.1}"),
        ..10_000_000.0 => format!("{:.1}k", rate / 1e3),
        _ => format!("{:.1}M", rate / 1e6),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::client::Raw;

    pub fn loud() -> Vec<Loud> {
        let rows = [
            r#"{"fingerprint":"25a84382140b11ac6f9e02f767c8af75143f2739b8fcb7130e5c77206b2bd53e","message":"connection refused\nat f","level":"fatal","service":"checkout-and-payment","count":1234,"last_seen":"1970-01-01T00:01:30.000Z"}"#,
            r#"{"fingerprint":"ff","message":"\u001b[31mred\u202e 错误 and a text that is long enough to be cut","count":7}"#,
        ];
        let rates = [Some(12.34), None];
        rows.into_iter()
            .zip(rates)
            .map(|(json, rate)| Loud {
                row: Raw { value: serde_json::from_str(json).unwrap(), json: json.to_owned() },
                rate,
            })
            .collect()
    }

    #[test]
    fn a_wide_table_has_all_columns() {
        let expected = [
            "    COUNT     RATE LAST SEEN LEVEL   SERVICE        MESSAGE                        FINGERPRINT",
            "     1234     12.3       10s fatal   checkout-and-… connection refused…            25a84382140b",
            "        7        -         - -       -              \\u{1b}[31mred\\u{202e} 错误 an… ff",
        ];
        assert_eq!(lines(&loud(), Timestamp::from_millis(100_000), 95), expected);
    }

    #[test]
    fn a_narrow_table_keeps_the_message() {
        let expected = [
            "    COUNT     RATE LAST SEEN SERVICE        MESSAGE",
            "     1234     12.3       10s checkout-and-… connection refused…",
            "        7        -         - -              \\u{1b}[31mred\\u{202e…",
        ];
        assert_eq!(lines(&loud(), Timestamp::from_millis(100_000), 65), expected);
        for width in 0..40 {
            for line in lines(&loud(), Timestamp::default(), width) {
                assert!(unicode_width::UnicodeWidthStr::width(line.as_str()) <= width, "{line}");
            }
        }
    }

    #[test]
    fn rates_are_short() {
        let rates = [0.0, 0.01, 0.05, 99.95, 12_345.0, 12_345_678.0].map(rate);
        assert_eq!(rates, ["0", "<0.1", "0.1", "100.0", "12.3k", "12.3M"]);
    }
}
