//! Times in the form that most programs write them in.

use crate::timestamp::Timestamp;

/// A time in the usual form, `2024-05-17T09:00:00[.123]Z`, else with a closer look.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    usual_time(text.as_bytes()).or_else(|| Timestamp::parse_rfc3339(text))
}

fn usual_time(text: &[u8]) -> Option<Timestamp> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let marks = [head[4], head[7], head[10], head[13], head[16]];
    if marks != *b"--T::" {
        return None;
    }
    let number = |at: usize, digits: usize| -> Option<i64> {
        head[at..at + digits].iter().try_fold(0, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    // days that not every month has, and the ends of time, take a closer look
    let is_usual = (1970..9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=28).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_usual {
        return None;
    }
    let millis = match rest {
        b"Z" => 0,
        [b'.', a, b, c, b'Z'] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()) => {
            i64::from(a - b'0') * 100 + i64::from(b - b'0') * 10 + i64::from(c - b'0')
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Timestamp::from_millis(seconds * 1000 + millis))
}

/// Days since 1970, by Howard Hinnant's `days_from_civil`: years begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_the_calendars() {
        for days_on in 0..40_000_i64 {
            let at = Timestamp::from_millis(days_on * 86_400_000 + 3_661_007);
            let text = at.to_string();
            assert_eq!(parse(&text), Some(at), "{text}");
        }
    }
}
