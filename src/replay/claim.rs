//! Taking a recorded log: its number, and its guard rows.

use errsift_ops::id::{Nonce, Part, Shard, Term};
use errsift_pipeline::ports::errors::{Claim, Errors, ErrorsFault, Guard, Guards};

use super::{
    sources::{Sources, Wanted},
    tables::TablesFault,
};

/// Takes the guard rows of the log that is wanted for this process, from whoever had them.
///
/// Two that take one log at the same time ask for the same term: the rows are the first one's, and the
/// other is told. Whoever comes later asks for a higher term, and the earlier one is fenced.
pub fn take(
    wanted: &Wanted,
    mut sources: Box<dyn Sources>,
    errors: &dyn Errors,
) -> Result<(Claim, Guards), TablesFault> {
    let label = || wanted.label.clone();
    let source = sources.find(wanted)?.ok_or_else(|| TablesFault::Full(label()))?;
    let mut writer = errors.writer();
    let before = writer.guards(source.shard)?;
    if source.rules != wanted.rules {
        // what some parts have of the rest, others must get by the same rules
        if before.iter().any(|guard| guard.epoch != before[0].epoch) {
            return Err(TablesFault::OtherRules(label()));
        }
        sources.set_rules(source.shard, &wanted.rules)?;
    }
    let term = before.iter().map(|guard| guard.term).max().unwrap_or_default();
    let nonce = getrandom::u64();
    let nonce = nonce.map_err(|fault| ErrorsFault::Denied(format!("randomness: {fault}")))?;
    let claim = Claim { shard: source.shard, term: Term(term.0 + 1), nonce: Nonce(nonce) };
    let taken = writer.take_guards(&claim)?;
    let is_ours = |guard: &Guard| (guard.term, guard.nonce) == (claim.term, claim.nonce);
    if taken.iter().all(is_ours) { Ok((claim, taken)) } else { Err(TablesFault::Claimed(label())) }
}

/// For tables that nobody else has.
pub fn unclaimed(index: usize) -> (Claim, Guards) {
    let index = u16::try_from(index).unwrap_or(u16::MAX);
    let shard = Shard(Shard::FIRST_RECORDED.0.saturating_add(index));
    (Claim { shard, term: Term(1), nonce: Nonce(1) }, [Guard::default(); Part::COUNT])
}
