//! The journal on a real Redis.

use std::{cell::Cell, rc::Rc};

use errsift::{durability::Durability, redis::RedisStore};
use errsift_ops::id::{Nonce, Seq, Shard};
use errsift_pipeline::{
    conformance::{
        self,
        journal::{Store, acquire, commit, job},
    },
    ports::{
        heal::{Heal, Recent},
        journal::{Backlog, CommitFault, Fence, Journal, Progress},
    },
};
use redis::Commands;

use crate::support::redis::Redis;

/// A shard of its own on a server that others use too.
struct Fresh(RedisStore);

impl Store for Fresh {
    fn journal(&self) -> Box<dyn Journal> {
        Box::new(self.0.journal())
    }

    fn backlog(&self) -> Box<dyn Backlog> {
        Box::new(self.0.backlog())
    }
}

fn store(server: &Redis, shard: u16) -> RedisStore {
    RedisStore::new(&server.url(), Shard(shard), Durability::Fsync, false).unwrap()
}

#[test]
fn redis_keeps_the_contract() {
    let server = Rc::new(Redis::start());
    let shards = Cell::new(0);
    conformance::journal::every(&|| {
        shards.set(shards.get() + 1);
        Box::new(Fresh(store(&server, shards.get())))
    });
}

#[test]
fn a_full_redis_refuses_and_arms_again() {
    let server = Redis::start();
    let mut journal = store(&server, 0).journal();
    let taken = acquire(&mut journal, 1);
    let mut admin = server.connection();
    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).exec(&mut admin).unwrap();
    let refused = commit(&mut journal, taken.armed, 50, &job(1));
    let Err(CommitFault::Refused { reason, armed: Some(armed) }) = refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("EXECABORT") || reason.contains("OOM"), "{reason}");
    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "0"]).exec(&mut admin).unwrap();
    commit(&mut journal, armed, 50, &job(1)).unwrap();
    let jobs: Vec<Vec<u8>> = admin.lrange("{es:0}:journal", 0, -1).unwrap();
    assert_eq!(jobs, [job(1).to_vec()]);
}

#[test]
fn a_key_of_another_kind_is_refused_at_once() {
    let server = Redis::start();
    let () = server.connection().set("{es:0}:journal", "not a list").unwrap();
    let fault = store(&server, 0).journal().acquire(Nonce(1), Progress::default()).unwrap_err();
    assert!(fault.reason.contains("{es:0}:journal is a string, not a list"), "{fault}");
}

#[test]
fn a_redis_that_is_killed_loses_nothing_and_an_unanswered_flight_is_settled() {
    let mut server = Redis::start();
    let mut journal = store(&server, 0).journal();
    let mut armed = acquire(&mut journal, 1).armed;
    for seq in 1..=20 {
        armed = commit(&mut journal, armed, 50, &job(seq)).unwrap();
    }
    let before = *armed.fence();
    server.process.kill_9();
    let lost = commit(&mut journal, armed, 50, &job(21));
    assert!(
        matches!(lost, Err(CommitFault::Unknown { .. } | CommitFault::Refused { armed: None, .. })),
        "{lost:?}"
    );
    server.process.restart();
    assert_eq!(store(&server, 0).backlog().fence().unwrap(), before);
    let page = store(&server, 0).backlog().page(errsift_ops::id::Seq(1), 99).unwrap();
    assert_eq!(page.jobs.len(), 20);
}

#[test]
fn a_weaker_redis_is_refused_unless_that_is_allowed() {
    let server = Redis::start_with(&["--appendfsync", "everysec"]);
    let take = |durability, allow_weaker| {
        let store = RedisStore::new(&server.url(), Shard(0), durability, allow_weaker).unwrap();
        store.journal().acquire(Nonce(1), Progress::default())
    };
    let fault = take(Durability::Fsync, false).unwrap_err();
    assert!(fault.reason.contains("= everysec"), "{fault}");
    assert!(fault.reason.contains("CONFIG SET appendfsync always"), "{fault}");
    take(Durability::Fsync, true).unwrap();
    take(Durability::Everysec, false).unwrap();
}

/// Going on with it would put the flights where they do not belong.
#[test]
fn a_list_that_does_not_fit_its_fence_is_not_healed() {
    let server = Redis::start();
    let mut journal = store(&server, 0).journal();
    let armed = acquire(&mut journal, 1).armed;
    let found = *commit(&mut journal, armed, 50, &job(1)).unwrap().fence();
    let mut admin = server.connection();
    let () = admin.del("{es:0}:journal").unwrap();
    let after = Fence { seq: Seq(2), events: 2, ..found };
    let jobs = vec![Recent { after, job: job(2) }];
    let (done, ended) = std::sync::mpsc::channel();
    let heal = Heal { found, after, base: None, jobs };
    journal.heal(heal, Box::new(move |read| drop(done.send(read))));
    let fault = ended.recv().unwrap().unwrap_err();
    assert!(fault.reason.contains("{es:0}:* have been changed"), "{fault}");
    assert_eq!(store(&server, 0).backlog().fence().unwrap(), found);
}
