//! Rows as the parameters of one prepared statement, many in a packet.
//!
//! `MariaDB` takes them with `COM_STMT_BULK_EXECUTE`: no SQL is written here or read there for a row.
//! Rows of words take a quarter to a third less of the server's time than as text. Other servers take
//! such rows one by one, which is slower than text.

use errsift_ops::timestamp::Timestamp;
use jiff::{SignedDuration, civil::date};
use mysql_async::Value;

use super::{faults::Failure, rows::Frame, session::Live};

/// Rows of one packet.
const PACKET_ROWS_MAX: usize = 4000;

/// Runs the statement for each of `rows`, on a server that [takes them so](Live::takes_bulk), at
/// most [`PACKET_ROWS_MAX`] at a time. Says how many rows were matched or changed.
pub async fn insert<const N: usize>(
    live: &mut Live,
    frame: Frame,
    rows: impl Iterator<Item = [Value; N]>,
) -> Result<u64, Failure> {
    let mut affected = 0;
    let sql = sql_of(frame, N);
    let bytes_max = live.statement_bytes_max();
    let mut rows = rows.peekable();
    while let Some(first) = rows.next() {
        let mut bytes = size(&first);
        let mut batch = Vec::with_capacity(PACKET_ROWS_MAX);
        batch.push(Vec::from(first));
        while batch.len() < PACKET_ROWS_MAX
            && let Some(row) = rows.next_if(|row| bytes + size(row) <= bytes_max)
        {
            bytes += size(&row);
            batch.push(Vec::from(row));
        }
        affected += live.run_batch(&sql, batch, bytes).await?;
    }
    Ok(affected)
}

fn sql_of(frame: Frame, columns: usize) -> String {
    format!("{}({}){}", frame.head, vec!["?"; columns].join(","), frame.tail)
}

/// Bytes that a row takes in a packet: a mark before each value.
fn size(row: &[Value]) -> usize {
    let sizes = row.iter().map(|value| usize::try_from(value.bin_len()).unwrap_or(usize::MAX));
    sizes.fold(row.len(), usize::saturating_add)
}

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
    fn rows_are_as_long_as_they_are_sent() {
        assert_eq!(size(&[Value::NULL, Value::UInt(7), bytes(b"abc")]), 3 + 8 + 4);
    }

    #[test]
    fn times_are_civil_to_the_millisecond() {
        let at = |millis| datetime(Timestamp::from_millis(millis));
        assert_eq!(at(1_700_000_000_120), Value::Date(2023, 11, 14, 22, 13, 20, 120_000));
        assert_eq!(at(0), Value::Date(1970, 1, 1, 0, 0, 0, 0));
        assert_eq!(datetime(Timestamp::MAX), Value::Date(9999, 12, 30, 22, 0, 0, 0));
    }
}
