//! Keeping to the master: a node must be one when it is connected to, and is let go when the
//! sentinels name another.
//!
//! A master that is cut off does not know that it was replaced, and takes writes that will be lost.
//! Waiting for it to hang up would be waiting for the network to be mended.

use std::{
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use errsift_pipeline::ports::journal::JournalFault;
use redis::Value;

use super::{
    RedisStore,
    link::{Link, spawn},
    sentinel::{Node, Sentinels},
    wire::{Wire, describe},
};

/// How often the sentinels are asked while all is well.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Refuses the ROLE of anything but a master.
pub(super) fn demand_master(role: &Value) -> Result<(), JournalFault> {
    match role {
        Value::ServerError(error) => Err(JournalFault::new(describe(error))),
        Value::Array(words) => match words.first() {
            Some(Value::BulkString(word)) if word == b"master" => Ok(()),
            _ => Err(JournalFault::new("not the master any more, or not yet")),
        },
        _ => Err(JournalFault::new("ROLE is not told")),
    }
}

/// Says of which node a fault to connect is, and doubts the sentinels' answer.
pub(super) fn named(store: &RedisStore, node: Option<&Node>, fault: JournalFault) -> JournalFault {
    let (Some(sentinels), Some(node)) = (&store.sentinels, node) else { return fault };
    sentinels.doubt(node);
    JournalFault::new(format!("{node}: {}", fault.reason))
}

/// Closes `link`, which lies over `wire`, when the sentinels name another master. Without sentinels
/// it does nothing.
pub(super) fn masters(
    store: &RedisStore,
    wire: &Wire,
    link: &Arc<Link>,
) -> Result<(), JournalFault> {
    let (Some(sentinels), Some(node)) = (&store.sentinels, &wire.node) else { return Ok(()) };
    let (sentinels, node, link) = (Arc::clone(sentinels), node.clone(), Arc::downgrade(link));
    spawn(move || follow(&sentinels, &node, &link))
}

fn follow(sentinels: &Sentinels, node: &Node, link: &Weak<Link>) {
    loop {
        thread::sleep(ASK_EVERY);
        if !link.upgrade().is_some_and(|link| link.is_open()) {
            return;
        }
        // sentinels that do not answer say nothing against the master
        let Ok(found) = sentinels.master() else { continue };
        if found != *node
            && let Some(link) = link.upgrade()
        {
            tracing::warn!(old = %node, new = %found, "letting go of a master that was replaced");
            return link.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_master_is_a_master() {
        let role = |words: &str| redis::parse_redis_value(words.as_bytes()).unwrap();
        assert!(demand_master(&role("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n")).is_ok());
        assert!(demand_master(&role("*2\r\n$5\r\nslave\r\n$1\r\na\r\n")).is_err());
        assert!(demand_master(&role("*1\r\n$8\r\nsentinel\r\n")).is_err());
        let denied = demand_master(&role("-NOPERM no permission for 'role'\r\n")).unwrap_err();
        assert!(denied.reason.starts_with("NOPERM"), "{denied}");
    }
}
