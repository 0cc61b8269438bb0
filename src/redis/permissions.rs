//! Whether Redis's user may do all that a shard needs.
//!
//! The smallest such user, for all shards (`+wait` only for `--durability replicated`, `+select`
//! only for a database other than 0, `+role` only where there are sentinels):
//!
//! ```text
//! ACL SETUSER errsift on >PASSWORD ~{es:*}:* +watch +exec +multi +discard +rpush +hset +hget
//!     +hmget +hincrby +llen +lrange +lset +ltrim +unlink +type +evalsha +script|load +pexpire
//!     +config|get +info +memory|usage +hscan +lrem
//! ```
//!
//! The last five are for looking, at the server's settings, at the journal's size, and for
//! `errsift journal verify`; and for jobs that were set aside, which can be dropped. Commits need
//! none of them.
//!
//! Each command is tried. Redis checks permissions when it queues a command for a transaction, so
//! they are queued with the real keys and the transaction is discarded: nothing is executed.

use std::io::Write;

use errsift_ops::id::Epoch;
use errsift_pipeline::ports::journal::JournalFault;
use redis::{Cmd, ServerErrorKind, Value};

use super::{Keys, RedisStore, check::ask, commit, wire::Wire};
use crate::{
    check::{Check, Verdict},
    durability::Durability,
};

const NAME: &str = "permissions";

/// A command as an ACL names it, one use of it, and whether it has keys.
struct Tried {
    name: &'static str,
    command: Cmd,
    keyed: bool,
}

fn tried(name: &'static str, keyed: bool, arguments: &[&str]) -> Tried {
    let mut command = Cmd::new();
    for word in name.split('|') {
        command.arg(word);
    }
    command.arg(arguments);
    Tried { name, command, keyed }
}

/// What a transaction may hold. Of `db`, 0 needs no SELECT.
fn queued(store: &RedisStore) -> Vec<Tried> {
    let Keys { fence, journal, pos, holder, .. } = &*store.keys;
    let pending = store.keys.pending(Epoch(0));
    let digest = "0".repeat(40);
    let mut all = vec![
        tried("rpush", true, &[journal, ""]),
        tried("hset", true, &[fence, "seq", "0"]),
        tried("hget", true, &[pos, "base"]),
        tried("hmget", true, &[fence, "seq"]),
        tried("hincrby", true, &[&pending, "", "1"]),
        tried("llen", true, &[journal]),
        tried("lrange", true, &[journal, "0", "0"]),
        tried("lset", true, &[journal, "0", ""]),
        tried("ltrim", true, &[journal, "0", "-1"]),
        tried("unlink", true, &[&pending]),
        tried("type", true, &[journal]),
        tried("evalsha", true, &[&digest, "1", fence]),
        tried("script|load", false, &["return 1"]),
        tried("pexpire", true, &[holder, "1"]),
    ];
    if store.demand.durability == Durability::Replicated {
        let mut wait = tried("wait", false, &[]);
        wait.command = commit::wait_command();
        all.push(wait);
    }
    let db = store.client.get_connection_info().redis_settings().db();
    if db != 0 {
        all.push(tried("select", false, &[&db.to_string()]));
    }
    if store.sentinels.is_some() {
        all.push(tried("role", false, &[]));
    }
    all
}

/// What only looking takes, and dropping a dead job; without it a shard is served all the same.
fn looked(keys: &Keys) -> Vec<Tried> {
    vec![
        tried("config|get", false, &["appendonly"]),
        tried("info", false, &["server"]),
        tried("memory|usage", true, &[&keys.journal]),
        tried("hscan", true, &[&keys.pending(Epoch(0)), "0"]),
        tried("lrem", true, &[&keys.dead, "1", ""]),
    ]
}

/// Tries all that a commit and apply need, and if `looking` what looking takes too. Leaves nothing
/// behind, on the connection neither.
pub(super) fn check(
    store: &RedisStore,
    wire: &mut Wire,
    looking: bool,
) -> Result<Check, JournalFault> {
    let info = store.client.get_connection_info().redis_settings();
    let user = info.username().unwrap_or("default");
    let mut denied = Vec::new();
    // an EXEC outside a transaction is an error in any case
    for tried in [tried("watch", true, &[&store.keys.fence]), tried("exec", false, &[])] {
        if is_denied(&ask(wire, &tried.command)?) {
            denied.push(tried.name);
        }
    }
    let mut all = queued(store);
    let needed = all.len();
    if looking {
        all.extend(looked(&store.keys));
    }
    // what follows a MULTI that was turned away would be executed
    if is_denied(&ask(wire, &redis::cmd("MULTI"))?) {
        denied.extend(["multi", "discard"]);
        denied.extend(all.iter().map(|tried| tried.name));
        return Ok(missing(user, &denied, true, Verdict::Wrong));
    }
    let mut bytes = Vec::new();
    for tried in &all {
        tried.command.write_packed_command(&mut bytes);
    }
    redis::cmd("DISCARD").write_packed_command(&mut bytes);
    wire.writer.write_all(&bytes).map_err(JournalFault::new)?;
    let mut no_key = true;
    let mut replica = false;
    let mut serves = denied.is_empty();
    for (at, tried) in all.iter().enumerate() {
        let answer = wire.answer()?;
        replica |= is_of_replica(&answer);
        let answer = is_denied(&answer);
        no_key &= answer || !tried.keyed;
        if answer {
            serves &= at >= needed;
            denied.push(tried.name);
        }
    }
    if is_denied(&wire.answer()?) {
        serves = false;
        denied.push("discard");
    }
    // looking is allowed, and tells the role by itself
    if replica && !looking {
        return Err(JournalFault::new("the server is a replica, not a master"));
    }
    if denied.is_empty() {
        return Ok(Check::new(NAME, format!("all, as {user}"), Verdict::Ok, ""));
    }
    let verdict = if serves { Verdict::Unknown } else { Verdict::Wrong };
    Ok(missing(user, &denied, no_key, verdict))
}

fn is_denied(answer: &Value) -> bool {
    let Value::ServerError(error) = answer else { return false };
    error.kind() == Some(ServerErrorKind::NoPerm)
}

fn is_of_replica(answer: &Value) -> bool {
    let Value::ServerError(error) = answer else { return false };
    matches!(error.kind(), Some(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}

/// If no command may touch the keys, they are not the user's; a user that has them already would
/// be refused them a second time.
fn missing(user: &str, denied: &[&str], no_key: bool, verdict: Verdict) -> Check {
    let keys = if no_key { "resetkeys ~{es:*}:* " } else { "" };
    let commands = denied.join(" +");
    let remedy = format!("ACL SETUSER {user} {keys}+{commands}, then ACL SAVE or CONFIG REWRITE");
    Check::new(NAME, format!("{user} without {}", denied.join(", ")), verdict, remedy)
}
