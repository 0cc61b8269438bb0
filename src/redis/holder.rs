//! The holder's mark: a hash that expires.

use errsift_ops::id::{Nonce, Term};
use errsift_pipeline::ports::{
    holder::{Beat, Holder, MARK_MAX, Place},
    journal::{Backlog as _, JournalFault},
};
use redis::Script;

use super::RedisBacklog;

/// The mark's fields, in the order in which they are written and read.
const FIELDS: [&str; 6] = ["term", "nonce", "host", "pid_space", "pid", "started"];

/// Writes the mark for ARGV[1] ms if the fence is still the holder's.
const BEAT: &str = r"
local fence = redis.call('HMGET', KEYS[1], 'term', 'nonce')
if fence[1] ~= ARGV[2] or fence[2] ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[2], 'term', ARGV[2], 'nonce', ARGV[3], 'host', ARGV[4],
  'pid_space', ARGV[5], 'pid', ARGV[6], 'started', ARGV[7])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1
";

/// Takes the mark away if it is the holder's.
const RELEASE: &str = r"
local mark = redis.call('HMGET', KEYS[1], 'term', 'nonce')
if mark[1] == ARGV[1] and mark[2] == ARGV[2] then redis.call('UNLINK', KEYS[1]) end
return 1
";

/// See [`Backlog::beat`](errsift_pipeline::ports::journal::Backlog::beat).
pub fn beat(backlog: &mut RedisBacklog, mark: &Holder) -> Result<Beat, JournalFault> {
    let script = Script::new(BEAT);
    let mark_ms = u64::try_from(MARK_MAX.as_millis()).unwrap_or(u64::MAX);
    let Holder { term, nonce, place } = mark;
    let held: bool = backlog.ask(|connection, keys| {
        let mut call = script.prepare_invoke();
        call.key(&keys.fence).key(&keys.holder).arg(mark_ms).arg(term.0).arg(nonce.0);
        call.arg(&place.host).arg(&place.pid_space).arg(place.pid).arg(place.started);
        call.invoke(connection)
    })?;
    if held { Ok(Beat::Held) } else { Ok(Beat::Fenced(backlog.fence()?)) }
}

/// See [`Backlog::holder`](errsift_pipeline::ports::journal::Backlog::holder).
pub fn read(backlog: &mut RedisBacklog) -> Result<Option<Holder>, JournalFault> {
    let fields: Vec<Option<String>> = backlog.ask(|connection, keys| {
        redis::cmd("HMGET").arg(&keys.holder).arg(&FIELDS).query(connection)
    })?;
    let text = |at: usize| fields.get(at).cloned().flatten().unwrap_or_default();
    // whoever has written something else there holds nothing
    let Ok(term) = text(0).parse() else { return Ok(None) };
    let place = Place {
        host: text(2),
        pid_space: text(3),
        pid: text(4).parse().unwrap_or_default(),
        started: text(5).parse().unwrap_or_default(),
    };
    let nonce = Nonce(text(1).parse().unwrap_or_default());
    Ok(Some(Holder { term: Term(term), nonce, place }))
}

/// See [`Backlog::release`](errsift_pipeline::ports::journal::Backlog::release).
pub fn release(backlog: &mut RedisBacklog, mark: &Holder) -> Result<(), JournalFault> {
    let script = Script::new(RELEASE);
    backlog.ask(|connection, keys| {
        let mut call = script.prepare_invoke();
        call.key(&keys.holder).arg(mark.term.0).arg(mark.nonce.0).invoke(connection)
    })
}
