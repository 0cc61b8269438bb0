//! Text of users on a screen: nothing in it may move the cursor, change a colour or turn the
//! direction of reading, and it must not be wider than its column.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands at the end of text that was cut on the screen.
const ELLIPSIS: char = '…';

/// What a tab in a stack trace becomes.
const TAB: &str = "    ";

/// Whether a terminal shows `c` as a character of its own: neither control (ANSI sequences begin
/// with one), nor format (bidi overrides are), nor unassigned.
fn is_shown(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // inside a text, unlike at its start, `escape_debug` leaves combining marks to the letter
    // before them
    String::from_iter(['x', c]).escape_debug().nth(1) == Some(c)
}

/// `text` on one line: what is not shown as a character is written as an escape.
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_shown(c) {
            line.push(c);
        } else {
            line.extend(c.escape_debug());
        }
    }
    line
}

/// `text` in quotes, such that it can be read back: for what is shown as exact bytes.
pub fn quoted(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 2);
    line.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            c if is_shown(c) => line.push(c),
            c => line.extend(c.escape_debug()),
        }
    }
    line.push('"');
    line
}

/// The lines of `text`, each escaped; only line breaks and tabs keep their meaning.
pub fn lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| escaped(&line.replace('\t', TAB)))
}

/// The first line of `text`, escaped, with a mark if there are more.
pub fn first_line(text: &str) -> String {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let mut first = escaped(lines.next().unwrap_or_default());
    if lines.next().is_some() {
        first.push(ELLIPSIS);
    }
    first
}

/// JSON that a server sent, with what a terminal does not show as `\u` escapes: the same JSON.
pub fn escaped_json(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        // outside of strings JSON has no such characters but line breaks and tabs
        if is_shown(c) || matches!(c, '\n' | '\r' | '\t') {
            line.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(line, "\\u{unit:04x}");
        }
    }
    line
}

/// Escaped `text` in exactly `width` columns: cut with a mark, or filled with spaces.
pub fn column(text: &str, width: usize) -> String {
    let mut cut = cut(text, width);
    let missing = width.saturating_sub(cut.width());
    cut.extend(std::iter::repeat_n(' ', missing));
    cut
}

/// Escaped `text` in at most `width` columns, with a mark where it is cut.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        // one column is the mark's
        if used + 1 > width {
            break;
        }
        cut.push(c);
    }
    if width > 0 {
        cut.push(ELLIPSIS);
    }
    cut
}

/// A time span as its largest unit.
///
/// Negative spans, of clocks that differ, count as none.
pub fn ago(span_ms: i64) -> String {
    let seconds = span_ms.max(0) / 1000;
    match seconds {
        0 => "now".to_owned(),
        1..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_users_steers_the_terminal() {
        assert_eq!(escaped("a\u{1b}[31mred"), r"a\u{1b}[31mred");
        assert_eq!(escaped("a\r\n\t\0\u{7f}\u{9b}"), r"a\r\n\t\0\u{7f}\u{9b}");
        assert_eq!(
            escaped("\u{202e}evil\u{2066}\u{200f}\u{feff}"),
            r"\u{202e}evil\u{2066}\u{200f}\u{feff}"
        );
        assert_eq!(escaped("\u{e0041}\u{2028}"), r"\u{e0041}\u{2028}");
    }

    #[test]
    fn people_s_text_stays_as_it_is() {
        for text in ["C:\\temp 'a' \"b\"", "naïve", "e\u{301}", "ไม่พบ", "错误", "🔥", ""]
        {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn quotes_tell_escapes_from_text() {
        assert_eq!(quoted("a\"b\\n\n"), r#""a\"b\\n\n""#);
    }

    #[test]
    fn lines_keep_breaks_and_tabs_only() {
        let trace = "at f\n\tat g\u{1b}[0m\r\nat h";
        assert_eq!(lines(trace).collect::<Vec<_>>(), ["at f", r"    at g\u{1b}[0m", "at h"]);
        assert_eq!(first_line("\n  \nboom\nat f"), "boom…");
        assert_eq!(first_line("boom\n"), "boom");
        assert_eq!(first_line(""), "");
    }

    #[test]
    fn json_stays_the_same_json() {
        let json = "{\"m\":\"a\u{9b}31m\u{202e}\u{e0041}é\"}\n";
        let shown = escaped_json(json);
        assert_eq!(shown, "{\"m\":\"a\\u009b31m\\u202e\\udb40\\udc41é\"}\n");
        let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(read(&shown), read(json));
    }

    #[test]
    fn columns_have_their_width() {
        assert_eq!(column("abc", 5), "abc  ");
        assert_eq!(column("abcdef", 5), "abcd…");
        assert_eq!(column("错误错误", 5), "错误…");
        assert_eq!(column("错误错误", 4), "错… ");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn spans_have_one_unit() {
        let spans = [-5, 999, 1_000, 59_999, 60_000, 3_600_000, 86_400_000, 200 * 86_400_000];
        assert_eq!(spans.map(ago), ["now", "now", "1s", "59s", "1m", "1h", "1d", "200d"]);
    }
}
