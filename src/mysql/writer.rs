//! Writes details, counts and windows.

use errsift_ops::{fingerprint::Fingerprint, id::Shard, tags, tally::Tally, window::Window};
use errsift_pipeline::{
    failpoints,
    ports::errors::{
        Added, Applied, Claim, CountRow, DeadLetters, DetailsRow, ErrorsFault, ErrorsWriter,
        Guards, Range, Settled,
    },
};

use mysql_async::Value;

use super::{
    bulk,
    faults::Failure,
    guards,
    rows::{
        Frame, push_bytes, push_datetime, push_number, push_text, push_text_or_null, statements,
    },
    session::{Live, STATEMENT_ROWS_MAX, Session},
    set_aside,
};
use crate::totals::totals;

// not IGNORE, which turns all errors into warnings: words that are refused would be lost unseen
const DETAILS: Frame = Frame {
    head: "INSERT INTO error_details (fingerprint, `rule`, message, stack_trace, `type`, \
           `level`, service, environment, `release`, tags) VALUES ",
    tail: " ON DUPLICATE KEY UPDATE fingerprint = VALUES(fingerprint)",
};
const COUNTS: Frame = Frame {
    head: "INSERT INTO error_counts (fingerprint, `count`, first_seen, last_seen) VALUES ",
    tail: " ON DUPLICATE KEY UPDATE `count` = `count` + VALUES(`count`), \
           first_seen = LEAST(first_seen, VALUES(first_seen)), \
           last_seen = GREATEST(last_seen, VALUES(last_seen))",
};
const WINDOWS: Frame = Frame {
    head: "INSERT INTO error_windows (window_start, fingerprint, `count`) VALUES ",
    tail: " ON DUPLICATE KEY UPDATE `count` = `count` + VALUES(`count`)",
};

/// A writing handle.
pub struct Writer {
    session: Session,
}

impl Writer {
    pub fn new(session: Session) -> Self {
        Self { session }
    }
}

impl ErrorsWriter for Writer {
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault> {
        self.session.run(async |live| guards::take(live, claim).await)
    }

    fn insert_details(
        &mut self,
        shard: Shard,
        rows: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault> {
        // in order of the key, so that two writers do not wait for each other in a circle
        let mut sorted: Vec<&DetailsRow> = rows.iter().collect();
        sorted.sort_by_key(|(fingerprint, _)| *fingerprint);
        let with_tags = sorted
            .into_iter()
            .map(|row| Ok((row, tags::to_json(&row.1.payload.tags)?)))
            .collect::<Result<Vec<_>, serde_json::Error>>()
            .map_err(|error| ErrorsFault::Denied(error.to_string()))?;
        self.session.run(async |live| match store_at_once(live, &with_tags).await {
            Err(failure) if failure.is_of_data() => {
                set_aside::store_words(live, shard, &with_tags).await
            }
            stored => stored.map(|()| DeadLetters::default()),
        })
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        if range.parts.is_empty() {
            return Err(ErrorsFault::Denied("a range without parts has no guard".to_owned()));
        }
        self.session.run(async |live| apply(live, claim, range).await)
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        self.session.run(async |live| guards::read(live, shard).await)
    }

    fn settled(&mut self, shard: Shard) -> Result<Settled, ErrorsFault> {
        self.session.run(async |live| guards::settled(live, shard).await)
    }
}

/// Once as one piece, and if some row is refused as data, again in halves.
async fn apply(live: &mut Live, claim: &Claim, range: &Range<'_>) -> Result<Applied, Failure> {
    live.run("START TRANSACTION").await?;
    let written = write(live, claim, range).await;
    let written = match written {
        Err(failure) if failure.is_of_data() => {
            live.run("ROLLBACK").await?;
            // a foreign key of a user's may refuse rows until the words that they refer to are there
            if !range.words.wait() {
                return Ok(Applied::WordsLate);
            }
            live.run("START TRANSACTION").await?;
            set_aside::write(live, claim, range).await
        }
        written => written,
    };
    match written {
        Ok(Applied::Done(_)) if !range.words.wait() => {
            live.rollback().await;
            Ok(Applied::WordsLate)
        }
        Ok(Applied::Done(added)) => {
            failpoints::pass("apply_commit");
            live.commit().await?;
            Ok(Applied::Done(added))
        }
        Ok(refused) => {
            live.rollback().await;
            Ok(refused)
        }
        Err(failure) => {
            live.rollback().await;
            Err(failure)
        }
    }
}

/// Stores words, many of them in one transaction: one flush for all.
async fn store_at_once(live: &mut Live, rows: &[(&DetailsRow, String)]) -> Result<(), Failure> {
    if rows.len() <= STATEMENT_ROWS_MAX {
        return store(live, rows).await;
    }
    live.run("START TRANSACTION").await?;
    match store(live, rows).await {
        Ok(()) => live.commit().await,
        Err(failure) => {
            live.rollback().await;
            Err(failure)
        }
    }
}

/// Stores words unless they are stored.
pub async fn store(live: &mut Live, rows: &[(&DetailsRow, String)]) -> Result<(), Failure> {
    if live.takes_bulk() {
        bulk::insert(live, DETAILS, rows, details_bytes, details_values).await?;
        return Ok(());
    }
    let rows = rows.iter().map(|(row, tags)| (*row, tags.as_str()));
    for sql in statements(DETAILS, live.statement_bytes_max(), rows, push_details) {
        live.run(&sql).await?;
    }
    Ok(())
}

/// Everything between START TRANSACTION and its end. The guard comes first: its row locks keep
/// any other writer of these parts out until then.
async fn write(live: &mut Live, claim: &Claim, range: &Range<'_>) -> Result<Applied, Failure> {
    if !guards::advance(live, claim, range).await? {
        return Ok(Applied::GuardMoved);
    }
    failpoints::pass("apply_guarded");
    let new_errors = add(live, range.rows).await?;
    Ok(Applied::Done(Added { new_errors, ..Added::default() }))
}

/// Adds rows, sorted by fingerprint, to counts and windows. Returns of how many errors nothing was
/// counted before: an upsert affects one row when it inserts and two when it changes one, which it
/// always does to a count.
pub async fn add(live: &mut Live, rows: &[CountRow]) -> Result<u64, Failure> {
    let counts: Vec<CountOf> = totals(rows).collect();
    let mut windows: Vec<WindowOf> =
        rows.iter().map(|row| (row.window, row.fingerprint, row.tally.count)).collect();
    // of one window they stay as they are sorted
    windows.sort_by_key(|(window, ..)| *window);
    let twice = 2 * counts.len() as u64;
    if live.takes_bulk() {
        let affected = bulk::insert(live, COUNTS, &counts, |_| ROW_BYTES_MAX, count_values).await?;
        failpoints::pass("apply_counted");
        bulk::insert(live, WINDOWS, &windows, |_| ROW_BYTES_MAX, window_values).await?;
        return Ok(twice.saturating_sub(affected));
    }
    let bytes_max = live.statement_bytes_max();
    let mut affected = 0;
    for sql in statements(COUNTS, bytes_max, counts.into_iter(), push_count) {
        affected += live.run(&sql).await?;
    }
    failpoints::pass("apply_counted");
    for sql in statements(WINDOWS, bytes_max, windows.into_iter(), push_window) {
        live.run(&sql).await?;
    }
    Ok(twice.saturating_sub(affected))
}

/// An error's count.
type CountOf = (Fingerprint, Tally);
/// An error's count in a window.
type WindowOf = (Window, Fingerprint, u64);

/// Bytes that either takes in a packet.
const ROW_BYTES_MAX: usize = 4 * bulk::VALUE_BYTES_MAX + size_of::<Fingerprint>();

fn count_values((fingerprint, tally): &CountOf) -> [Value; 4] {
    let Tally { count, first, last } = *tally;
    [bulk::bytes(&fingerprint.0), Value::UInt(count), bulk::datetime(first), bulk::datetime(last)]
}

fn window_values((window, fingerprint, count): &WindowOf) -> [Value; 3] {
    [bulk::datetime(window.start()), bulk::bytes(&fingerprint.0), Value::UInt(*count)]
}

/// Columns of words.
const DETAILS_COLUMNS: usize = 10;

fn details_bytes(((_, details), tags): &(&DetailsRow, String)) -> usize {
    let values = DETAILS_COLUMNS * bulk::VALUE_BYTES_MAX + size_of::<Fingerprint>();
    values + details.payload.text_bytes() + tags.len()
}

fn details_values(
    ((fingerprint, details), tags): &(&DetailsRow, String),
) -> [Value; DETAILS_COLUMNS] {
    let payload = &details.payload;
    let or_null = |text: &Option<String>| bulk::text_or_null(text.as_deref());
    [
        bulk::bytes(&fingerprint.0),
        Value::UInt(details.rule.0.into()),
        bulk::bytes(payload.message.as_bytes()),
        or_null(&payload.stack_trace),
        or_null(&payload.kind),
        or_null(&payload.level),
        or_null(&payload.service),
        or_null(&payload.environment),
        or_null(&payload.release),
        bulk::bytes(tags.as_bytes()),
    ]
}

fn push_count(sql: &mut String, (fingerprint, tally): CountOf) {
    push_bytes(sql, &fingerprint.0);
    sql.push(',');
    push_number(sql, tally.count);
    sql.push(',');
    push_datetime(sql, tally.first);
    sql.push(',');
    push_datetime(sql, tally.last);
}

fn push_window(sql: &mut String, (window, fingerprint, count): WindowOf) {
    push_datetime(sql, window.start());
    sql.push(',');
    push_bytes(sql, &fingerprint.0);
    sql.push(',');
    push_number(sql, count);
}

fn push_details(sql: &mut String, ((fingerprint, details), tags): (&DetailsRow, &str)) {
    let payload = &details.payload;
    push_bytes(sql, &fingerprint.0);
    sql.push(',');
    push_number(sql, u64::from(details.rule.0));
    sql.push(',');
    push_text(sql, &payload.message);
    for text in [
        &payload.stack_trace,
        &payload.kind,
        &payload.level,
        &payload.service,
        &payload.environment,
        &payload.release,
    ] {
        sql.push(',');
        push_text_or_null(sql, text.as_deref());
    }
    sql.push(',');
    push_text(sql, tags);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use errsift_ops::{event::Payload, fingerprint::RULE, flight::Details, timestamp::Timestamp};

    use super::*;

    /// With a mark before each.
    fn sent(values: &[Value]) -> u64 {
        values.iter().map(|value| 1 + value.bin_len()).sum()
    }

    #[test]
    fn rows_are_no_longer_than_is_said() {
        let (fingerprint, at) = (Fingerprint([255; 32]), Timestamp::from_millis(1_700_000_000_120));
        let count = (fingerprint, Tally { count: u64::MAX, first: at, last: at });
        assert!(sent(&count_values(&count)) <= ROW_BYTES_MAX as u64);
        let window = (Window::of(at), fingerprint, u64::MAX);
        assert!(sent(&window_values(&window)) <= ROW_BYTES_MAX as u64);
        for length in [0, 300, 70_000] {
            let text = || "x".repeat(length);
            let payload = Payload {
                message: text(),
                stack_trace: Some(text()),
                kind: Some(text()),
                level: Some(text()),
                service: Some(text()),
                environment: Some(text()),
                release: Some(text()),
                tags: vec![(text(), text())],
            };
            let tags = tags::to_json(&payload.tags).expect("JSON");
            let row = (fingerprint, Arc::new(Details { rule: RULE, payload }));
            let row = (&row, tags);
            let (sent, said) = (sent(&details_values(&row)), details_bytes(&row) as u64);
            assert!((sent..=2 * sent + 512).contains(&said), "{sent} {said}");
        }
    }
}
