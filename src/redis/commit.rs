//! The guarded commit, as bytes, and what its answers mean.
//!
//! `MULTI · RPUSH journal job · HSET fence seq n epoch e events N · EXEC · WATCH fence · HMGET
//! fence …[ · WAIT 1 t]` in one write. The WATCH was armed by the commit before: if anybody has
//! touched the fence since, EXEC answers nil and nothing is executed. So of a flight and its copy
//! sent again after a lost answer exactly one executes, in whichever order they arrive.

use errsift_ops::id::Seq;
use errsift_pipeline::ports::journal::{
    Armed, Commit, CommitFault, CommitResult, Fence, JournalFault,
};
use redis::{Cmd, ServerErrorKind, Value};

use super::{ANSWER_MAX, Keys, RedisStore, check, wire, wire::Wire};
use crate::durability::Durability;

/// Replicas that must have a flight at [`Durability::Replicated`].
pub(super) const REPLICAS: i64 = 1;

/// Answers that a commit brings, without WAIT's.
const ANSWERS: usize = 6;

/// What a commit needs to be understood when its answers arrive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    before: Fence,
    after: Fence,
    replicated: bool,
}

/// The bytes of a commit, and how to read its answers.
pub(super) fn encode(keys: &Keys, commit: &Commit, durability: Durability) -> (Vec<u8>, Expected) {
    let Commit { armed, fence, job } = commit;
    let mut out = Vec::with_capacity(job.len() + 512);
    redis::cmd("MULTI").write_packed_command(&mut out);
    redis::cmd("RPUSH").arg(&keys.journal).arg(&job[..]).write_packed_command(&mut out);
    redis::cmd("HSET")
        .arg(&keys.fence)
        .arg(&[("seq", fence.seq.0), ("epoch", fence.epoch.0), ("events", fence.events)])
        .write_packed_command(&mut out);
    redis::cmd("EXEC").write_packed_command(&mut out);
    redis::cmd("WATCH").arg(&keys.fence).write_packed_command(&mut out);
    wire::read_fence(&keys.fence).write_packed_command(&mut out);
    let replicated = durability == Durability::Replicated;
    if replicated {
        wait_command().write_packed_command(&mut out);
    }
    (out, Expected { before: *armed.fence(), after: *fence, replicated })
}

/// Asks whether [`REPLICAS`] have everything sent so far on this connection.
pub(super) fn wait_command() -> Cmd {
    let timeout_ms = u64::try_from(ANSWER_MAX.as_millis()).unwrap_or(u64::MAX) / 2;
    let mut wait = redis::cmd("WAIT");
    wait.arg(REPLICAS).arg(timeout_ms);
    wait
}

/// Whether everything that this connection's server has executed is with enough replicas, also
/// what was executed for an earlier connection: a write comes first, because WAIT looks only at
/// what its own connection has written.
pub(super) fn demand_replicated(store: &RedisStore, wire: &mut Wire) -> Result<(), JournalFault> {
    if store.demand.durability != Durability::Replicated {
        return Ok(());
    }
    wire.call(redis::cmd("HSET").arg(&store.keys.pos).arg("rearmed").arg(1))?;
    match check::ask(wire, &wait_command())? {
        Value::Int(replicas) if replicas >= REPLICAS => Ok(()),
        other => {
            Err(JournalFault::new(format!("{REPLICAS} replica wanted, WAIT answered {other:?}")))
        }
    }
}

/// Whether WAIT's answer says that enough replicas have it.
pub(super) fn waited(answer: &Value, armed: Armed) -> CommitResult {
    match answer {
        Value::Int(replicas) if *replicas >= REPLICAS => Ok(armed),
        other => Err(CommitFault::NotDurable {
            reason: format!("{REPLICAS} replica wanted, WAIT answered {other:?}"),
            armed,
        }),
    }
}

impl Expected {
    /// How many answers to read.
    pub(super) fn answers(&self) -> usize {
        ANSWERS + usize::from(self.replicated)
    }

    /// Decides from all the answers, in order.
    pub(super) fn decide(&self, answers: &[Value]) -> CommitResult {
        let [multi, push, set, exec, watch, read, waits @ ..] = answers else {
            return Err(CommitFault::Unknown { reason: "answers are missing".to_owned() });
        };
        let found = match watch {
            Value::Okay => wire::fence(read),
            _ => Err(JournalFault::new("the fence is not watched")),
        };
        match exec {
            Value::Array(results) if *multi == Value::Okay => {
                if !matches!(results[..], [Value::Int(_), Value::Int(_)]) {
                    return Err(CommitFault::Broken {
                        reason: format!("EXEC answered {results:?}"),
                    });
                }
                self.executed(found, waits.first())
            }
            Value::Nil if *multi == Value::Okay => match found {
                Ok(found) => Err(CommitFault::Moved { found }),
                Err(fault) => Err(CommitFault::Unknown { reason: fault.reason }),
            },
            _ => {
                // each part must have been turned away: outside a MULTI it would run by itself
                let ran = |answer: &Value| matches!(answer, Value::Int(_));
                if ran(push) || ran(set) {
                    return Err(CommitFault::Broken {
                        reason: "commands ran outside MULTI".to_owned(),
                    });
                }
                self.refused(answers, &found)
            }
        }
    }

    fn executed(&self, found: Result<Fence, JournalFault>, waits: Option<&Value>) -> CommitResult {
        let found = found.map_err(|fault| CommitFault::Unknown { reason: fault.reason })?;
        let armed = Armed::verify(&self.after, found)?;
        match waits {
            Some(answer) => waited(answer, armed),
            None => Ok(armed),
        }
    }

    fn refused(&self, answers: &[Value], found: &Result<Fence, JournalFault>) -> CommitResult {
        let reason = answers.iter().find_map(|answer| match answer {
            Value::ServerError(error) => Some(wire::describe(error)),
            _ => None,
        });
        let reason = reason.unwrap_or_else(|| "EXEC was refused".to_owned());
        if answers.iter().any(is_demoted) {
            return Err(CommitFault::Refused { reason, armed: None });
        }
        match found {
            Ok(found) if *found == self.before => Err(CommitFault::Refused {
                reason,
                armed: Armed::verify(&self.before, *found).ok(),
            }),
            Ok(found) if found.seq > Seq(0) => Err(CommitFault::Moved { found: *found }),
            Ok(_) | Err(_) => Err(CommitFault::Refused { reason, armed: None }),
        }
    }
}

/// Whether an answer shows a server that is not the master, or perhaps not for long: the next try
/// is to look for the master again.
fn is_demoted(answer: &Value) -> bool {
    let Value::ServerError(error) = answer else { return false };
    let kind = error.kind();
    matches!(kind, Some(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
        || error.code() == "NOREPLICAS"
}

#[cfg(test)]
mod tests {
    use errsift_ops::id::{Epoch, Nonce, Term};

    use super::*;

    const BEFORE: Fence =
        Fence { term: Term(2), nonce: Nonce(9), seq: Seq(4), epoch: Epoch(50), events: 10 };
    const AFTER: Fence = Fence { seq: Seq(5), events: 12, ..BEFORE };

    fn read(fence: Fence) -> Value {
        let fields = [fence.term.0, fence.nonce.0, fence.seq.0, fence.epoch.0, fence.events];
        Value::Array(fields.map(|field| Value::BulkString(field.to_string().into_bytes())).into())
    }

    fn decide(exec: Value, found: Fence) -> CommitResult {
        let queued = || Value::SimpleString("QUEUED".to_owned());
        let answers = [Value::Okay, queued(), queued(), exec, Value::Okay, read(found)];
        Expected { before: BEFORE, after: AFTER, replicated: false }.decide(&answers)
    }

    fn error(text: &str) -> Value {
        redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn executed_only_if_every_element_is_and_the_fence_says_so() {
        let ran = || Value::Array(vec![Value::Int(7), Value::Int(0)]);
        assert_eq!(*decide(ran(), AFTER).unwrap().fence(), AFTER);
        let other = Fence { term: Term(3), ..AFTER };
        assert!(
            matches!(decide(ran(), other), Err(CommitFault::Moved { found }) if found == other)
        );
        let half = Value::Array(vec![error("WRONGTYPE not a list"), Value::Int(0)]);
        assert!(matches!(decide(half, AFTER), Err(CommitFault::Broken { .. })));
    }

    #[test]
    fn nil_means_that_the_fence_moved() {
        let other = Fence { term: Term(3), ..BEFORE };
        assert!(
            matches!(decide(Value::Nil, other), Err(CommitFault::Moved { found }) if found == other)
        );
    }

    #[test]
    fn an_aborted_commit_is_refused_and_armed_again() {
        let aborted = || error("EXECABORT Transaction discarded because of previous errors.");
        let refused = decide(aborted(), BEFORE);
        assert!(matches!(refused, Err(CommitFault::Refused { armed: Some(_), .. })));
        let moved = Fence { term: Term(3), ..BEFORE };
        assert!(matches!(decide(aborted(), moved), Err(CommitFault::Moved { .. })));
    }

    #[test]
    fn a_server_that_is_no_master_is_let_go() {
        let expected = Expected { before: BEFORE, after: AFTER, replicated: false };
        for refusal in [
            "READONLY You can't write against a read only replica.",
            "NOREPLICAS Not enough good replicas to write.",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        ] {
            let (push, set) = (error(refusal), error(refusal));
            let exec = error("EXECABORT Transaction discarded because of previous errors.");
            let answers = [Value::Okay, push, set, exec, Value::Okay, read(BEFORE)];
            let refused = expected.decide(&answers);
            assert!(matches!(refused, Err(CommitFault::Refused { armed: None, .. })), "{refusal}");
        }
    }

    #[test]
    fn a_refusal_of_everything_is_refused_and_a_bare_push_is_not() {
        let expected = Expected { before: BEFORE, after: AFTER, replicated: false };
        let loading = || error("LOADING Redis is loading the dataset in memory");
        let all = [loading(), loading(), loading(), loading(), loading(), loading()];
        assert!(matches!(expected.decide(&all), Err(CommitFault::Refused { armed: None, .. })));
        let denied = error("NOPERM no permission for 'multi'");
        let bare = [denied, Value::Int(1), Value::Int(0), loading(), Value::Okay, read(AFTER)];
        assert!(matches!(expected.decide(&bare), Err(CommitFault::Broken { .. })));
    }

    #[test]
    fn too_few_replicas_are_not_durable_yet() {
        let armed = || Armed::verify(&AFTER, AFTER).unwrap();
        assert!(waited(&Value::Int(1), armed()).is_ok());
        assert!(matches!(waited(&Value::Int(0), armed()), Err(CommitFault::NotDurable { .. })));
    }
}
