//! Syslog, by its old and its new standard, and the old one with the new one's time.

use super::{Assumed, Cursor, Header, Level, Moment, moment};

const HOST_BYTES_MAX: usize = 255;
const TAG_BYTES_MAX: usize = 64;

/// `Jun  9 06:06:20 host program[7]: message`, after `<13>` or not (RFC 3164). It has no year;
/// Cisco's devices write one behind the day.
pub(super) fn rfc3164(mut c: Cursor<'_>, assumed: &Assumed) -> Option<Header> {
    let level = priority(&mut c).map(Level::of_priority);
    let time = month_first(&mut c)?;
    c.expect(b' ')?;
    tag(&mut c);
    Some(Header::new(time.timestamp(assumed), level, c.at()))
}

/// `Jun  9 06:06:20`, `Jun 09 2024 06:06:20.123`.
pub(super) fn month_first(c: &mut Cursor<'_>) -> Option<Moment> {
    let month = moment::month(c)?;
    c.expect(b' ')?;
    let day = c.one_or_two_digits()?;
    c.expect(b' ')?;
    let mut year = None;
    if c.peek_at(4) == Some(b' ') {
        year = Some(c.digits(4)?.cast_signed());
        c.skip(1);
    }
    let second_of_day = moment::clock(c)?;
    let millis = moment::fraction(c);
    Some(Moment { year, month, day, second_of_day, millis, utc_offset_seconds: None })
}

/// `2024-01-02T03:04:05.678901+00:00 host program[7]: message`, as rsyslog and journalctl write.
pub(super) fn iso(mut c: Cursor<'_>, assumed: &Assumed) -> Option<Header> {
    let level = priority(&mut c).map(Level::of_priority);
    if c.peek_at(10) != Some(b'T') {
        return None;
    }
    let time = moment::year_first(&mut c)?;
    time.utc_offset_seconds?;
    c.expect(b' ')?;
    let mut ahead = c;
    let host = ahead.token(HOST_BYTES_MAX)?;
    ahead.expect(b' ')?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if Level::of_bytes(host).is_some() || !host.iter().all(plain) {
        return None;
    }
    // without the process number a word and a colon may as well be the message's
    let name = ahead.token(TAG_BYTES_MAX)?;
    if !name.ends_with(b"]:") && name != b"kernel:" {
        return None;
    }
    tag(&mut c);
    Some(Header::new(time.timestamp(assumed), level, c.at()))
}

/// `<13>1 2024-01-02T03:04:05.678Z host program 7 id [data] message` (RFC 5424).
pub(super) fn rfc5424(mut c: Cursor<'_>, assumed: &Assumed) -> Option<Header> {
    let level = Level::of_priority(priority(&mut c)?);
    let version = c.token(2)?;
    if !version.iter().all(u8::is_ascii_digit) {
        return None;
    }
    c.expect(b' ')?;
    let time = if c.eat(b'-') { None } else { Some(moment::year_first(&mut c)?) };
    for _ in 0..4 {
        c.expect(b' ')?;
        c.token(HOST_BYTES_MAX)?;
    }
    c.expect(b' ')?;
    if !c.eat(b'-') {
        while c.peek() == Some(b'[') {
            structured(&mut c)?;
        }
    }
    c.eat(b' ');
    c.eat_all("\u{feff}".as_bytes());
    Some(Header::new(time.and_then(|time| time.timestamp(assumed)), Some(level), c.at()))
}

/// `[id name="value"]`, where a value may hold brackets and, after `\`, quotes.
fn structured(c: &mut Cursor<'_>) -> Option<()> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in c.rest().iter().enumerate().take(4096) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => {
                c.skip(at + 1);
                return Some(());
            }
            _ => {}
        }
    }
    None
}

fn priority(c: &mut Cursor<'_>) -> Option<u32> {
    let mut ahead = *c;
    ahead.expect(b'<')?;
    let priority = ahead.digits(ahead.digits_ahead().min(4))?;
    ahead.expect(b'>')?;
    *c = ahead;
    (priority < 192).then_some(priority)
}

/// Moves behind `host program[7]: `, or behind what of it is there.
fn tag(c: &mut Cursor<'_>) {
    let mut ahead = *c;
    // some senders leave the host out
    if ahead.token(HOST_BYTES_MAX).is_some_and(|host| !host.ends_with(b":")) && ahead.eat(b' ') {
        *c = ahead;
    }
    let rest = c.rest();
    let window = &rest[..rest.len().min(TAG_BYTES_MAX)];
    // the program may hold a blank: `syslogd 1.4.1: restart.`
    if let Some(colon) = window.windows(2).position(|two| two == b": ")
        && is_program(&window[..colon])
    {
        c.skip(colon + 2);
    } else if window.ends_with(b":") && is_program(&window[..window.len() - 1]) {
        c.skip(window.len());
    }
    c.blanks();
}

/// `sshd`, `sshd(pam_unix)[123]`, ` -- root[7]`, `syslogd 1.4.1`, `rsyslogd0`.
fn is_program(text: &[u8]) -> bool {
    let (name, version) = match text.iter().position(|byte| *byte == b' ') {
        Some(blank) => (&text[..blank], &text[blank + 1..]),
        None => return true,
    };
    let numbered = version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    text.ends_with(b"]") || (!name.is_empty() && numbered)
}
