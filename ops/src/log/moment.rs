//! Dates and times of day as logs write them, and the points in time that they mean.

use super::cursor::Cursor;
use crate::timestamp::Timestamp;

/// What a log leaves out of its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumed {
    /// The year of dates that have none.
    pub year: Year,
    /// Seconds east of UTC of times that name no zone.
    pub utc_offset_seconds: i32,
}

/// The year of a date without one, as in syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Year {
    /// This year for all dates. The 29th of February is no date in most.
    Is(i32),
    /// The last year in which the date is at most a day after this point (the file's last change,
    /// say), so that a log of less than a year is right across New Year.
    UpTo(Timestamp),
}

/// A civil date and time. The fields' ranges are checked when it becomes a [`Timestamp`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) year: Option<i32>,
    pub(super) month: u32,
    pub(super) day: u32,
    pub(super) second_of_day: u32,
    pub(super) millis: u32,
    /// Seconds east of UTC, if the log says so.
    pub(super) utc_offset_seconds: Option<i32>,
}

const DAY_MS: i64 = 86_400_000;

impl Moment {
    /// `None` if there is no such day, or not in 1970 to 9999.
    pub(super) fn timestamp(&self, assumed: &Assumed) -> Option<Timestamp> {
        let at = |year| self.in_year(year, assumed);
        match (self.year, assumed.year) {
            (Some(year), _) | (None, Year::Is(year)) => at(year),
            (None, Year::UpTo(last)) => {
                let latest = last.plus_millis(DAY_MS);
                // a year of 400 days is enough of an estimate; eight back meets a leap year
                #[expect(clippy::cast_possible_truncation, reason = "years up to 9999")]
                let newest = (latest.millis() / (365 * DAY_MS)) as i32 + 1970;
                (newest - 16..=newest).rev().find_map(|year| at(year).filter(|at| *at <= latest))
            }
        }
    }

    fn in_year(&self, year: i32, assumed: &Assumed) -> Option<Timestamp> {
        let days = days_since_1970(year, self.month, self.day)?;
        let offset = self.utc_offset_seconds.unwrap_or(assumed.utc_offset_seconds);
        let seconds = days * 86_400 + i64::from(self.second_of_day) - i64::from(offset);
        let millis = seconds * 1000 + i64::from(self.millis);
        (0..=Timestamp::MAX.millis()).contains(&millis).then(|| Timestamp::from_millis(millis))
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; `None` if the month lacks that day.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_since_1970(year: i32, month: u32, day: u32) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > length {
        return None;
    }
    let (month, day) = (i64::from(month), i64::from(day));
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The year that two digits mean: 69 to 99 are of the last century, as POSIX reads them.
pub(super) const fn year_of_two_digits(year: u32) -> i32 {
    (if year >= 69 { 1900 + year } else { 2000 + year }).cast_signed()
}

/// A month's English name, short.
pub(super) fn month(c: &mut Cursor<'_>) -> Option<u32> {
    let name = c.rest().first_chunk::<3>()?;
    let number = match name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    };
    c.skip(3);
    Some(number)
}

/// `hh:mm:ss`, as seconds of the day. A leap second is the next minute's first.
pub(super) fn clock(c: &mut Cursor<'_>) -> Option<u32> {
    clock_with(c, b':')
}

/// Hours, minutes and seconds with `separator` between them.
pub(super) fn clock_with(c: &mut Cursor<'_>, separator: u8) -> Option<u32> {
    let hour = c.digits(2)?;
    c.expect(separator)?;
    let minute = c.digits(2)?;
    c.expect(separator)?;
    let second = c.digits(2)?;
    second_of_day(hour, minute, second)
}

pub(super) fn second_of_day(hour: u32, minute: u32, second: u32) -> Option<u32> {
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Milliseconds of `.5`, `,123` or `.123456789`, 0 if there is no fraction.
pub(super) fn fraction(c: &mut Cursor<'_>) -> u32 {
    let separated = matches!(c.peek(), Some(b'.' | b','))
        && c.peek_at(1).is_some_and(|byte| byte.is_ascii_digit());
    if !separated {
        return 0;
    }
    c.skip(1);
    let digits = c.digits_ahead();
    let mut millis = 0;
    for at in 0..3 {
        let digit = if at < digits { c.peek_at(at) } else { None };
        millis = millis * 10 + digit.map_or(0, |digit| u32::from(digit - b'0'));
    }
    c.skip(digits);
    millis
}

/// A zone's offset from UTC in seconds: `Z`, `+01:00`, `+0100`, `+01`, or after a blank `UTC`,
/// `CEST` and the like. Reads nothing if there is none.
pub(super) fn zone(c: &mut Cursor<'_>) -> Option<i32> {
    let mut ahead = *c;
    let blank = ahead.eat(b' ');
    let offset = match ahead.peek()? {
        b'Z' | b'z' if !blank => {
            ahead.skip(1);
            0
        }
        sign @ (b'+' | b'-') => {
            ahead.skip(1);
            let hours = ahead.digits(2)?;
            let colon = ahead.eat(b':');
            let minutes = ahead.digits(2);
            if minutes.is_none() && (colon || blank) {
                return None;
            }
            let seconds = (hours * 3600 + minutes.unwrap_or(0) * 60).cast_signed();
            if hours > 23 || minutes > Some(59) {
                return None;
            }
            if sign == b'-' { -seconds } else { seconds }
        }
        b'A'..=b'Z' => abbreviation(&mut ahead)?,
        _ => return None,
    };
    if ahead.peek().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    *c = ahead;
    Some(offset)
}

/// The zones that RFC 822 names and the European ones. Others mean several places each.
fn abbreviation(c: &mut Cursor<'_>) -> Option<i32> {
    let letters = c.rest().iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let hours = match &c.rest()[..letters] {
        b"UTC" | b"GMT" | b"WET" => 0,
        b"CET" | b"BST" | b"WEST" => 1,
        b"CEST" | b"EET" => 2,
        b"EEST" | b"MSK" => 3,
        b"JST" => 9,
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => return None,
    };
    c.skip(letters);
    Some(hours * 3600)
}

/// `2024-01-02T03:04:05.678+01:00` and its relatives: `-`, `/` or `.` in the date, a blank, `T` or
/// `_` before the time, a fraction after `.` or `,`, with a zone or none.
pub(super) fn year_first(c: &mut Cursor<'_>) -> Option<Moment> {
    let year = c.digits(4)?.cast_signed();
    let separator = c.peek().filter(|byte| matches!(byte, b'-' | b'/' | b'.'))?;
    c.skip(1);
    let month = c.digits(2)?;
    c.expect(separator)?;
    let day = c.digits(2)?;
    if !matches!(c.peek(), Some(b'T' | b't' | b' ' | b'_')) {
        return None;
    }
    c.skip(1);
    let second_of_day = clock(c)?;
    let millis = fraction(c);
    let utc_offset_seconds = zone(c);
    Some(Moment { year: Some(year), month, day, second_of_day, millis, utc_offset_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTC: Assumed = Assumed { year: Year::Is(2024), utc_offset_seconds: 0 };

    fn read(text: &str) -> Option<String> {
        let moment = year_first(&mut Cursor::new(text.as_bytes()))?;
        moment.timestamp(&UTC).map(|at| at.to_string())
    }

    #[test]
    fn year_first_in_its_spellings() {
        for (text, expected) in [
            ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000Z"),
            ("2024-01-02 03:04:05,678 x", "2024-01-02T03:04:05.678Z"),
            ("2024-01-02 03:04:05.6 +0100", "2024-01-02T02:04:05.600Z"),
            ("2024/01/02 03:04:05.678901", "2024-01-02T03:04:05.678Z"),
            ("2024-01-02T03:04:05.678-05:30", "2024-01-02T08:34:05.678Z"),
            ("2024-01-02T03:04:05+02 x", "2024-01-02T01:04:05.000Z"),
            ("2024-01-02 03:04:05 CEST [7]", "2024-01-02T01:04:05.000Z"),
            ("2024-01-02 03:04:05 ZONE", "2024-01-02T03:04:05.000Z"),
            ("2024-01-02 03:04:05 - x", "2024-01-02T03:04:05.000Z"),
            ("2024-02-29 23:59:60", "2024-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for wrong in
            ["2023-02-29 00:00:00", "2024-13-01 00:00:00", "2024-01-01", "2024-01-02 24:00:00"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_agree_with_jiff() {
        let epoch = jiff::civil::date(1970, 1, 1);
        let mut day = epoch;
        while day.year() < 2110 {
            let days = (day - epoch).get_days();
            let (month, of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
            let ours = days_since_1970(day.year().into(), month.into(), of_month.into());
            assert_eq!(ours, Some(days.into()), "{day}");
            day = day.tomorrow().unwrap();
        }
    }

    #[test]
    fn a_date_without_year_is_the_last_before_the_end() {
        let march = Timestamp::parse_rfc3339("2024-03-01T12:00:00Z").unwrap();
        let assumed = Assumed { year: Year::UpTo(march), utc_offset_seconds: 0 };
        for (month, day, expected) in [
            (12, 31, "2023-12-31T00:00:00.000Z"),
            (1, 1, "2024-01-01T00:00:00.000Z"),
            (3, 2, "2024-03-02T00:00:00.000Z"),
            (3, 3, "2023-03-03T00:00:00.000Z"),
            (2, 29, "2024-02-29T00:00:00.000Z"),
        ] {
            let at = Moment { month, day, ..Moment::default() }.timestamp(&assumed);
            assert_eq!(at.unwrap().to_string(), expected);
        }
        let earlier = Assumed { year: Year::UpTo(march.plus_millis(-366 * DAY_MS)), ..assumed };
        let at = Moment { month: 2, day: 29, ..Moment::default() }.timestamp(&earlier);
        assert_eq!(at.unwrap().to_string(), "2020-02-29T00:00:00.000Z");
    }
}
