//! Apache's error log and the access logs of all web servers.

use super::{Assumed, Cursor, Header, Level, Moment, moment};

/// `[Sun Dec 04 04:47:44 2005] [error] message`, and since 2.4
/// `[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 7:tid 8] [client 10.0.0.1:5] message`.
pub(super) fn error(mut c: Cursor<'_>, assumed: &Assumed) -> Option<Header> {
    c.expect(b'[')?;
    let time = ctime(&mut c)?;
    c.expect(b']')?;
    c.expect(b' ')?;
    let module_and_level = c.group(b'[', b']', 64)?;
    let mut words = module_and_level.rsplit(|byte| *byte == b':');
    let level = words.next().and_then(Level::of_bytes);
    c.blanks();
    if c.rest().starts_with(b"[pid ") {
        c.group(b'[', b']', 128)?;
        c.blanks();
    }
    // with its port the client is a connection, which no two errors share
    let mut ahead = c;
    if ahead.rest().starts_with(b"[client ")
        && let Some(client) = ahead.group(b'[', b']', 128)
        && client.contains(&b':')
    {
        ahead.blanks();
        c = ahead;
    }
    Some(Header::new(time.timestamp(assumed), level, c.at()))
}

/// `Sun Dec 04 04:47:44.902022 2005`.
pub(super) fn ctime(c: &mut Cursor<'_>) -> Option<Moment> {
    let weekday = c.rest().first_chunk::<3>()?;
    if ![b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"].contains(&weekday) {
        return None;
    }
    c.skip(3);
    c.expect(b' ')?;
    let month = moment::month(c)?;
    c.expect(b' ')?;
    let day = c.one_or_two_digits()?;
    c.expect(b' ')?;
    let second_of_day = moment::clock(c)?;
    let millis = moment::fraction(c);
    let utc_offset_seconds = moment::zone(c);
    c.expect(b' ')?;
    let year = Some(c.digits(4)?.cast_signed());
    Some(Moment { year, month, day, second_of_day, millis, utc_offset_seconds })
}

/// `10.0.0.1 - user [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326 …`
///
/// The message is the request with its status. The status is the level: 500 and up are errors, 400
/// and up warnings.
pub(super) fn access(mut c: Cursor<'_>, assumed: &Assumed) -> Option<Header> {
    for _ in 0..3 {
        c.token(255)?;
        c.expect(b' ')?;
    }
    c.expect(b'[')?;
    let day = c.digits(2)?;
    c.expect(b'/')?;
    let month = moment::month(&mut c)?;
    c.expect(b'/')?;
    let year = Some(c.digits(4)?.cast_signed());
    c.expect(b':')?;
    let second_of_day = moment::clock(&mut c)?;
    let millis = moment::fraction(&mut c);
    let utc_offset_seconds = moment::zone(&mut c);
    let time = Moment { year, month, day, second_of_day, millis, utc_offset_seconds };
    c.expect(b']')?;
    c.blanks();
    let mut header = Header::new(time.timestamp(assumed), None, c.at());
    if let Some(status) = status_behind_request(&mut c) {
        header.level = Some(match status {
            500.. => Level::Error,
            400..500 => Level::Warning,
            _ => Level::Info,
        });
        header.message_end = Some(c.at());
    }
    Some(header)
}

fn status_behind_request(c: &mut Cursor<'_>) -> Option<u32> {
    c.expect(b'"')?;
    let mut escaped = false;
    let end = c.rest().iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    })?;
    c.skip(end + 1);
    c.expect(b' ')?;
    c.digits(3)
}
