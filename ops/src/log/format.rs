//! Which form a file has, and where its records may be told apart.

use super::{
    crash,
    cursor::Cursor,
    fields::{self, Style},
    fold,
    header::Header,
    lead::{self, Lead},
    lines::{self, Shape, shape},
    moment::Assumed,
    pattern::{Pattern, PatternError},
    record::Records,
};

/// Bytes at a file's start that its form is decided from.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Ordinary lines behind which no crash goes on: twice what a message may have, because some crashes
/// have a few lines around it.
const ORDINARY_LINES_MIN: usize = 2 * fold::MESSAGE_LINES_MAX;
/// Forms of one file: logs of two programs may go to the same one.
const FORMS_MAX: usize = 4;

/// The form of a text log, decided from its head alone so that the same file is always read the
/// same way.
#[derive(Clone, Debug)]
pub struct Format {
    assumed: Assumed,
    forms: Forms,
    /// Where no line has a time: what follows the level.
    style: Style,
}

#[derive(Clone, Debug)]
enum Forms {
    /// The first is that of most lines. None if no line has a time.
    Known(Vec<Form>),
    Own(Pattern),
}

#[derive(Clone, Copy, Debug)]
struct Form {
    lead: Lead,
    style: Style,
}

impl Format {
    /// Finds the form from a file's first bytes, of which it looks at 64 KiB at most. All workers
    /// must give the same bytes.
    ///
    /// A form is that of the file if one line in twenty has it, indented ones not counted. A file
    /// with no such form is [timeless](Self::is_timeless).
    pub fn detect(head: &[u8], assumed: &Assumed) -> Self {
        let head = without_mark(head);
        let head = &head[..head.len().min(HEAD_BYTES_MAX)];
        let mut open: Vec<&[u8]> = lines::from(head, 0)
            .map(|line| line.text(head))
            .filter(|text| shape(text) == Shape::Flat)
            .collect();
        let flat = open.len();
        let mut known = Vec::new();
        while known.len() < FORMS_MAX {
            let Some((lead, count)) = most_frequent(&open, assumed) else { break };
            // a second form needs two lines, because one may be a quotation
            let enough = if known.is_empty() {
                count * 20 >= flat
            } else {
                count >= 2 && count * 50 >= flat
            };
            if !enough {
                break;
            }
            let fits = |text: &&[u8]| lead.read(text, Style::default(), assumed).is_some();
            let (fit, rest): (Vec<&[u8]>, Vec<&[u8]>) = open.into_iter().partition(fits);
            known.push(Form { lead, style: learn(lead, &fit, assumed) });
            open = rest;
        }
        let style = if known.is_empty() { learn_timeless(&open) } else { Style::default() };
        Self { assumed: *assumed, forms: Forms::Known(known), style }
    }

    /// A form of the user's own: see `docs/logs.md` for how it is written.
    pub fn from_pattern(pattern: &str, assumed: &Assumed) -> Result<Self, PatternError> {
        let pattern = Pattern::new(pattern)?;
        Ok(Self { assumed: *assumed, forms: Forms::Own(pattern), style: Style::default() })
    }

    /// What to call it before people, such as `syslog`; `plain` if no line has a time.
    pub fn name(&self) -> &'static str {
        match &self.forms {
            Forms::Own(_) => "pattern",
            Forms::Known(known) => known.first().map_or("plain", |form| form.lead.name()),
        }
    }

    /// Whether its dates have a year. If not, it is [assumed](Assumed).
    pub fn has_year(&self) -> bool {
        match &self.forms {
            Forms::Own(pattern) => pattern.has_year(),
            Forms::Known(known) => known.iter().all(|form| form.lead.has_year()),
        }
    }

    /// Whether no line has a time: then each line that is not indented is a record, but those of
    /// crashes.
    pub fn is_timeless(&self) -> bool {
        matches!(&self.forms, Forms::Known(known) if known.is_empty())
    }

    /// The first place at or after `from` (which need not be a line's start) where `bytes` can be
    /// cut: a record starts there, and the records before and behind it are the same in one piece
    /// and in two. `None` if there is no such place; the rest then belongs to one part.
    ///
    /// It looks at nothing before `from`. Where lines have times it is the next line with one,
    /// whatever was before it. In a [timeless](Self::is_timeless) file it is an ordinary line with
    /// sixteen ordinary ones in front of it, at or after `from`. The first record of a file starts at
    /// its first byte, whatever this says.
    pub fn record_start(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let start = lines::start_from(bytes, from)?;
        if !self.is_timeless() {
            return lines::from(bytes, start)
                .find(|line| self.header(line.text(bytes)).is_some())
                .map(|line| line.start);
        }
        let mut ordinary = 0;
        for line in lines::from(bytes, start) {
            if !crash::is_ordinary(line.text(bytes)) {
                ordinary = 0;
                continue;
            }
            if ordinary == ORDINARY_LINES_MIN {
                return Some(line.start);
            }
            ordinary += 1;
        }
        None
    }

    /// The records of `bytes`, which begin with a file's first byte or where
    /// [`record_start`](Self::record_start) says. They lie side by side; only blank lines in front
    /// of the first belong to none.
    pub fn records<'a>(&'a self, bytes: &'a [u8]) -> Records<'a> {
        Records::new(self, bytes)
    }

    /// What a line says before its message, if a record starts with it.
    pub(super) fn header(&self, line: &[u8]) -> Option<Header> {
        match &self.forms {
            Forms::Known(known) => {
                known.iter().find_map(|form| form.lead.read(line, form.style, &self.assumed))
            }
            Forms::Own(pattern) => pattern.header(line, &self.assumed),
        }
    }

    /// What a line without a time says before its message.
    pub(super) fn timeless_header(&self, line: &[u8]) -> Header {
        let mut c = Cursor::new(line);
        let level = fields::level(&mut c);
        if level.is_none() {
            return Header::new(None, None, 0);
        }
        self.style.skip(&mut c);
        fields::separators(&mut c);
        Header::new(None, level, c.at())
    }

    pub(super) fn pattern(&self) -> Option<&Pattern> {
        match &self.forms {
            Forms::Own(pattern) => Some(pattern),
            Forms::Known(_) => None,
        }
    }
}

/// `bytes` without the mark that some editors write at a file's start.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

/// The form of most lines, and of how many; the special one if there are as many of several.
fn most_frequent(open: &[&[u8]], assumed: &Assumed) -> Option<(Lead, usize)> {
    let mut most = None;
    for lead in lead::ALL {
        let fits = |text: &&&[u8]| lead.read(text, Style::default(), assumed).is_some();
        let count = open.iter().filter(fits).count();
        if count > most.map_or(0, |(_, most)| most) {
            most = Some((lead, count));
        }
    }
    most
}

/// The fields that follow the level in `lines`, which all have the form.
fn learn(lead: Lead, lines: &[&[u8]], assumed: &Assumed) -> Style {
    let mut behind = Vec::new();
    for line in lines {
        if let Some(header) = lead.read(line, Style::default(), assumed)
            && header.level.is_some()
        {
            behind.push(&line[header.message..]);
        }
    }
    Style::learn(&behind)
}

fn learn_timeless(lines: &[&[u8]]) -> Style {
    let mut behind = Vec::new();
    for line in lines {
        let mut c = Cursor::new(line);
        if fields::level(&mut c).is_some() {
            behind.push(c.rest());
        }
    }
    Style::learn(&behind)
}
