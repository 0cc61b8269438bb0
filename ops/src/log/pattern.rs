//! Forms that the user describes.

use std::sync::Arc;

use jiff::fmt::strtime;
use regex::bytes::{Captures, Regex};

use super::{
    cursor::Cursor,
    fields::Style,
    header::Header,
    lead::{self, Lead},
    level::Level,
    moment::{Assumed, Year},
    record::Record,
};
use crate::timestamp::Timestamp;

/// What is wrong with a pattern. Positions count bytes from the pattern's start, from 0.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression.
    #[error("the pattern is no regular expression: {0}")]
    Expression(#[source] Box<regex::Error>),
    /// A named group that has no meaning here.
    #[error("group {name:?} at {at} has no meaning: use time, level, message, type, service")]
    Group {
        /// Its name.
        name: String,
        /// Where it begins.
        at: usize,
    },
    /// It has neither a time nor a message.
    #[error("the pattern names no group: it needs (?<time>…) or (?<message>…), best both")]
    NoGroup,
    /// A directive of the time's form that is not known.
    #[error("{directive} at {at} is no directive of a time: use {KNOWN_DIRECTIVES}")]
    Directive {
        /// As it is written.
        directive: String,
        /// Where it begins.
        at: usize,
    },
    /// The time's group does not end.
    #[error("the group that begins at {at} has no closing parenthesis")]
    Open {
        /// Where it begins.
        at: usize,
    },
}

const KNOWN_DIRECTIVES: &str =
    "%Y %y %m %d %e %j %b %B %a %A %H %I %M %S %p %f %z %Z %s %T %D %F %%";
const GROUPS: [&str; 5] = ["time", "level", "message", "type", "service"];

/// A regular expression that fits a record's first line.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    expression: Regex,
    /// How the time is written; `None` if it is one of the known forms.
    time: Option<Arc<str>>,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, PatternError> {
        let (source, time) = expand(pattern)?;
        let failed = |error| PatternError::Expression(Box::new(error));
        // by itself first, so that the error shows what the user has written
        Regex::new(&source).map_err(failed)?;
        let expression = Regex::new(&format!("^(?:{source})")).map_err(failed)?;
        for name in expression.capture_names().flatten() {
            if !GROUPS.contains(&name) {
                let at = pattern.find(&format!("<{name}>")).unwrap_or(0);
                return Err(PatternError::Group { name: name.to_owned(), at });
            }
        }
        let has = |wanted| expression.capture_names().flatten().any(|name| name == wanted);
        if !has("time") && !has("message") {
            return Err(PatternError::NoGroup);
        }
        Ok(Self { expression, time: time.map(Arc::from) })
    }

    pub(super) fn has_year(&self) -> bool {
        self.time.as_deref().is_none_or(|form| {
            ["%Y", "%y", "%F", "%D", "%s"].iter().any(|year| form.contains(year))
        })
    }

    pub(super) fn header(&self, line: &[u8], assumed: &Assumed) -> Option<Header> {
        let groups = self.expression.captures(line)?;
        let whole = groups.get(0)?;
        let time = groups.name("time").and_then(|time| self.time(time.as_bytes(), assumed));
        let level = groups.name("level").and_then(|level| level_of(level.as_bytes()));
        let message = groups.name("message");
        let mut header =
            Header::new(time, level, message.map_or(whole.end(), |found| found.start()));
        header.message_end = message.map(|found| found.end()).filter(|end| *end < line.len());
        Some(header)
    }

    /// Adds what only a user's pattern finds on a record's first line.
    pub(super) fn labels<'a>(&self, line: &'a [u8], record: &mut Record<'a>) {
        let Some(groups) = self.expression.captures(line) else { return };
        let label = |groups: &Captures<'a>, name| {
            let found = groups.name(name).filter(|found| !found.is_empty())?;
            Some(String::from_utf8_lossy(found.as_bytes()))
        };
        record.kind = label(&groups, "type");
        record.service = label(&groups, "service");
    }

    fn time(&self, text: &[u8], assumed: &Assumed) -> Option<Timestamp> {
        let Some(form) = &self.time else { return known_time(text, assumed) };
        let mut parsed = strtime::parse(form.as_bytes(), text).ok()?;
        if let Ok(at) = parsed.to_timestamp() {
            return in_range(at.as_millisecond());
        }
        let mut try_year = |year: i32| {
            if parsed.year().is_none() {
                parsed.set_year(Some(year.try_into().ok()?)).ok()?;
            }
            let date = parsed.to_date().ok()?;
            let at = date.to_datetime(parsed.to_time().unwrap_or_default());
            let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
            in_range(at - i64::from(assumed.utc_offset_seconds) * 1000)
        };
        match assumed.year {
            Year::Is(year) => try_year(year),
            Year::UpTo(last) => {
                let latest = last.plus_millis(86_400_000);
                let newest = jiff::Timestamp::from_millisecond(latest.millis()).ok()?;
                let newest = i32::from(newest.to_zoned(jiff::tz::TimeZone::UTC).year());
                (newest - 8..=newest)
                    .rev()
                    .find_map(|year| try_year(year).filter(|at| *at <= latest))
            }
        }
    }
}

fn in_range(millis: i64) -> Option<Timestamp> {
    (0..=Timestamp::MAX.millis()).contains(&millis).then(|| Timestamp::from_millis(millis))
}

fn level_of(word: &[u8]) -> Option<Level> {
    match word {
        [letter] => Level::of_letter(letter.to_ascii_uppercase()),
        word => Level::of_bytes(word),
    }
}

/// A time in one of the forms that are known without a pattern.
fn known_time(text: &[u8], assumed: &Assumed) -> Option<Timestamp> {
    let leads = [
        Lead::YearFirst,
        Lead::Epoch,
        Lead::ShortYear,
        Lead::Hdfs,
        Lead::Compact,
        Lead::DayFirst,
        Lead::Ctime,
    ];
    let mut line = text.to_vec();
    // the forms end where the next field begins
    line.push(b' ');
    let syslog = || {
        let mut c = Cursor::new(&line);
        lead::month_first(&mut c, assumed)
    };
    leads
        .into_iter()
        .find_map(|lead| lead.read(&line, Style::default(), assumed)?.time)
        .or_else(syslog)
}

/// The expression with directives such as `%Y` in the time's group replaced by what they fit, and
/// that group's text, if it has any.
fn expand(pattern: &str) -> Result<(String, Option<String>), PatternError> {
    let Some((at, opening)) =
        ["(?<time>", "(?P<time>"].iter().find_map(|open| pattern.find(open).map(|at| (at, *open)))
    else {
        return Ok((pattern.to_owned(), None));
    };
    let form = &pattern[at + opening.len()..];
    let Some(end) = group_end(form) else { return Err(PatternError::Open { at }) };
    let form = &form[..end];
    if !form.contains('%') {
        return Ok((pattern.to_owned(), None));
    }
    let start = at + opening.len();
    let mut source = pattern[..start].to_owned();
    let mut rest = form.char_indices();
    while let Some((place, letter)) = rest.next() {
        if letter != '%' {
            source.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4])));
            continue;
        }
        let directive = rest.next().map_or(' ', |(_, directive)| directive);
        let Some(fits) = fits(directive) else {
            let directive = format!("%{directive}");
            return Err(PatternError::Directive { directive, at: start + place });
        };
        source.push_str(fits);
    }
    source.push_str(&pattern[start + end..]);
    Ok((source, Some(form.to_owned())))
}

/// Where the group ends whose content `text` begins with; parentheses in it are in pairs.
fn group_end(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The expression for what a directive stands for.
fn fits(directive: char) -> Option<&'static str> {
    Some(match directive {
        'Y' => r"\d{4}",
        'y' | 'm' | 'd' | 'H' | 'I' | 'M' | 'S' => r"\d{2}",
        'e' => r" ?\d{1,2}",
        'j' => r"\d{3}",
        'b' | 'a' => "[A-Za-z]{3}",
        'B' | 'A' => "[A-Za-z]+",
        'p' => "[AaPp][Mm]",
        'f' => r"\d{1,9}",
        'z' => r"[+-]\d{4}",
        'Z' => "[A-Z]{1,5}",
        's' => r"\d+",
        'T' => r"\d{2}:\d{2}:\d{2}",
        'D' => r"\d{2}/\d{2}/\d{2}",
        'F' => r"\d{4}-\d{2}-\d{2}",
        '%' => "%",
        _ => return None,
    })
}
