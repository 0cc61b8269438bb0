//! A shard's dead letters, read, redriven and dropped beside a running server.
//!
//! Each transaction takes the part's guard row first, as one that applies does: they wait for each
//! other there, and nowhere in a circle.

use std::fmt::Write as _;

use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Shard},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};
use errsift_pipeline::ports::errors::{CountRow, ErrorsFault};
use mysql_async::Row;

use super::{
    faults::Failure,
    rows::{push_bytes, push_datetime, push_text},
    session::{Live, Session, column},
    writer::{add, store},
};
use crate::{
    dead::{DeadRow, DeadRows, Key, Letter, PAGE_ROWS, Redriven, Revived, reason},
    tags,
};

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
        self.session.run(async |live| {
            live.run("START TRANSACTION").await?;
            match redrive(live, self.shard, row, letter).await {
                Ok(true) => {
                    live.commit().await?;
                    Ok(Redriven::Done)
                }
                Ok(false) => {
                    live.rollback().await;
                    Ok(Redriven::Gone)
                }
                Err(failure) if failure.is_of_data() => {
                    live.rollback().await;
                    let reason = reason(&failure);
                    let mut sql = "UPDATE dead_letters SET reason = ".to_owned();
                    push_text(&mut sql, &reason);
                    live.run(&(sql + &place)).await?;
                    Ok(Redriven::Refused(reason))
                }
                Err(failure) => {
                    live.rollback().await;
                    Err(failure)
                }
            }
        })
    }

    fn discard(&mut self, row: &DeadRow) -> Result<bool, ErrorsFault> {
        self.session.run(async |live| {
            live.run("START TRANSACTION").await?;
            match take(live, self.shard, row, "dropped").await {
                Ok(true) => {
                    live.commit().await?;
                    Ok(true)
                }
                Ok(false) => {
                    live.rollback().await;
                    Ok(false)
                }
                Err(failure) => {
                    live.rollback().await;
                    Err(failure)
                }
            }
        })
    }

    fn redrive_job(&mut self, job: &Revived) -> Result<Redriven, ErrorsFault> {
        let shard = self.shard;
        self.session.run(async |live| {
            live.run("START TRANSACTION").await?;
            match add_job(live, shard, job).await {
                Ok(true) => {
                    live.commit().await?;
                    Ok(Redriven::Done)
                }
                Ok(false) => {
                    live.rollback().await;
                    Ok(Redriven::Gone)
                }
                Err(failure) if failure.is_of_data() => {
                    live.rollback().await;
                    Ok(Redriven::Refused(reason(&failure)))
                }
                Err(failure) => {
                    live.rollback().await;
                    Err(failure)
                }
            }
        })
    }

    fn shard(&self) -> Shard {
        self.shard
    }
}

/// `false` if it was added before.
async fn add_job(live: &mut Live, shard: Shard, job: &Revived) -> Result<bool, Failure> {
    let parts = job.parts();
    if !parts.is_empty() {
        let mut sql = "UPDATE applied_epochs SET events = events + CASE part".to_owned();
        for (part, events) in &parts {
            let _ = write!(sql, " WHEN {part} THEN {events}");
        }
        let list: Vec<String> = parts.iter().map(|(part, _)| part.to_string()).collect();
        let _ = write!(sql, " END WHERE shard = {shard} AND part IN ({})", list.join(","));
        if live.run(&sql).await? != parts.len() as u64 {
            return Err(Failure::Value(format!("shard {shard} has no guard rows")));
        }
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
