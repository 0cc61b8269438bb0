//! Guard rows: who may apply to each part, and how far it is.

use std::fmt::Write as _;

use errsift_ops::id::{Epoch, Nonce, Part, Seq, Shard, Term};
use errsift_pipeline::ports::errors::{
    Claim, DeadLetters, ErrorsFault, Guard, Guards, Range, Settled,
};
use mysql_async::Row;

use super::{
    faults::{Failure, LOCK_WAIT},
    session::{Live, Session, column},
};
use crate::inspect::InspectGuards;

/// Reads them beside a running server.
pub struct Inspector {
    pub session: Session,
    pub shard: Shard,
}

impl InspectGuards for Inspector {
    fn settled(&mut self) -> Result<Settled, ErrorsFault> {
        let shard = self.shard;
        self.session.run(async |live| settled(live, shard).await)
    }
}

/// The guard rows of `shard`; missing ones are zero.
pub async fn read(live: &mut Live, shard: Shard) -> Result<Guards, Failure> {
    Ok(read_present(live, shard).await?.0)
}

/// Makes missing rows, takes those of older terms, and returns all.
pub async fn take(live: &mut Live, claim: &Claim) -> Result<Guards, Failure> {
    match take_once(live, claim).await {
        Err(failure) if failure.code() == Some(LOCK_WAIT) => {
            kill_predecessors(live, claim).await?;
            take_once(live, claim).await
        }
        outcome => outcome,
    }
}

async fn take_once(live: &mut Live, claim: &Claim) -> Result<Guards, Failure> {
    let Claim { shard, term, nonce } = claim;
    let (_, present) = read_present(live, *shard).await?;
    if present < Part::COUNT {
        let mut sql = String::from("INSERT IGNORE INTO applied_epochs (shard, part) VALUES ");
        for part in Part::all() {
            let separator = if part.index() == 0 { "" } else { "," };
            let _ = write!(sql, "{separator}({shard},{part})");
        }
        live.run(&sql).await?;
    }
    live.run(&format!(
        "UPDATE applied_epochs SET term = {term}, nonce = {}, connection_id = CONNECTION_ID() \
         WHERE shard = {shard} AND term < {term}",
        nonce.0
    ))
    .await?;
    read(live, *shard).await
}

/// Ends the connections of older writers of this shard: one that is frozen inside a transaction
/// would hold its guard rows for as long as the server keeps the connection.
async fn kill_predecessors(live: &mut Live, claim: &Claim) -> Result<(), Failure> {
    let Claim { shard, term, .. } = claim;
    // numbers of connections start anew with the server: only ours, in this database, are ended
    let rows = live
        .query(&format!(
            "SELECT DISTINCT p.ID FROM applied_epochs a JOIN information_schema.PROCESSLIST p \
             ON p.ID = a.connection_id WHERE a.shard = {shard} AND a.term < {term} \
             AND p.ID <> CONNECTION_ID() AND p.DB = DATABASE() \
             AND p.USER = SUBSTRING_INDEX(USER(), '@', 1)"
        ))
        .await?;
    for row in &rows {
        let connection_id: u64 = column(row, 0)?;
        match live.run(&format!("KILL {connection_id}")).await {
            Ok(_) => tracing::warn!(connection_id, %shard, "ended a predecessor's connection"),
            // gone by itself, or not ours to end: taking the rows will tell
            Err(Failure::Server(error)) => {
                tracing::warn!(connection_id, %shard, code = error.code, "predecessor not ended");
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// The guard rows and what was set aside. One statement, because a statement is what READ
/// COMMITTED gives one snapshot to.
pub async fn settled(live: &mut Live, shard: Shard) -> Result<Settled, Failure> {
    let sql = format!(
        "SELECT part, term, nonce, epoch, seq, events, dropped FROM applied_epochs \
         WHERE shard = {shard} UNION ALL SELECT NULL, COUNT(*), \
         CAST(COALESCE(SUM(`count`), 0) AS UNSIGNED), 0, 0, 0, 0 \
         FROM dead_letters WHERE shard = {shard}"
    );
    let rows = live.query(&sql).await?;
    let (mut parts, mut dead) = (Vec::with_capacity(rows.len()), DeadLetters::default());
    for row in rows {
        if column::<Option<u64>>(&row, 0)?.is_some() {
            parts.push(row);
        } else {
            dead = DeadLetters { rows: column(&row, 1)?, events: column(&row, 2)? };
        }
    }
    Ok(Settled { guards: guards(&parts)?, dead })
}

async fn read_present(live: &mut Live, shard: Shard) -> Result<(Guards, usize), Failure> {
    let rows = live
        .query(&format!(
            "SELECT part, term, nonce, epoch, seq, events, dropped \
             FROM applied_epochs WHERE shard = {shard}"
        ))
        .await?;
    Ok((guards(&rows)?, rows.len()))
}

fn guards(rows: &[Row]) -> Result<Guards, Failure> {
    let mut guards = [Guard::default(); Part::COUNT];
    for row in rows {
        let guard = guards
            .get_mut(column::<usize>(row, 0)?)
            .ok_or_else(|| Failure::Value("a guard row of an unknown part".to_owned()))?;
        *guard = Guard {
            term: Term(column(row, 1)?),
            nonce: Nonce(column(row, 2)?),
            epoch: Epoch(column(row, 3)?),
            seq: Seq(column(row, 4)?),
            events: column(row, 5)?,
            dropped: column(row, 6)?,
        };
    }
    Ok(guards)
}

/// Moves the guards of a range's parts; `false` if one of them was not where the range says.
pub async fn advance(live: &mut Live, claim: &Claim, range: &Range<'_>) -> Result<bool, Failure> {
    let changed = live.run(&advance_sql(claim, range)).await?;
    Ok(changed == range.parts.len() as u64)
}

fn advance_sql(claim: &Claim, range: &Range<'_>) -> String {
    let Claim { shard, term, nonce } = claim;
    let Range { after, upto, seq, parts, .. } = range;
    let mut sql = format!(
        "UPDATE applied_epochs SET epoch = {upto}, seq = {seq}, \
         connection_id = CONNECTION_ID(), events = events + CASE part"
    );
    for step in *parts {
        let _ = write!(sql, " WHEN {} THEN {}", step.part, step.events);
    }
    let _ = write!(sql, " ELSE 0 END WHERE shard = {shard} AND part IN (");
    for (at, step) in parts.iter().enumerate() {
        let separator = if at == 0 { "" } else { "," };
        let _ = write!(sql, "{separator}{}", step.part);
    }
    let _ = write!(sql, ") AND term = {term} AND nonce = {} AND epoch = {after}", nonce.0);
    sql
}

/// Adds events to the guard rows of some parts, or takes them back; `false` if a row is missing.
pub async fn change_events(
    live: &mut Live,
    shard: Shard,
    change: Change,
    parts: &[(Part, u64)],
) -> Result<bool, Failure> {
    if parts.is_empty() {
        return Ok(true);
    }
    let sign = match change {
        Change::Add => '+',
        Change::TakeBack => '-',
    };
    let mut sql = format!("UPDATE applied_epochs SET events = events {sign} CASE part");
    for (part, events) in parts {
        let _ = write!(sql, " WHEN {part} THEN {events}");
    }
    let list: Vec<String> = parts.iter().map(|(part, _)| part.to_string()).collect();
    let _ = write!(sql, " END WHERE shard = {shard} AND part IN ({})", list.join(","));
    Ok(live.run(&sql).await? == parts.len() as u64)
}

/// Which way events go.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// They are counted.
    Add,
    /// They were to be counted, and are not.
    TakeBack,
}
