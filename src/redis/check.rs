//! Whether Redis's settings keep what is promised.

use errsift_pipeline::ports::journal::JournalFault;
use redis::Value;

use super::{RedisStore, wire::Wire};
use crate::{
    check::{Check, Verdict},
    durability::Durability,
};

/// A setting that matters, its good values, and the levels of durability at which it does.
struct Wanted {
    setting: &'static str,
    good: &'static [&'static str],
    levels: &'static [Durability],
    remedy: &'static str,
}

use Durability::{Everysec, Fsync, Memory, Replicated};

const WANTED: [Wanted; 5] = [
    Wanted {
        setting: "appendonly",
        good: &["yes"],
        levels: &[Fsync, Everysec],
        remedy: "CONFIG SET appendonly yes",
    },
    Wanted {
        setting: "appendfsync",
        good: &["always"],
        levels: &[Fsync],
        remedy: "CONFIG SET appendfsync always",
    },
    Wanted {
        setting: "appendfsync",
        good: &["always", "everysec"],
        levels: &[Everysec],
        remedy: "CONFIG SET appendfsync everysec",
    },
    Wanted {
        setting: "no-appendfsync-on-rewrite",
        good: &["no"],
        levels: &[Fsync],
        remedy: "CONFIG SET no-appendfsync-on-rewrite no",
    },
    Wanted {
        setting: "maxmemory-policy",
        good: &["noeviction", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"],
        levels: &[Fsync, Replicated, Everysec, Memory],
        remedy: "CONFIG SET maxmemory-policy noeviction",
    },
];

/// Reads every setting that matters at the configured durability.
pub fn check(store: &RedisStore) -> Result<Vec<Check>, JournalFault> {
    findings(store.durability, &mut Wire::connect(store)?)
}

fn findings(durability: Durability, wire: &mut Wire) -> Result<Vec<Check>, JournalFault> {
    let mut findings = Vec::new();
    for wanted in WANTED.iter().filter(|wanted| wanted.levels.contains(&durability)) {
        let value = read(wire, wanted.setting)?;
        let verdict = match &value {
            Some(value) if wanted.good.contains(&value.as_str()) => Verdict::Ok,
            Some(_) => Verdict::Weaker,
            None => Verdict::Unknown,
        };
        findings.push(Check::new(
            wanted.setting,
            value.unwrap_or_default(),
            verdict,
            wanted.remedy,
        ));
    }
    Ok(findings)
}

/// One setting's value; `None` if the server does not tell (CONFIG is often taken away).
fn read(wire: &mut Wire, setting: &str) -> Result<Option<String>, JournalFault> {
    use std::io::Write;
    let command = redis::cmd("CONFIG").arg("GET").arg(setting).get_packed_command();
    wire.writer.write_all(&command).map_err(JournalFault::new)?;
    Ok(match wire.answer()? {
        Value::Array(pair) => match &pair[..] {
            [_, Value::BulkString(value)] => Some(String::from_utf8_lossy(value).into_owned()),
            _ => None,
        },
        _ => None,
    })
}

/// Refuses a server whose settings are weaker than asked, or cannot be read, unless that was
/// allowed; then it says so in the log.
pub(super) fn demand(store: &RedisStore, wire: &mut Wire) -> Result<(), JournalFault> {
    for found in findings(store.durability, wire)? {
        let Check { name: setting, value, verdict, remedy } = found;
        match verdict {
            Verdict::Ok => {}
            Verdict::Weaker | Verdict::Wrong | Verdict::Unknown if store.allow_weaker => {
                tracing::warn!(setting, %value, durability = %store.durability, "redis is weaker than asked, as allowed");
            }
            Verdict::Weaker | Verdict::Wrong => {
                return Err(JournalFault::new(format!(
                    "redis has {setting} {value}, too weak for durability {}: {remedy}, or ask for \
                     less with --durability, or start with --allow-weaker",
                    store.durability
                )));
            }
            Verdict::Unknown => {
                return Err(JournalFault::new(format!(
                    "redis does not tell {setting}, so durability {} cannot be checked: allow \
                     CONFIG GET, or start with --allow-weaker",
                    store.durability
                )));
            }
        }
    }
    Ok(())
}
