//! Whether Redis's settings keep what is promised.

use std::io::Write;

use errsift_pipeline::ports::journal::JournalFault;
use redis::{Cmd, FromRedisValue, InfoDict, Value};

use super::{RedisStore, commit::REPLICAS, permissions, quorum, wire::Wire};
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
        remedy: "CONFIG SET appendonly yes, then CONFIG REWRITE",
    },
    Wanted {
        setting: "appendfsync",
        good: &["always"],
        levels: &[Fsync],
        remedy: "CONFIG SET appendfsync always, then CONFIG REWRITE",
    },
    Wanted {
        setting: "appendfsync",
        good: &["always", "everysec"],
        levels: &[Everysec],
        remedy: "CONFIG SET appendfsync everysec, then CONFIG REWRITE",
    },
    Wanted {
        setting: "no-appendfsync-on-rewrite",
        good: &["no"],
        levels: &[Fsync],
        remedy: "CONFIG SET no-appendfsync-on-rewrite no, then CONFIG REWRITE",
    },
    Wanted {
        setting: "maxmemory-policy",
        good: &["noeviction", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"],
        levels: &[Fsync, Replicated, Everysec, Memory],
        remedy: "CONFIG SET maxmemory-policy noeviction, then CONFIG REWRITE",
    },
];

/// The oldest server that the commands and permissions are written for.
const OLDEST: (u32, u32) = (6, 2);

/// Memory in use, in percent of `maxmemory`, from which on commits may soon be refused.
const MEMORY_PERCENT_MAX: u64 = 90;

/// Judges every setting that matters at the configured durability, and how the server stands.
pub fn check(store: &RedisStore) -> Result<Vec<Check>, JournalFault> {
    let mut wire = Wire::connect(store)?;
    let encryption = wire.writer.encryption();
    let tls = encryption.unwrap_or_else(|| "none, the URL does not begin with rediss".to_owned());
    let mut checks = vec![Check::new("tls", tls, Verdict::Ok, "")];
    checks.extend(quorum::check(store, &mut wire)?);
    checks.extend(standing(store.demand.durability, &mut wire)?);
    checks.push(permissions::check(store, &mut wire, true)?);
    checks.extend(wanted(store.demand.durability, |name| get(&mut wire, name))?);
    Ok(checks)
}

/// Judges what people set.
pub fn settings(store: &RedisStore) -> Result<Vec<Check>, JournalFault> {
    let mut wire = Wire::connect(store)?;
    wanted(store.demand.durability, |name| get(&mut wire, name))
}

/// Refuses a server whose settings are weaker than asked, or cannot be read, unless that was
/// allowed, and a user without the permissions that commits need. Some of them missing would let
/// half of a commit through.
pub(super) fn demand(store: &RedisStore, wire: &mut Wire) -> Result<(), JournalFault> {
    let mut checks = vec![permissions::check(store, wire, false)?];
    checks.extend(wanted(store.demand.durability, |name| get(wire, name))?);
    store.demand.judge("redis", &checks).map_err(JournalFault::new)
}

/// What people set, and what does not change by itself; `get` asks for a setting.
pub(super) fn wanted(
    durability: Durability,
    mut get: impl FnMut(&str) -> Result<Value, JournalFault>,
) -> Result<Vec<Check>, JournalFault> {
    let mut checks = Vec::new();
    for wanted in WANTED.iter().filter(|wanted| wanted.levels.contains(&durability)) {
        let value = read_setting(get(wanted.setting)?);
        let verdict = match &value {
            Some(value) if wanted.good.contains(&value.as_str()) => Verdict::Ok,
            Some(_) => Verdict::Weaker,
            None => Verdict::Unknown,
        };
        let remedy = match verdict {
            Verdict::Unknown => "allow CONFIG GET",
            _ => wanted.remedy,
        };
        checks.push(Check::new(wanted.setting, value.unwrap_or_default(), verdict, remedy));
    }
    Ok(checks)
}

/// What passes or comes by itself: it is told, but does not keep a server from starting.
fn standing(durability: Durability, wire: &mut Wire) -> Result<Vec<Check>, JournalFault> {
    let told = match ask(wire, &redis::cmd("INFO"))? {
        Value::ServerError(_) => None,
        told => InfoDict::from_redis_value(told).ok(),
    };
    let text = |name: &str| -> String {
        told.as_ref().and_then(|told| told.get(name)).unwrap_or_default()
    };
    let number = |name: &str| text(name).parse::<u64>().ok();
    let mut checks = vec![version(text("redis_version")), role(text)];
    if durability == Replicated {
        checks.push(replicas(number("connected_slaves")));
    }
    if text("aof_enabled") == "1" {
        checks.push(last_write(text("aof_last_write_status")));
    }
    checks.push(memory(number("used_memory"), number("maxmemory")));
    Ok(checks)
}

fn version(value: String) -> Check {
    let mut numbers = value.split('.').map_while(|number| number.parse().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let verdict = match value.as_str() {
        "" => Verdict::Unknown,
        _ if found < OLDEST => Verdict::Wrong,
        _ => Verdict::Ok,
    };
    let remedy = if verdict == Verdict::Wrong { "run Redis 6.2 or later" } else { "allow INFO" };
    Check::new("version", value, verdict, remedy)
}

fn role(text: impl Fn(&str) -> String) -> Check {
    let value = text("role");
    let (verdict, remedy) = match value.as_str() {
        "master" => (Verdict::Ok, String::new()),
        "" => (Verdict::Unknown, "allow INFO".to_owned()),
        _ => {
            let (host, port) = (text("master_host"), text("master_port"));
            (Verdict::Wrong, format!("--redis-url with its primary, {host}:{port}"))
        }
    };
    Check::new("role", value, verdict, remedy)
}

fn replicas(found: Option<u64>) -> Check {
    let enough = found.is_some_and(|found| found >= REPLICAS.unsigned_abs());
    let verdict = if enough { Verdict::Ok } else { Verdict::Wrong };
    let value = found.map(|found| found.to_string()).unwrap_or_default();
    Check::new("connected_slaves", value, verdict, "on another server: REPLICAOF host port")
}

fn last_write(value: String) -> Check {
    let verdict = if value == "ok" { Verdict::Ok } else { Verdict::Wrong };
    let remedy = "make room on the disk of Redis: until its log can be written it takes nothing";
    Check::new("aof_last_write_status", value, verdict, remedy)
}

fn memory(used: Option<u64>, max: Option<u64>) -> Check {
    let (Some(used), Some(max)) = (used, max) else {
        return Check::new("maxmemory", "", Verdict::Unknown, "allow INFO");
    };
    if max == 0 {
        return Check::new("maxmemory", "unlimited", Verdict::Ok, "");
    }
    let percent = used.saturating_mul(100) / max;
    let verdict = if percent < MEMORY_PERCENT_MAX { Verdict::Ok } else { Verdict::Weaker };
    let remedy = format!("CONFIG SET maxmemory {}", used.saturating_mul(2));
    Check::new("maxmemory", format!("{max}, {percent} % in use"), verdict, remedy)
}

/// One setting's value; `None` if the server does not tell (CONFIG is often taken away).
fn read_setting(answer: Value) -> Option<String> {
    let Value::Array(pair) = answer else { return None };
    match &pair[..] {
        [_, Value::BulkString(value)] => Some(String::from_utf8_lossy(value).into_owned()),
        _ => None,
    }
}

pub(super) fn setting(wire: &mut Wire, name: &str) -> Result<Option<String>, JournalFault> {
    get(wire, name).map(read_setting)
}

fn get(wire: &mut Wire, name: &str) -> Result<Value, JournalFault> {
    ask(wire, redis::cmd("CONFIG").arg("GET").arg(name))
}

/// Sends one command; an error answer is an answer.
pub(super) fn ask(wire: &mut Wire, command: &Cmd) -> Result<Value, JournalFault> {
    wire.writer.write_all(&command.get_packed_command()).map_err(JournalFault::new)?;
    wire.answer()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        for (found, verdict) in [
            ("7.0.15", Verdict::Ok),
            ("6.2.0", Verdict::Ok),
            ("10.0.0", Verdict::Ok),
            ("6.0.16", Verdict::Wrong),
            ("", Verdict::Unknown),
        ] {
            assert_eq!(version(found.to_owned()).verdict, verdict, "{found}");
        }
    }

    #[test]
    fn memory_must_have_headroom() {
        assert_eq!(memory(Some(5), Some(0)).verdict, Verdict::Ok);
        assert_eq!(memory(Some(50), Some(100)).verdict, Verdict::Ok);
        let short = memory(Some(95), Some(100));
        assert_eq!(
            (short.verdict, short.remedy.as_str()),
            (Verdict::Weaker, "CONFIG SET maxmemory 190")
        );
        assert_eq!(memory(None, Some(100)).verdict, Verdict::Unknown);
    }
}
