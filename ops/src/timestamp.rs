//! Points in time, in whole milliseconds since 1970-01-01T00:00:00Z.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since the unix epoch, never negative and never past the year 9999 (what the tables
/// can hold).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 9999-12-30T22:00:00Z, the last that is a time in the year 9999 at every offset from UTC.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// Clamps `millis` into the range that the tables can hold.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < 0 {
            Self(0)
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn seconds(self) -> i64 {
        self.0 / 1000
    }

    /// This time moved forward by `millis`.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Reads an RFC 3339 date and time with an offset; digits past the millisecond are cut.
    ///
    /// Returns `None` for anything else, and for times outside 1970..=9999.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        // jiff also takes forms that RFC 3339 does not have ("20240101T00Z"): hold it to the RFC's shape
        let bytes = text.as_bytes();
        let shaped = bytes.len() >= 20
            && bytes[4] == b'-'
            && bytes[7] == b'-'
            && matches!(bytes[10], b'T' | b't' | b' ')
            && bytes[13] == b':'
            && bytes[16] == b':'
            && ends_as_rfc3339(&bytes[19..]);
        let parsed: jiff::Timestamp = shaped.then(|| text.parse().ok()).flatten()?;
        Self::in_range(parsed.as_millisecond())
    }

    /// Reads a number that is seconds (below 10^11) or milliseconds (from there on) since 1970.
    ///
    /// 10^11 seconds is the year 5138 and 10^11 milliseconds is March 1973.
    /// Returns `None` for negative or non-finite numbers and those past the year 9999.
    #[expect(clippy::cast_possible_truncation, reason = "range is checked after rounding")]
    pub fn from_number(number: f64) -> Option<Self> {
        if !number.is_finite() || number < 0.0 {
            return None;
        }
        let millis = if number < 1e11 { number * 1000.0 } else { number };
        Self::in_range(millis.round().min(9e15) as i64)
    }

    fn in_range(millis: i64) -> Option<Self> {
        (0..=Self::MAX.0).contains(&millis).then_some(Self(millis))
    }
}

/// Whether `rest`, what follows the seconds, is `[.digits](Z|±hh:mm)`.
fn ends_as_rfc3339(rest: &[u8]) -> bool {
    let offset = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        None => rest,
    };
    match offset {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit())
                && [*h1, *h2] <= *b"23"
                && *m1 <= b'5'
        }
        _ => false,
    }
}

/// RFC 3339 in UTC with exactly three decimals.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rfc3339() {
        let at = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(Timestamp::parse_rfc3339("2023-11-14T22:13:20.123Z"), Some(at));
        assert_eq!(Timestamp::parse_rfc3339("2023-11-15T00:13:20.1239+02:00"), Some(at));
        assert_eq!(at.to_string(), "2023-11-14T22:13:20.123Z");
        for offset in ["+25:00", "+01", "+0100", "+01:00:30", "+24:00", ",5Z", ".Z", "Z[UTC]", ""] {
            assert_eq!(Timestamp::parse_rfc3339(&format!("2023-11-14T22:13:20{offset}")), None);
        }
        for wrong in ["", "2023-11-14", "2023-11-14T22:13:20", "20231114T221320Z", "yesterday"] {
            assert_eq!(Timestamp::parse_rfc3339(wrong), None, "{wrong}");
        }
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!(Timestamp::parse_rfc3339("1969-12-31T23:59:59Z"), None);
    }

    #[test]
    fn reads_seconds_and_milliseconds() {
        let at = Some(Timestamp::from_millis(1_700_000_000_123));
        assert_eq!(Timestamp::from_number(1_700_000_000.123), at);
        assert_eq!(Timestamp::from_number(1_700_000_000_123.0), at);
        assert_eq!(Timestamp::from_number(0.0), Some(Timestamp::from_millis(0)));
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e18] {
            assert_eq!(Timestamp::from_number(wrong), None, "{wrong}");
        }
    }
}
