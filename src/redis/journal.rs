//! The writing end: taking the shard, commits, and what follows a lost connection.

use std::sync::Arc;

use errsift_ops::id::Nonce;
use errsift_pipeline::ports::{
    heal::Heal,
    journal::{
        Acquired, Armed, Commit, CommitDone, CommitFault, Fence, FenceDone, Journal, JournalFault,
        NUMBER_MAX, Progress,
    },
};
use redis::Value;

use super::{
    RedisStore, check, commit, heal,
    link::{Due, Link},
    wire::{self, Wire},
};
use crate::durability::Durability;

/// Times that taking the shard is tried again because somebody else was quicker.
const ACQUIRE_TRIES: usize = 1_000;

/// How one try at the shard ended.
enum Try {
    /// It is ours.
    Taken(Acquired),
    /// The fence changed between reading and writing it: its writer is at work.
    Overtaken,
    /// List and fence do not fit each other. Its writer may have committed or trimmed between our
    /// looks; only what stands still is damage.
    Unlike(JournalFault),
}

/// The writing end of a shard's journal on Redis.
pub struct RedisJournal {
    store: RedisStore,
    link: Option<Arc<Link>>,
}

impl RedisJournal {
    pub(super) fn new(store: RedisStore) -> Self {
        Self { store, link: None }
    }

    /// Ends the connection that there is: what it may still hear is nobody's any more.
    fn let_go(&mut self) {
        if let Some(link) = self.link.take() {
            link.close();
        }
    }

    /// Makes a new connection; the one before may still be open, when the fence has moved.
    fn dial(
        &mut self,
        prepare: impl FnOnce(&RedisStore, &mut Wire) -> Result<(), JournalFault> + Send + 'static,
        done: FenceDone,
    ) {
        self.let_go();
        self.link = Some(Link::dial(self.store.clone(), prepare, done));
    }

    /// One try.
    fn take(&self, wire: &mut Wire, nonce: Nonce, at_least: Progress) -> Result<Try, JournalFault> {
        let keys = &self.store.keys;
        wire.call(redis::cmd("WATCH").arg(&keys.fence))?;
        let before = wire::fence(&wire.call(&wire::read_fence(&keys.fence))?)?;
        if let Err(unlike) = self.check_list(wire, &before)? {
            // a transaction of nothing lets go of what is watched
            wire.call(&redis::cmd("MULTI"))?;
            wire.call(&redis::cmd("DISCARD"))?;
            return Ok(Try::Unlike(unlike));
        }
        let behind = at_least.leaves_behind(&before);
        let after = at_least.taken(&before, nonce)?;
        wire.call(&redis::cmd("MULTI"))?;
        wire.call(redis::cmd("HSET").arg(&keys.fence).arg(&[
            ("term", after.term.0),
            ("nonce", after.nonce.0),
            ("seq", after.seq.0),
            ("epoch", after.epoch.0),
            ("events", after.events),
        ]))?;
        if behind {
            let (journal, tables) = (before.seq.0, at_least.seq.0);
            // an empty Redis is what a move begins with
            if journal == 0 {
                tracing::warn!(tables, "journal is new, going on from the tables");
            } else {
                tracing::error!(
                    journal,
                    tables,
                    "journal is behind the tables, going on from the tables"
                );
            }
            wire.call(redis::cmd("UNLINK").arg(&keys.journal))?;
            wire.call(redis::cmd("HSET").arg(&keys.pos).arg("base").arg(after.seq.next().0))?;
        }
        if matches!(wire.call(&redis::cmd("EXEC"))?, Value::Nil) {
            return Ok(Try::Overtaken);
        }
        wire.call(redis::cmd("WATCH").arg(&keys.fence))?;
        let found = wire::fence(&wire.call(&wire::read_fence(&keys.fence))?)?;
        Ok(match Armed::verify(&after, found) {
            Ok(armed) => Try::Taken(Acquired { armed, before }),
            Err(_) => Try::Overtaken,
        })
    }

    /// Commits and trims keep fence and list together: if they differ, somebody else has changed
    /// the keys, and going on would number new flights like old ones or trim the wrong jobs.
    pub(super) fn check_list(
        &self,
        wire: &mut Wire,
        fence: &Fence,
    ) -> Result<Result<(), JournalFault>, JournalFault> {
        let keys = &self.store.keys;
        let jobs = wire.call(redis::cmd("LLEN").arg(&keys.journal))?;
        let jobs: u64 = redis::from_redis_value(jobs).map_err(JournalFault::new)?;
        let base = wire.call(redis::cmd("HGET").arg(&keys.pos).arg("base"))?;
        let base: Option<String> = redis::from_redis_value(base).map_err(JournalFault::new)?;
        let base = base.unwrap_or_else(|| "1".to_owned());
        let Some(base) = base.parse().ok().filter(|base| (1..NUMBER_MAX).contains(base)) else {
            return Err(JournalFault::new(format!(
                "key {}: base is {}, not the number of a flight; restore it, or choose another \
                 --shard",
                keys.pos,
                base.escape_debug()
            )));
        };
        if fence.seq.0.checked_add(1) == Some(base + jobs) {
            return Ok(Ok(()));
        }
        Ok(Err(JournalFault::new(format!(
            "redis keys {}:* have been changed: the list holds {jobs} jobs from flight {base} on, \
             and the fence says that {} was the last; restore them, or choose another --shard",
            keys.prefix, fence.seq
        ))))
    }

    /// A key of another type would let half of a commit through.
    pub(super) fn check_types(&self, wire: &mut Wire) -> Result<(), JournalFault> {
        let keys = &self.store.keys;
        for (key, expected) in [
            (&keys.fence, "hash"),
            (&keys.journal, "list"),
            (&keys.pos, "hash"),
            (&keys.ids, "list"),
            (&keys.dead, "list"),
        ] {
            let found = wire.call(redis::cmd("TYPE").arg(key))?;
            let found: String = redis::from_redis_value(found).map_err(JournalFault::new)?;
            if found != "none" && found != expected {
                return Err(JournalFault::new(format!("key {key} is a {found}, not a {expected}")));
            }
        }
        Ok(())
    }
}

impl Journal for RedisJournal {
    fn acquire(&mut self, nonce: Nonce, at_least: Progress) -> Result<Acquired, JournalFault> {
        let mut wire = Wire::connect(&self.store)?;
        check::demand(&self.store, &mut wire)?;
        self.check_types(&mut wire)?;
        let mut unlike = None;
        for _ in 0..ACQUIRE_TRIES {
            match self.take(&mut wire, nonce, at_least)? {
                Try::Taken(acquired) => {
                    // or a failover would take the term back, and with it the fence
                    commit::demand_replicated(&self.store, &mut wire)?;
                    self.let_go();
                    let link = Link::over(wire, *acquired.armed.fence(), &self.store)?;
                    self.link = Some(link);
                    return Ok(acquired);
                }
                Try::Overtaken => unlike = None,
                Try::Unlike(fault) if unlike.as_ref() == Some(&fault.reason) => return Err(fault),
                Try::Unlike(fault) => unlike = Some(fault.reason),
            }
        }
        Err(JournalFault::new("others keep taking this shard"))
    }

    fn commit(&mut self, commit: Commit, done: CommitDone) {
        // WATCH guards against changes since it was armed; permission from before that is stale
        if let Some(found) = self.link.as_ref().and_then(|link| link.watched())
            && found != *commit.armed.fence()
        {
            return done(Err(CommitFault::Moved { found }));
        }
        let (bytes, expected) =
            commit::encode(&self.store.keys, &commit, self.store.demand.durability);
        match &self.link {
            Some(link) => link.send(&bytes, Due::Commit(expected, done)),
            None => {
                done(Err(CommitFault::Refused { reason: "not connected".to_owned(), armed: None }));
            }
        }
    }

    fn confirm(&mut self, armed: Armed, done: CommitDone) {
        match &self.link {
            _ if self.store.demand.durability != Durability::Replicated => done(Ok(armed)),
            Some(link) => {
                link.send(&commit::wait_command().get_packed_command(), Due::Waited(armed, done));
            }
            None => done(Err(CommitFault::Unknown { reason: "not connected".to_owned() })),
        }
    }

    fn rearm(&mut self, done: FenceDone) {
        self.dial(|_, _| Ok(()), done);
    }

    fn heal(&mut self, heal: Heal, done: FenceDone) {
        self.dial(move |store, wire| heal::give_back(store, wire, &heal), done);
    }
}
