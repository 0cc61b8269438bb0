//! How the sentinels stand, and whether a failover keeps what was acknowledged.

use errsift_pipeline::ports::journal::JournalFault;

use super::{
    RedisStore,
    check::setting,
    sentinel::{Node, Sentinels, Sighting},
    wire::Wire,
};
use crate::{
    check::{Check, Verdict},
    durability::Durability,
};

/// Other sentinels that one must know: of two, none is a majority without the other.
const OTHERS: u64 = 2;

/// A line for each sentinel, and what the master is set to; nothing without sentinels.
pub(super) fn check(store: &RedisStore, wire: &mut Wire) -> Result<Vec<Check>, JournalFault> {
    let (Some(sentinels), Some(master)) = (&store.sentinels, wire.node.clone()) else {
        return Ok(Vec::new());
    };
    let mut checks = Vec::new();
    let mut replicas = 0;
    for (sentinel, answer) in sentinels.ask() {
        if let Ok(found) = &answer {
            replicas = replicas.max(found.replicas);
        }
        checks.push(stand(sentinels, &sentinel, &master, answer));
    }
    checks.push(known_replicas(replicas, &master));
    let wanted = setting(wire, "min-replicas-to-write")?;
    checks.push(min_replicas(store.demand.durability, wanted));
    Ok(checks)
}

fn stand(
    sentinels: &Sentinels,
    sentinel: &Node,
    master: &Node,
    answer: Result<Sighting, String>,
) -> Check {
    let name = "sentinel";
    let found = match answer {
        Ok(found) => found,
        Err(reason) => {
            let remedy = "start it, or take it out of --redis-url";
            return Check::new(name, format!("{sentinel}, {reason}"), Verdict::Weaker, remedy);
        }
    };
    let Sighting { node, epoch, others, quorum, .. } = found;
    let value =
        format!("{sentinel}, master {node}, epoch {epoch}, {others} others, quorum {quorum}");
    let well = node == *master && others >= OTHERS;
    let verdict = if well { Verdict::Ok } else { Verdict::Weaker };
    let remedy = if node == *master {
        "a majority must be left when one is gone: run three sentinels".to_owned()
    } else {
        let name = sentinels.name();
        format!("it is behind: see its log, and SENTINEL CKQUORUM {name}")
    };
    Check::new(name, value, verdict, remedy)
}

fn known_replicas(replicas: u64, master: &Node) -> Check {
    let verdict = if replicas > 0 { Verdict::Ok } else { Verdict::Weaker };
    let Node { host, port } = master;
    let remedy =
        format!("nobody could follow the master; on another server: REPLICAOF {host} {port}");
    Check::new("sentinel replicas", replicas.to_string(), verdict, remedy)
}

/// With `replicated` nothing is acknowledged that only a master has which is cut off.
fn min_replicas(durability: Durability, value: Option<String>) -> Check {
    let verdict = match value.as_deref() {
        _ if durability == Durability::Replicated => Verdict::Ok,
        None => Verdict::Unknown,
        Some("0") => Verdict::Weaker,
        Some(_) => Verdict::Ok,
    };
    let remedy = match verdict {
        Verdict::Unknown => "allow CONFIG GET",
        _ => {
            "a master that is cut off keeps taking events, which are lost: ask for --durability \
             replicated, or CONFIG SET min-replicas-to-write 1, then CONFIG REWRITE"
        }
    };
    Check::new("min-replicas-to-write", value.unwrap_or_default(), verdict, remedy)
}

#[cfg(test)]
mod tests {
    use redis::RedisConnectionInfo;

    use super::{super::sentinel::Way, *};

    fn node(port: u16) -> Node {
        Node { host: "h".to_owned(), port }
    }

    #[test]
    fn a_sentinel_answers_agrees_and_is_not_alone() {
        let way = Way { own: RedisConnectionInfo::default(), certificates: None };
        let sentinels = Sentinels::new(Vec::new(), "m".to_owned(), way);
        let stand = |answer| stand(&sentinels, &node(1), &node(2), answer);
        let found = |port, others| {
            Ok(Sighting { node: node(port), epoch: 3, replicas: 1, others, quorum: 2 })
        };
        let well = stand(found(2, 2));
        assert_eq!(well.value, "h:1, master h:2, epoch 3, 2 others, quorum 2");
        assert_eq!(well.verdict, Verdict::Ok);
        let behind = stand(found(9, 2));
        assert_eq!(behind.verdict, Verdict::Weaker);
        assert!(behind.remedy.ends_with("SENTINEL CKQUORUM m"), "{}", behind.remedy);
        assert_eq!(stand(found(2, 1)).verdict, Verdict::Weaker);
        assert_eq!(stand(Err("gone".to_owned())).verdict, Verdict::Weaker);
    }

    #[test]
    fn a_master_that_is_cut_off_must_stop_or_not_matter() {
        let judge = |durability, value: Option<&str>| {
            min_replicas(durability, value.map(str::to_owned)).verdict
        };
        assert_eq!(judge(Durability::Fsync, Some("0")), Verdict::Weaker);
        assert_eq!(judge(Durability::Fsync, Some("1")), Verdict::Ok);
        assert_eq!(judge(Durability::Fsync, None), Verdict::Unknown);
        assert_eq!(judge(Durability::Replicated, Some("0")), Verdict::Ok);
    }
}
