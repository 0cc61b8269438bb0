//! Giving Redis back the flights that it has lost.
//!
//! `WATCH fence · HMGET fence …`, and if the fence still is where it was found: `MULTI [· UNLINK
//! journal · HSET pos base n] · RPUSH journal job … · HSET fence … · EXEC`, once for each piece. A
//! transaction of an earlier try that arrives late is guarded by the WATCH of its own connection,
//! so each piece executes at most once.

use errsift_ops::id::Seq;
use errsift_pipeline::ports::{
    heal::{Heal, Recent},
    journal::{Fence, JournalFault},
};
use redis::Value;

use super::{RedisJournal, RedisStore, wire, wire::Wire};

/// Writes what is missing. If the fence is not where it was found nothing is written: whoever asked
/// reads it and decides.
pub(super) fn give_back(
    store: &RedisStore,
    wire: &mut Wire,
    heal: &Heal,
) -> Result<(), JournalFault> {
    let journal = RedisJournal::new(store.clone());
    journal.check_types(wire)?;
    let mut expected = heal.found;
    let mut base = heal.base;
    for (after, jobs) in heal.pieces() {
        wire.call(redis::cmd("WATCH").arg(&store.keys.fence))?;
        let found = wire::fence(&wire.call(&wire::read_fence(&store.keys.fence))?)?;
        if found != expected {
            return let_go(wire);
        }
        // a list that is replaced need not fit the fence
        if base.is_none()
            && let Err(unlike) = journal.check_list(wire, &found)?
        {
            return Err(unlike);
        }
        push(store, wire, base.take(), jobs, &after)?;
        expected = after;
    }
    Ok(())
}

/// A transaction of nothing lets go of what is watched.
fn let_go(wire: &mut Wire) -> Result<(), JournalFault> {
    wire.call(&redis::cmd("MULTI"))?;
    wire.call(&redis::cmd("DISCARD")).map(drop)
}

fn push(
    store: &RedisStore,
    wire: &mut Wire,
    base: Option<Seq>,
    jobs: &[Recent],
    after: &Fence,
) -> Result<(), JournalFault> {
    let keys = &store.keys;
    wire.call(&redis::cmd("MULTI"))?;
    if let Some(base) = base {
        wire.call(redis::cmd("UNLINK").arg(&keys.journal))?;
        wire.call(redis::cmd("HSET").arg(&keys.pos).arg("base").arg(base.0))?;
    }
    if !jobs.is_empty() {
        let mut push = redis::cmd("RPUSH");
        push.arg(&keys.journal);
        for Recent { job, .. } in jobs {
            push.arg(&job[..]);
        }
        wire.call(&push)?;
    }
    wire.call(redis::cmd("HSET").arg(&keys.fence).arg(&[
        ("term", after.term.0),
        ("nonce", after.nonce.0),
        ("seq", after.seq.0),
        ("epoch", after.epoch.0),
        ("events", after.events),
    ]))?;
    match wire.call(&redis::cmd("EXEC"))? {
        Value::Array(results) if results.iter().all(|result| matches!(result, Value::Int(_))) => {
            Ok(())
        }
        Value::Nil => Err(JournalFault::new("the fence moved while flights were given back")),
        other => Err(JournalFault::new(format!("EXEC answered {other:?}"))),
    }
}
