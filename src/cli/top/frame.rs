//! One picture of the screen, as lines.

use std::{fmt::Write as _, time::Duration};

use errsift_ops::timestamp::Timestamp;

use super::{Sort, rates::Loud, table};
use crate::text;

/// Everything that is on the screen.
pub struct Scene<'a> {
    /// The server's address.
    pub server: &'a str,
    /// What comes first.
    pub sort: Sort,
    /// How often the server is asked.
    pub every: Duration,
    /// Filters, as they are sent.
    pub filters: &'a [(&'static str, String)],
    /// The last answer; `None` before the first.
    pub shown: Option<(&'a [Loud], Timestamp)>,
    /// What went wrong since that answer.
    pub fault: Option<&'a str>,
}

/// Where the table's head stands among the lines.
pub const HEAD_LINE: usize = 2;

impl Scene<'_> {
    /// At most `height` lines of at most `width` columns.
    pub fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let mut title = format!(
            "errsift top  {}  sort {}  every {:?}",
            text::escaped(self.server),
            self.sort.name(),
            self.every
        );
        for (name, value) in self.filters {
            let _ = write!(title, "  {name}={}", text::escaped(value));
        }
        let state = match (self.fault, self.shown) {
            (Some(fault), Some((_, at))) => format!("{fault}; below is of {at}"),
            (Some(fault), None) => fault.to_owned(),
            (None, Some(([], _))) => "no errors".to_owned(),
            (None, Some((_, at))) => format!("{at}   q quits, s changes the sort"),
            (None, None) => "asking the server".to_owned(),
        };
        let mut lines = vec![text::cut(&title, width), text::cut(&state, width)];
        if let Some((loud, at)) = self.shown {
            lines.extend(table::lines(loud, at, width));
        }
        lines.truncate(height);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_what_is_shown_and_what_is_wrong() {
        let loud = table::tests::loud();
        let filters = [("service", "shop\u{1b}".to_owned())];
        let mut scene = Scene {
            server: "http://127.0.0.1:9002",
            sort: Sort::Rate,
            every: Duration::from_secs(2),
            filters: &filters,
            shown: None,
            fault: None,
        };
        let title = r"errsift top  http://127.0.0.1:9002  sort rate  every 2s  service=shop\u{1b}";
        assert_eq!(scene.lines(80, 24), [title, "asking the server"]);
        scene.fault = Some("the server does not answer: connection refused");
        assert_eq!(scene.lines(30, 24)[1], "the server does not answer: c…");
        scene.shown = Some((&loud, Timestamp::from_millis(100_000)));
        scene.fault = None;
        let lines = scene.lines(80, 4);
        assert_eq!(lines[1], "1970-01-01T00:01:40.000Z   q quits, s changes the sort");
        assert!(lines[HEAD_LINE].starts_with("    COUNT"), "{lines:?}");
        assert_eq!(lines.len(), 4);
        assert_eq!(scene.lines(80, 0), Vec::<String>::new());
    }
}
