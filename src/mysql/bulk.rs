//! Rows as the parameters of one prepared statement, many in a packet.
//!
//! `MariaDB` takes them with `COM_STMT_BULK_EXECUTE`: no SQL is written here or read there for a row.
//! Rows of words take a quarter to a third less of the server's time than as text. Other servers take
//! such rows one by one, which is slower than text.

use errsift_ops::timestamp::Timestamp;
use jiff::{SignedDuration, civil::date};
use mysql_async::{Params, Value};

use super::{faults::Failure, rows::Frame, session::Live};

/// Rows of one packet.
const PACKET_ROWS_MAX: usize = 4000;

/// Runs the statement for each of `rows`, on a server that [takes them so](Live::takes_bulk), at
/// most [`PACKET_ROWS_MAX`] at a time. None takes more than `bytes_of` says. Says how many rows were
/// matched or changed.
pub async fn insert<R: Sync, const N: usize>(
    live: &mut Live,
    frame: Frame,
    mut rows: &[R],
    bytes_of: impl Fn(&R) -> usize,
    values: impl Fn(&R) -> [Value; N] + Sync,
) -> Result<u64, Failure> {
    let mut affected = 0;
    let sql = sql_of(frame, N);
    while let Some((count, bytes)) = packet(rows, live.statement_bytes_max(), &bytes_of) {
        let (now, later) = rows.split_at(count);
        affected += live
            .run_batch(&sql, now.iter().map(|row| Params::Positional(values(row).into())), bytes)
            .await?;
        rows = later;
    }
    Ok(affected)
}

/// How many rows the next packet takes, and how many bytes these take in it at most.
fn packet<R>(
    rows: &[R],
    bytes_max: usize,
    bytes_of: impl Fn(&R) -> usize,
) -> Option<(usize, usize)> {
    let (first, others) = rows.split_first()?;
    let (mut count, mut bytes) = (1, bytes_of(first));
    for more in others.iter().take(PACKET_ROWS_MAX - 1).map(bytes_of) {
        if bytes + more > bytes_max {
            break;
        }
        (count, bytes) = (count + 1, bytes + more);
    }
    Some((count, bytes))
}

fn sql_of(frame: Frame, columns: usize) -> String {
    format!("{}({}){}", frame.head, vec!["?"; columns].join(","), frame.tail)
}

/// Bytes that a value takes in a packet besides those of text: a mark, and its length or all of it.
pub const VALUE_BYTES_MAX: usize = 13;

/// Bytes, or text in UTF-8.
pub fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

/// Text, or NULL.
pub fn text_or_null(text: Option<&str>) -> Value {
    text.map_or(Value::NULL, |text| bytes(text.as_bytes()))
}

/// A date and time in UTC, to the millisecond.
pub fn datetime(at: Timestamp) -> Value {
    let since = SignedDuration::from_millis(at.millis());
    let at = date(1970, 1, 1).at(0, 0, 0, 0).saturating_add(since);
    let small = |number: i8| number.unsigned_abs();
    Value::Date(
        at.year().unsigned_abs(),
        small(at.month()),
        small(at.day()),
        small(at.hour()),
        small(at.minute()),
        small(at.second()),
        at.subsec_nanosecond().unsigned_abs() / 1000,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_one_row_of_marks() {
        assert_eq!(sql_of(Frame { head: "I ", tail: " T" }, 3), "I (?,?,?) T");
    }

    #[test]
    fn packets_keep_both_limits() {
        let counts = |rows: &[usize], bytes_max| packet(rows, bytes_max, |bytes| *bytes);
        assert_eq!(counts(&[], 10), None);
        assert_eq!(counts(&[4, 6, 1], 10), Some((2, 10)));
        // a row that is longer than the limit goes alone
        assert_eq!(counts(&[11, 1], 10), Some((1, 11)));
        assert_eq!(counts(&vec![1; PACKET_ROWS_MAX + 1], 1 << 20).unwrap().0, PACKET_ROWS_MAX);
    }

    #[test]
    fn values_are_no_longer_than_is_said() {
        // with a mark before each
        let at = datetime(Timestamp::from_millis(1_700_000_000_120));
        for value in [Value::NULL, Value::UInt(u64::MAX), at, text_or_null(None)] {
            assert!(value.bin_len() < VALUE_BYTES_MAX as u64, "{value:?}");
        }
        for length in [0, 250, 251, 70_000, 20_000_000] {
            let value = bytes(&vec![b'a'; length]);
            assert!(value.bin_len() < (length + VALUE_BYTES_MAX) as u64, "{length}");
        }
    }

    #[test]
    fn times_are_civil_to_the_millisecond() {
        let at = |millis| datetime(Timestamp::from_millis(millis));
        assert_eq!(at(1_700_000_000_120), Value::Date(2023, 11, 14, 22, 13, 20, 120_000));
        assert_eq!(at(0), Value::Date(1970, 1, 1, 0, 0, 0, 0));
        assert_eq!(datetime(Timestamp::MAX), Value::Date(9999, 12, 30, 22, 0, 0, 0));
    }
}
