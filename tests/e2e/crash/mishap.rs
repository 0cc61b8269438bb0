//! What a row does to its stores so that a point is met.

use std::collections::BTreeMap;

use redis::{Connection as RedisConnection, RedisResult, Script};
use rusqlite::Connection;

use crate::support::{mariadb::Mariadb, redis::Redis};

const FENCE: &str = "{es:0}:fence";
const JOURNAL: &str = "{es:0}:journal";
const POSITION: &str = "{es:0}:pos";

/// Only a list that begins where it began, and has grown, is cut to what it had, and its fence set
/// back.
const BACK: &str = r"
if (redis.call('HGET', KEYS[3], 'base') or '') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[2] then return 0 end
if redis.call('LLEN', KEYS[2]) <= tonumber(ARGV[3]) then return 0 end
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[3]) - 1)
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
return 1
";

/// Has Redis close every connection but the one that says so.
pub fn drop_connections(redis: &Redis) {
    let mut kill = redis::cmd("CLIENT");
    kill.arg("KILL").arg("TYPE").arg("normal");
    let killed: RedisResult<i64> = kill.query(&mut redis.connection());
    killed.expect("CLIENT KILL");
}

/// Locks on the tables; dropped, they are free.
pub enum Held {
    Mariadb { _connection: mysql_async::Conn },
    File { _connection: Connection },
}

impl Held {
    pub fn on_mariadb(mariadb: &Mariadb, database: &str) -> Self {
        let lock = ["START TRANSACTION", "SELECT * FROM applied_epochs FOR UPDATE"];
        Self::Mariadb { _connection: mariadb.hold(database, &lock) }
    }

    pub fn on_file(file: Connection) -> Self {
        file.busy_timeout(std::time::Duration::from_secs(5)).expect("a file");
        file.execute_batch("BEGIN IMMEDIATE").expect("a lock");
        Self::File { _connection: file }
    }
}

/// Redis goes back once: what it lost a second time, before the process dies, nobody could give it.
#[derive(Default)]
pub enum Journey {
    #[default]
    Fresh,
    Kept(Copy),
    Back,
}

impl Journey {
    /// Keeps a copy; the next time, has Redis lose what it was given since then.
    pub fn go_on(&mut self, redis: &Redis) {
        *self = match std::mem::take(self) {
            Self::Fresh => Copy::of(redis).map_or(Self::Fresh, Self::Kept),
            Self::Kept(copy) => {
                if copy.restore(redis) {
                    Self::Back
                } else {
                    Self::Fresh
                }
            }
            Self::Back => Self::Back,
        }
    }
}

/// How a journal on Redis stood.
pub struct Copy {
    base: String,
    jobs: u64,
    fence: BTreeMap<String, String>,
}

impl Copy {
    /// `None` while there is no job: nothing would be lost.
    fn of(redis: &Redis) -> Option<Self> {
        let connection = &mut redis.connection();
        let mut ask = redis::pipe();
        ask.atomic().cmd("HGET").arg(POSITION).arg("base");
        ask.cmd("LLEN").arg(JOURNAL).cmd("HGETALL").arg(FENCE);
        let (base, jobs, fence): (Option<String>, u64, _) =
            ask.query(connection).expect("Redis answers");
        (jobs > 0).then(|| Self { base: base.unwrap_or_default(), jobs, fence })
    }

    /// `false` if it has been trimmed since, or another writer has come, or nothing would be lost.
    fn restore(self, redis: &Redis) -> bool {
        let script = Script::new(BACK);
        let mut call = script.prepare_invoke();
        call.key(FENCE).key(JOURNAL).key(POSITION).arg(self.base);
        call.arg(self.fence.get("nonce").cloned()).arg(self.jobs);
        for (field, value) in self.fence {
            call.arg(field).arg(value);
        }
        let mut connection: RedisConnection = redis.connection();
        call.invoke(&mut connection).expect("Redis answers")
    }
}
