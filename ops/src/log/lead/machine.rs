//! Forms of one program or library each.

use super::{Assumed, Cursor, Header, Level, Moment, dated, fields, moment};
use crate::timestamp::Timestamp;

const TOKEN_BYTES_MAX: usize = 128;

/// Blue Gene's and its relatives' `- 1117838570 2005.06.03 node 2005-06-03-15.42.50.675872 node RAS
/// KERNEL INFO message`. The seconds are the epoch's; the local time has the fraction.
pub(super) fn bgl(mut c: Cursor<'_>, _assumed: &Assumed) -> Option<Header> {
    c.token(TOKEN_BYTES_MAX)?;
    c.expect(b' ')?;
    if c.digits_ahead() != 10 {
        return None;
    }
    let seconds = i64::from(c.digits(5)?) * 100_000 + i64::from(c.digits(5)?);
    c.expect(b' ')?;
    c.digits(4)?;
    c.expect(b'.')?;
    c.token(TOKEN_BYTES_MAX)?;
    c.expect(b' ')?;
    c.token(TOKEN_BYTES_MAX)?;
    c.expect(b' ')?;
    let mut millis = 0;
    let mut level = None;
    let mut ahead = c;
    if let Some(fraction) = local_time(&mut ahead) {
        millis = fraction;
        for _ in 0..3 {
            ahead.expect(b' ')?;
            ahead.token(TOKEN_BYTES_MAX)?;
        }
        ahead.expect(b' ')?;
        let word = ahead.token(TOKEN_BYTES_MAX)?;
        level = Level::of_bytes(word);
        ahead.blanks();
        c = ahead;
    } else {
        // Thunderbird's and Spirit's go on as syslog does: `Nov 9 12:01:01 host program[7]: message`
        moment::month(&mut c)?;
        for _ in 0..3 {
            c.expect(b' ')?;
            c.token(TOKEN_BYTES_MAX)?;
        }
        c.blanks();
        let mut ahead = c;
        if ahead.token(TOKEN_BYTES_MAX).is_some_and(|program| program.ends_with(b":")) {
            ahead.blanks();
            c = ahead;
        }
    }
    let time = Timestamp::from_millis(seconds * 1000 + i64::from(millis));
    Some(Header::new(Some(time), level, c.at()))
}

/// The milliseconds of `2005-06-03-15.42.50.675872`.
fn local_time(c: &mut Cursor<'_>) -> Option<u32> {
    c.digits(4)?;
    c.expect(b'-')?;
    c.digits(2)?;
    c.expect(b'-')?;
    c.digits(2)?;
    c.expect(b'-')?;
    moment::clock_with(c, b'.')?;
    Some(moment::fraction(c))
}

/// `E0102 15:04:05.678901    7 file.cc:12] message`, of glog and of Kubernetes. It has no year,
/// unless it is `E20240102`.
pub(super) fn glog(mut c: Cursor<'_>, assumed: &Assumed) -> Option<Header> {
    let level = c.peek().filter(|letter| b"IWEFD".contains(letter)).and_then(Level::of_letter)?;
    c.skip(1);
    let year = if c.digits_ahead() == 8 { Some(c.digits(4)?.cast_signed()) } else { None };
    let (month, day) = (c.digits(2)?, c.digits(2)?);
    c.expect(b' ')?;
    let second_of_day = moment::clock(&mut c)?;
    let millis = moment::fraction(&mut c);
    let time = Moment { year, month, day, second_of_day, millis, utc_offset_seconds: None };
    c.blanks();
    let rest = c.rest();
    let bracket = rest.iter().take(TOKEN_BYTES_MAX).position(|byte| *byte == b']')?;
    c.skip(bracket + 1);
    c.blanks();
    Some(Header::new(time.timestamp(assumed), Some(level), c.at()))
}

/// Android's `03-17 16:13:38.811  1702  2395 D WindowManager: message`. It has no year.
pub(super) fn logcat(mut c: Cursor<'_>, assumed: &Assumed) -> Option<Header> {
    let month = c.digits(2)?;
    c.expect(b'-')?;
    let day = c.digits(2)?;
    c.expect(b' ')?;
    let second_of_day = moment::clock(&mut c)?;
    let millis = moment::fraction(&mut c);
    let time = Moment { year: None, month, day, second_of_day, millis, utc_offset_seconds: None };
    for _ in 0..2 {
        c.blanks();
        let process = c.token(10)?;
        if !process.iter().all(u8::is_ascii_digit) {
            return None;
        }
    }
    c.expect(b' ')?;
    let level = Level::of_letter(c.peek()?)?;
    c.skip(1);
    c.expect(b' ')?;
    let rest = c.rest();
    let window = &rest[..rest.len().min(TOKEN_BYTES_MAX)];
    if let Some(colon) = window.windows(2).position(|two| two == b": ") {
        c.skip(colon + 2);
    }
    Some(Header::new(time.timestamp(assumed), Some(level), c.at()))
}

/// Ruby's `E, [2024-01-02T03:04:05.678901 #7] ERROR -- program: message`.
pub(super) fn ruby(mut c: Cursor<'_>, assumed: &Assumed) -> Option<Header> {
    let level = Level::of_letter(c.peek()?)?;
    c.skip(1);
    c.expect(b',')?;
    c.expect(b' ')?;
    c.expect(b'[')?;
    let time = moment::year_first(&mut c)?;
    let rest = c.rest();
    let bracket = rest.iter().take(TOKEN_BYTES_MAX).position(|byte| *byte == b']')?;
    c.skip(bracket + 1);
    c.blanks();
    let word = c.token(TOKEN_BYTES_MAX)?;
    c.blanks();
    if !c.eat_all(b"--") || (Level::of_bytes(word).is_none() && word != b"ANY") {
        return None;
    }
    c.blanks();
    // the program, which may be nothing
    let rest = c.rest();
    let window = &rest[..rest.len().min(TOKEN_BYTES_MAX)];
    let colon = window.windows(2).position(|two| two == b": ").or_else(|| {
        // the message is empty, and the blank behind the colon may be trimmed
        window.iter().position(|byte| *byte == b':').filter(|at| at + 1 == rest.len())
    })?;
    c.skip(colon + 1);
    c.blanks();
    Some(Header::new(time.timestamp(assumed), Some(level), c.at()))
}

/// The first of java.util.logging's two lines: `Jan 02, 2024 3:04:05 AM org.example.Main run`.
pub(super) fn java_util(mut c: Cursor<'_>, assumed: &Assumed) -> Option<Header> {
    let month = moment::month(&mut c)?;
    c.expect(b' ')?;
    let day = c.one_or_two_digits()?;
    c.expect(b',')?;
    c.expect(b' ')?;
    let year = Some(c.digits(4)?.cast_signed());
    c.eat(b',');
    c.expect(b' ')?;
    let hour = c.one_or_two_digits()?;
    c.expect(b':')?;
    let minute = c.digits(2)?;
    c.expect(b':')?;
    let second = c.digits(2)?;
    // since Java 20 the blank is a narrow one that does not break
    if !c.eat_all("\u{202f}".as_bytes()) {
        c.expect(b' ')?;
    }
    let afternoon = match c.rest().first_chunk::<2>()? {
        b"AM" => 0,
        b"PM" => 12,
        _ => return None,
    };
    c.skip(2);
    c.expect(b' ')?;
    if !(1..=12).contains(&hour) {
        return None;
    }
    let second_of_day = moment::second_of_day(hour % 12 + afternoon, minute, second)?;
    let time = Moment { year, month, day, second_of_day, millis: 0, utc_offset_seconds: None };
    let mut header = Header::new(time.timestamp(assumed), None, c.at());
    header.on_next_line = true;
    Some(header)
}

/// Redis' `7:M 02 Jan 2024 03:04:05.678 # message`, where `#` is a warning.
pub(super) fn redis(mut c: Cursor<'_>, assumed: &Assumed) -> Option<Header> {
    let process = c.digits_ahead();
    if process == 0 {
        return None;
    }
    c.skip(process);
    c.expect(b':')?;
    if !b"XCSM".contains(&c.peek()?) {
        return None;
    }
    c.skip(1);
    c.expect(b' ')?;
    let time = dated::day_month_year(&mut c)?;
    c.expect(b' ')?;
    let level = match c.peek()? {
        b'.' => Level::Debug,
        b'-' | b'*' => Level::Info,
        b'#' => Level::Warning,
        _ => return None,
    };
    c.skip(1);
    c.blanks();
    Some(Header::new(time.timestamp(assumed), Some(level), c.at()))
}

/// `time=2024-01-02T03:04:05Z level=error msg="message" …`, with `ts` or `t` for the time and `lvl`
/// for the level. The message is `msg`'s, without its quotes, or what follows the level.
pub(super) fn logfmt(mut c: Cursor<'_>, assumed: &Assumed) -> Option<Header> {
    if ![&b"time="[..], b"ts=", b"t="].iter().any(|key| c.eat_all(key)) {
        return None;
    }
    let quoted = c.eat(b'"');
    let time = moment::year_first(&mut c)?;
    if quoted {
        c.expect(b'"')?;
    }
    let mut level = None;
    let mut header = Header::new(time.timestamp(assumed), None, c.at());
    for _ in 0..8 {
        c.blanks();
        if [&b"msg="[..], b"message="].iter().any(|key| c.eat_all(key)) {
            let in_quotes = c.eat(b'"');
            header.message = c.at();
            header.message_end = Some(c.at() + value_bytes(c.rest(), in_quotes));
            break;
        }
        let mut ahead = c;
        let named = [&b"level="[..], b"lvl="].iter().any(|key| ahead.eat_all(key));
        let Some(token) = ahead.token(TOKEN_BYTES_MAX) else { break };
        if named {
            level = Level::of_bytes(token);
            c = ahead;
            let mut behind = c;
            fields::separators(&mut behind);
            header.message = behind.at();
        } else if token.contains(&b'=') {
            c = ahead;
        } else {
            break;
        }
    }
    header.level = level;
    Some(header)
}

fn value_bytes(text: &[u8], quoted: bool) -> usize {
    if !quoted {
        return text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    }
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    });
    end.unwrap_or(text.len())
}
