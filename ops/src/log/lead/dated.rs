//! Lines that begin with a date and a time, in many spellings, and go on with a level, a thread and
//! a logger, in any order.

use super::{Assumed, Cursor, Header, Level, Moment, Style, apache, fields, message, moment, rest};
use crate::timestamp::Timestamp;

const PREFIX_BYTES_MAX: usize = 128;

/// `2024-01-02 03:04:05,678 …`, `[2024-01-02T03:04:05Z] …`, `[2024-01-02T03:04:05Z ERROR module] …`.
pub(super) fn year_first(mut c: Cursor<'_>, style: Style, assumed: &Assumed) -> Option<Header> {
    let bracketed = c.eat(b'[');
    let time = moment::year_first(&mut c)?;
    Some(closing(c, bracketed, &time, style, assumed))
}

/// The rest of a line whose time stands in a bracket or not, perhaps with the level.
fn closing(
    mut c: Cursor<'_>,
    bracketed: bool,
    time: &Moment,
    style: Style,
    assumed: &Assumed,
) -> Header {
    if !bracketed || c.eat(b']') {
        return rest(c, time, style, assumed);
    }
    // Rust's env_logger and Celery have the level in the bracket
    let window = c.rest();
    let Some(end) = window.iter().take(PREFIX_BYTES_MAX).position(|byte| *byte == b']') else {
        return rest(c, time, style, assumed);
    };
    let mut inner = Cursor::new(&window[..end]);
    inner.eat(b':');
    let level = fields::level(&mut inner);
    c.skip(end + 1);
    match level {
        Some(_) => message(c, time, level, style, assumed),
        None => rest(c, time, style, assumed),
    }
}

/// `17/06/09 20:10:40 INFO …`, as Spark writes.
pub(super) fn short_year(mut c: Cursor<'_>, style: Style, assumed: &Assumed) -> Option<Header> {
    let bracketed = c.eat(b'[');
    let year = Some(moment::year_of_two_digits(c.digits(2)?));
    let separator = c.peek().filter(|byte| matches!(byte, b'/' | b'-'))?;
    c.skip(1);
    let month = c.digits(2)?;
    c.expect(separator)?;
    let day = c.digits(2)?;
    c.expect(b' ')?;
    let second_of_day = moment::clock(&mut c)?;
    let millis = moment::fraction(&mut c);
    let time = Moment { year, month, day, second_of_day, millis, utc_offset_seconds: None };
    Some(closing(c, bracketed, &time, style, assumed))
}

/// `081109 203615 148 INFO …`, as old Hadoop writes.
pub(super) fn hdfs(mut c: Cursor<'_>, style: Style, assumed: &Assumed) -> Option<Header> {
    let year = Some(moment::year_of_two_digits(c.digits(2)?));
    let month = c.digits(2)?;
    let day = c.digits(2)?;
    c.expect(b' ')?;
    let second_of_day = moment::second_of_day(c.digits(2)?, c.digits(2)?, c.digits(2)?)?;
    c.expect(b' ')?;
    let time = Moment { year, month, day, second_of_day, millis: 0, utc_offset_seconds: None };
    time.timestamp(assumed)?;
    Some(rest(c, &time, style, assumed))
}

/// `20240102 03:04:05.678 …`, `20240102T030405Z …`, `20171223-22:15:29:606|…`.
pub(super) fn compact(mut c: Cursor<'_>, style: Style, assumed: &Assumed) -> Option<Header> {
    let bracketed = c.eat(b'[');
    let year = Some(c.digits(4)?.cast_signed());
    let (month, day) = (c.digits(2)?, c.digits(2)?);
    if !matches!(c.peek()?, b' ' | b'-' | b'T') {
        return None;
    }
    c.skip(1);
    let second_of_day = if c.peek_at(2) == Some(b':') {
        moment::clock(&mut c)?
    } else {
        moment::second_of_day(c.digits(2)?, c.digits(2)?, c.digits(2)?)?
    };
    let mut millis = moment::fraction(&mut c);
    if c.peek() == Some(b':') && matches!(c.peek_at(4), Some(b'|' | b' ')) {
        c.skip(1);
        millis = c.digits(3)?;
    }
    let utc_offset_seconds = moment::zone(&mut c);
    let time = Moment { year, month, day, second_of_day, millis, utc_offset_seconds };
    time.timestamp(assumed)?;
    c.eat(b'|');
    Some(closing(c, bracketed, &time, style, assumed))
}

/// `[02-Jan-2024 03:04:05 UTC] …`, as PHP writes, `02-Jan-2024 03:04:05.678 SEVERE …`, as Tomcat
/// does, and `02 Jan 2024 03:04:05,678 …`.
pub(super) fn day_first(mut c: Cursor<'_>, style: Style, assumed: &Assumed) -> Option<Header> {
    let bracketed = c.eat(b'[');
    let time = day_month_year(&mut c)?;
    if bracketed && c.peek() == Some(b' ') {
        // a zone by its place, `Europe/Berlin`
        let mut ahead = c;
        ahead.skip(1);
        let place = ahead.rest().iter().take(64).position(|byte| *byte == b']')?;
        if !ahead.rest()[..place].contains(&b' ') {
            ahead.skip(place);
            c = ahead;
        }
    }
    if bracketed && c.rest().starts_with(b"] PHP ") {
        return Some(php(c, &time, assumed));
    }
    Some(closing(c, bracketed, &time, style, assumed))
}

/// `] PHP Fatal error:  message`: PHP's severities are words of their own.
fn php(mut c: Cursor<'_>, time: &Moment, assumed: &Assumed) -> Header {
    c.skip(b"] PHP ".len());
    let mut level = None;
    for (severity, known) in [
        (&b"Fatal error:"[..], Level::Fatal),
        (b"Parse error:", Level::Fatal),
        (b"Recoverable fatal error:", Level::Error),
        (b"Warning:", Level::Warning),
        (b"Deprecated:", Level::Warning),
        (b"Notice:", Level::Info),
    ] {
        if c.eat_all(severity) {
            level = Some(known);
        }
    }
    c.blanks();
    Header::new(time.timestamp(assumed), level, c.at())
}

/// `02-Jan-2024 03:04:05.678 UTC`, with `-`, `/` or a blank in the date.
pub(super) fn day_month_year(c: &mut Cursor<'_>) -> Option<Moment> {
    let day = c.one_or_two_digits()?;
    let separator = c.peek().filter(|byte| matches!(byte, b'-' | b'/' | b' '))?;
    c.skip(1);
    let month = moment::month(c)?;
    c.expect(separator)?;
    let year = Some(c.digits(4)?.cast_signed());
    if !matches!(c.peek()?, b' ' | b':' | b'T') {
        return None;
    }
    c.skip(1);
    let second_of_day = moment::clock(c)?;
    let millis = moment::fraction(c);
    let utc_offset_seconds = moment::zone(c);
    Some(Moment { year, month, day, second_of_day, millis, utc_offset_seconds })
}

/// `Sun Dec  4 04:47:44 2005 …`, in a bracket or not.
pub(super) fn ctime(mut c: Cursor<'_>, style: Style, assumed: &Assumed) -> Option<Header> {
    let bracketed = c.eat(b'[');
    let time = apache::ctime(&mut c)?;
    Some(closing(c, bracketed, &time, style, assumed))
}

/// `1700000000.123 …` or `[1700000000123] …`: ten digits are seconds, thirteen milliseconds.
pub(super) fn epoch(mut c: Cursor<'_>, style: Style, assumed: &Assumed) -> Option<Header> {
    let bracketed = c.eat(b'[');
    let digits = c.digits_ahead();
    let seconds = match digits {
        10 | 13 => i64::from(c.digits(5)?) * 100_000 + i64::from(c.digits(5)?),
        _ => return None,
    };
    let millis = if digits == 13 { c.digits(3)? } else { moment::fraction(&mut c) };
    let closed =
        if bracketed { c.eat(b']') } else { c.peek().is_none_or(|byte| b" \t|:,".contains(&byte)) };
    if !closed {
        return None;
    }
    let mut header = rest(c, &Moment::default(), style, assumed);
    header.time = Some(Timestamp::from_millis(seconds * 1000 + i64::from(millis)));
    Some(header)
}

/// A file's or a container's name before the date: `nova-api.log 2017-05-16 00:00:00.008 …`,
/// `web_1  | 2024-01-02 03:04:05 …`.
pub(super) fn prefixed(mut c: Cursor<'_>, style: Style, assumed: &Assumed) -> Option<Header> {
    let name = c.token(PREFIX_BYTES_MAX)?;
    c.blanks();
    if c.eat(b'|') {
        c.blanks();
    }
    let bracketed = c.eat(b'[');
    // most lines of other forms end here
    if !name[0].is_ascii_alphanumeric() || !c.peek()?.is_ascii_digit() {
        return None;
    }
    let time = moment::year_first(&mut c)?;
    Some(closing(c, bracketed, &time, style, assumed))
}
