//! Jobs that were set aside, and how starts have gone.

use bytes::Bytes;
use errsift_ops::id::{Seq, Shard};
use errsift_pipeline::ports::{
    dead::{Aside, DeadJob, DeadJobs, Recovery, SetAside},
    errors::Claim,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{fence, loaded, stored};

/// Whether `claim` holds the shard.
fn held(conn: &Connection, shard: Shard, claim: &Claim) -> rusqlite::Result<bool> {
    let fence = fence::read(conn, shard)?;
    Ok((fence.term, fence.nonce) == (claim.term, claim.nonce))
}

pub fn set_aside(
    conn: &Connection,
    shard: Shard,
    claim: &Claim,
    aside: &Aside,
) -> rusqlite::Result<SetAside> {
    if !held(conn, shard, claim)? {
        return Ok(SetAside::Fenced);
    }
    let seq = stored(aside.seq.0);
    let found: Option<Vec<u8>> = conn
        .query_row("SELECT job FROM jobs WHERE seq = ?1", [seq], |row| row.get(0))
        .optional()?;
    match found {
        Some(found) if found == aside.tombstone => return Ok(SetAside::Done),
        Some(found) if found == aside.job => {}
        _ => return Ok(SetAside::Changed),
    }
    conn.execute("UPDATE jobs SET job = ?1 WHERE seq = ?2", params![&aside.tombstone[..], seq])?;
    conn.execute("INSERT INTO dead_jobs (dead) VALUES (?1)", [&aside.dead[..]])?;
    conn.execute("UPDATE dead_together SET last = ?1", [seq])?;
    Ok(SetAside::Done)
}

pub fn together(conn: &Connection) -> rusqlite::Result<DeadJobs> {
    let sums = "SELECT (SELECT count(*) FROM dead_jobs), last, counted, events FROM dead_together";
    conn.query_row(sums, [], |row| {
        Ok(DeadJobs {
            jobs: loaded(row.get(0)?),
            last: Seq(loaded(row.get(1)?)),
            counted: Seq(loaded(row.get(2)?)),
            events: loaded(row.get(3)?),
        })
    })
}

pub fn page(conn: &Connection, skipped: u64, jobs_max: usize) -> rusqlite::Result<Vec<Bytes>> {
    let mut select = conn.prepare("SELECT dead FROM dead_jobs ORDER BY id LIMIT ?1 OFFSET ?2")?;
    let jobs = select
        .query_map([stored(jobs_max as u64), stored(skipped)], |row| row.get(0).map(Vec::into))?;
    jobs.collect()
}

pub fn count(
    conn: &Connection,
    shard: Shard,
    claim: &Claim,
    (counted, events): (Seq, u64),
) -> rusqlite::Result<bool> {
    let held = held(conn, shard, claim)?;
    if held {
        let update = "UPDATE dead_together SET counted = ?1, events = ?2";
        conn.execute(update, [stored(counted.0), stored(events)])?;
    }
    Ok(held)
}

pub fn forget(conn: &Connection, dead: &Bytes, redriven: u64) -> rusqlite::Result<bool> {
    let first = "DELETE FROM dead_jobs \
        WHERE id = (SELECT id FROM dead_jobs WHERE dead = ?1 ORDER BY id LIMIT 1)";
    if conn.execute(first, [&dead[..]])? == 0 {
        return Ok(false);
    }
    let seq = DeadJob::decode(dead).map_or(Seq::default(), |dead| dead.seq);
    conn.execute(
        "UPDATE dead_together SET events = max(events - ?1, 0) WHERE counted >= ?2",
        [stored(redriven), stored(seq.0)],
    )?;
    Ok(true)
}

pub fn recovery(conn: &Connection) -> rusqlite::Result<Recovery> {
    conn.query_row("SELECT starts, suspect, accused, deaths FROM recovery", [], |row| {
        Ok(Recovery {
            starts: loaded(row.get(0)?),
            suspect: Seq(loaded(row.get(1)?)),
            accused: Seq(loaded(row.get(2)?)),
            deaths: loaded(row.get(3)?),
        })
    })
}

pub fn note_recovery(
    conn: &Connection,
    shard: Shard,
    claim: &Claim,
    recovery: &Recovery,
) -> rusqlite::Result<bool> {
    let held = held(conn, shard, claim)?;
    if held {
        let Recovery { starts, suspect, accused, deaths } = *recovery;
        let update = "UPDATE recovery SET starts = ?1, suspect = ?2, accused = ?3, deaths = ?4";
        conn.execute(update, [starts, suspect.0, accused.0, deaths].map(stored))?;
    }
    Ok(held)
}
