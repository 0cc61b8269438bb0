//! A shard's dead letters, read, redriven and dropped beside a running server.
//!
//! Each transaction takes the part's guard row first, as one that applies does: they wait for each
//! other there, and nowhere in a circle.

use std::fmt::Write as _;

use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Shard},
    tags,
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};
use errsift_pipeline::ports::errors::{CountRow, ErrorsFault};
use mysql_async::Row;

use super::{
    faults::Failure,
    guards,
    rows::{push_bytes, push_datetime, push_text},
    session::{Live, Session, column},
    writer::{add, store},
};
use crate::dead::{DeadRow, DeadRows, Key, Letter, PAGE_ROWS, Redriven, Revived, reason};

/// One shard's letters.
pub struct Letters {
    pub session: Session,
    pub shard: Shard,
}

impl DeadRows for Letters {
    fn page(
        &mut self,
        after: Option<&Key>,
        of: Option<&Fingerprint>,
    ) -> Result<Vec<DeadRow>, ErrorsFault> {
        let sql = select(self.shard, after, of);
        self.session.run(async |live| live.query(&sql).await?.iter().map(dead_row).collect())
    }

    fn redrive(&mut self, row: &DeadRow) -> Result<Redriven, ErrorsFault> {
        let letter = match &row.letter {
            Ok(letter) => letter,
            Err(why) => return Ok(Redriven::Refused(why.clone())),
        };
        let place = place(self.shard, &row.key);
        let shard = self.shard;
        self.session.run(async |live| {
            let done = transact(live, async |live| redrive(live, shard, row, letter).await);
            match done.await {
                Ok(true) => Ok(Redriven::Done),
                Ok(false) => Ok(Redriven::Gone),
                Err(failure) if failure.is_of_data() => {
                    let reason = reason(&failure);
                    let mut sql = "UPDATE dead_letters SET reason = ".to_owned();
                    push_text(&mut sql, &reason);
                    live.run(&(sql + &place)).await?;
                    Ok(Redriven::Refused(reason))
                }
                Err(failure) => Err(failure),
            }
        })
    }

    fn discard(&mut self, row: &DeadRow) -> Result<bool, ErrorsFault> {
        let shard = self.shard;
        self.session.run(async |live| {
            transact(live, async |live| take(live, shard, row, "dropped").await).await
        })
    }

    fn redrive_job(&mut self, job: &Revived) -> Result<Redriven, ErrorsFault> {
        let shard = self.shard;
        self.session.run(async |live| {
            match transact(live, async |live| add_job(live, shard, job).await).await {
                Ok(true) => Ok(Redriven::Done),
                Ok(false) => Ok(Redriven::Gone),
                Err(failure) if failure.is_of_data() => Ok(Redriven::Refused(reason(&failure))),
                Err(failure) => Err(failure),
            }
        })
    }

    fn shard(&self) -> Shard {
        self.shard
    }
}

/// One transaction: committed if `work` says so, else rolled back.
async fn transact(
    live: &mut Live,
    work: impl AsyncFnOnce(&mut Live) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    live.run("START TRANSACTION").await?;
    let done = work(live).await;
    if matches!(done, Ok(true)) {
        live.commit().await?;
    } else {
        live.rollback().await;
    }
    done
}

/// `false` if it was added before.
async fn add_job(live: &mut Live, shard: Shard, job: &Revived) -> Result<bool, Failure> {
    if !guards::change_events(live, shard, guards::Change::Add, &job.parts()).await? {
        return Err(Failure::Value(format!("shard {shard} has no guard rows")));
    }
    let mut mark = "INSERT IGNORE INTO errsift_settings (name, value) VALUES (".to_owned();
    push_text(&mut mark, &job.mark);
    let _ = write!(mark, ",'{}')", job.events());
    if live.run(&mark).await? != 1 {
        return Ok(false);
    }
    let words = job.words.iter().map(|row| {
        let tags = tags::to_json(&row.1.payload.tags);
        tags.map(|tags| (row, tags)).map_err(|error| Failure::Value(error.to_string()))
    });
    store(live, &words.collect::<Result<Vec<_>, _>>()?).await?;
    add(live, &job.rows).await?;
    Ok(true)
}

/// `false` if the letter is gone.
async fn redrive(
    live: &mut Live,
    shard: Shard,
    row: &DeadRow,
    letter: &Letter,
) -> Result<bool, Failure> {
    if !take(live, shard, row, "events").await? {
        return Ok(false);
    }
    let Key { fingerprint, window, .. } = row.key;
    match letter {
        Letter::Words(details) => {
            let tags = tags::to_json(&details.payload.tags)
                .map_err(|error| Failure::Value(error.to_string()))?;
            store(live, &[(&(fingerprint, details.clone()), tags)]).await?;
        }
        Letter::Seen { first_ms, last_ms } => {
            let [first, last] = [*first_ms, *last_ms].map(Timestamp::from_millis);
            let tally = Tally { count: row.count, first, last };
            add(live, &[CountRow { fingerprint, window, tally }]).await?;
        }
    }
    Ok(true)
}

/// Takes the letter out of the dead letters, and its events into a column of the part's guard row.
async fn take(
    live: &mut Live,
    shard: Shard,
    row: &DeadRow,
    events: &'static str,
) -> Result<bool, Failure> {
    let part = row.key.fingerprint.part();
    let guard = format!(
        "UPDATE applied_epochs SET {events} = {events} + {} WHERE shard = {shard} AND part = {part}",
        row.count
    );
    if row.count > 0 && live.run(&guard).await? != 1 {
        return Err(Failure::Value(format!("part {part} of shard {shard} has no guard row")));
    }
    let delete =
        format!("DELETE FROM dead_letters{} AND `count` = {}", place(shard, &row.key), row.count);
    Ok(live.run(&delete).await? == 1)
}

/// Where one letter lies.
fn place(shard: Shard, key: &Key) -> String {
    let mut sql = format!(" WHERE shard = {shard} AND epoch = {} AND fingerprint = ", key.epoch);
    push_bytes(&mut sql, &key.fingerprint.0);
    sql.push_str(" AND window_start = ");
    push_datetime(&mut sql, key.window.start());
    sql
}

fn select(shard: Shard, after: Option<&Key>, of: Option<&Fingerprint>) -> String {
    let mut sql = format!(
        "SELECT epoch, fingerprint, TIMESTAMPDIFF(SECOND, '1970-01-01', window_start), `count`, \
         reason, payload FROM dead_letters WHERE shard = {shard}"
    );
    if let Some(fingerprint) = of {
        sql.push_str(" AND fingerprint = ");
        push_bytes(&mut sql, &fingerprint.0);
    }
    if let Some(Key { epoch, fingerprint, window }) = after {
        let _ = write!(sql, " AND (epoch, fingerprint, window_start) > ({epoch},");
        push_bytes(&mut sql, &fingerprint.0);
        sql.push(',');
        push_datetime(&mut sql, window.start());
        sql.push(')');
    }
    let _ = write!(sql, " ORDER BY epoch, fingerprint, window_start LIMIT {PAGE_ROWS}");
    sql
}

fn dead_row(row: &Row) -> Result<DeadRow, Failure> {
    let fingerprint: Vec<u8> = column(row, 1)?;
    let fingerprint = fingerprint
        .try_into()
        .map_err(|_| Failure::Value("a fingerprint of another length".to_owned()))?;
    let start = Timestamp::from_millis(column::<i64>(row, 2)?.saturating_mul(1000));
    let payload: Option<Vec<u8>> = column(row, 5)?;
    let letter = Letter::from_json(&payload.unwrap_or_default());
    Ok(DeadRow {
        key: Key {
            epoch: Epoch(column(row, 0)?),
            fingerprint: Fingerprint(fingerprint),
            window: Window::of(start),
        },
        count: column(row, 3)?,
        reason: column(row, 4)?,
        letter: letter.map_err(|error| format!("its payload cannot be read: {error}")),
    })
}
