//! One page of a list.

use std::collections::BTreeSet;

use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Shard},
};
use errsift_pipeline::{
    live,
    ports::{errors::ErrorRow, journal::Backlog},
};

use super::{
    Candidate, EXAMINED_MAX, FEW_DETAILED_MAX, FEW_MAX, Filter, ListQuery, NEWEST_MAX, Narrowing,
    Position, Queries, QueryFault, Sort, Walk,
};

/// Errors examined between two looks at the time.
const STRETCH: usize = 1_000;
/// The same, where the words of each must be read too.
const DETAILED_STRETCH: usize = 200;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its errors with their live counts, in the list's order.
    pub rows: Vec<(Fingerprint, ErrorRow)>,
    /// Where the next page begins; `None` at the list's end.
    pub next: Option<Position>,
}

/// Candidates that pass, and the place up to which nothing else does; `None` for the end.
struct Reached {
    candidates: Vec<Candidate>,
    end: Option<Position>,
}

/// Reads the page that `query` asks for. Once `is_late`, a walk that has found too little ends all
/// the same.
///
/// Errors that are not counted yet come from where words are stored, because they have no place in
/// the tables' order. They are looked for first: one that is counted meanwhile is then found twice,
/// and shown once, and not missed.
pub fn page(
    query: &ListQuery,
    shard: Shard,
    epochs: &[Epoch],
    backlog: &mut dyn Backlog,
    tables: &mut dyn Queries,
    is_late: &dyn Fn() -> bool,
) -> Result<Found, QueryFault> {
    let fresh = uncounted(&query.filter, epochs, backlog, tables)?;
    let counted = match narrowed(&query.filter, tables)? {
        Some(candidates) => Reached { candidates, end: None },
        None => walked(query, tables, is_late)?,
    };
    let (mut positions, next) = merged(query, counted, fresh);
    positions.truncate(query.limit);
    let fingerprints: Vec<Fingerprint> =
        positions.iter().map(|position| position.fingerprint).collect();
    if fingerprints.is_empty() {
        return Ok(Found { rows: Vec::new(), next });
    }
    let rows =
        live::read_all(&fingerprints, epochs, backlog, || tables.rows(shard, &fingerprints))?;
    Ok(Found { rows: fingerprints.into_iter().zip(rows).collect(), next })
}

/// Errors whose first events are all pending, with their pending count.
fn uncounted(
    filter: &Filter,
    epochs: &[Epoch],
    backlog: &mut dyn Backlog,
    tables: &mut dyn Queries,
) -> Result<Vec<Candidate>, QueryFault> {
    let mut fresh = tables.uncounted(NEWEST_MAX)?;
    fresh.retain(|candidate| filter.passes(candidate));
    let fingerprints: Vec<Fingerprint> =
        fresh.iter().map(|candidate| candidate.fingerprint).collect();
    let pending = backlog.pending_all(&fingerprints, epochs)?;
    for (candidate, pending) in fresh.iter_mut().zip(&pending) {
        candidate.count = pending.iter().sum();
    }
    fresh.retain(|candidate| candidate.count > 0);
    Ok(fresh)
}

/// All candidates that pass, if an index says that they are few.
fn narrowed(
    filter: &Filter,
    tables: &mut dyn Queries,
) -> Result<Option<Vec<Candidate>>, QueryFault> {
    for narrowing in filter.narrowings() {
        let (max, details) = match narrowing {
            Narrowing::Label(..) if filter.labels.len() == 1 && filter.search.is_none() => {
                (FEW_MAX, false)
            }
            _ => (FEW_DETAILED_MAX, true),
        };
        if let Some(mut few) = tables.few(narrowing, max, details)? {
            few.retain(|candidate| filter.passes(candidate));
            return Ok(Some(few));
        }
    }
    Ok(None)
}

/// Walks the order until a page is full, the order ends, or enough is examined.
fn walked(
    query: &ListQuery,
    tables: &mut dyn Queries,
    is_late: &dyn Fn() -> bool,
) -> Result<Reached, QueryFault> {
    let ListQuery { sort, filter, limit, .. } = query;
    let (mut candidates, mut examined, mut after) = (Vec::new(), 0, start(query));
    // without a filter the first stretch fills the page
    let stretch_max = if *filter == Filter::default() {
        limit + 1
    } else if filter.needs_details() {
        DETAILED_STRETCH
    } else {
        STRETCH
    };
    loop {
        let max = stretch_max.min(EXAMINED_MAX - examined);
        let walk = Walk { sort: *sort, after, max, details: filter.needs_details() };
        let stretch = tables.walk(&walk)?;
        examined += stretch.len();
        let ends = stretch.len() < max || stretch.last().is_some_and(|last| is_past(query, last));
        after = stretch.last().map(|last| last.position(*sort)).or(after);
        candidates.extend(stretch.into_iter().filter(|candidate| filter.passes(candidate)));
        if ends {
            return Ok(Reached { candidates, end: None });
        }
        if candidates.len() > *limit || examined >= EXAMINED_MAX || is_late() {
            return Ok(Reached { candidates, end: after });
        }
    }
}

/// Where the walk begins: no earlier than where `until` lets it.
fn start(query: &ListQuery) -> Option<Position> {
    let until = query.filter.until.filter(|_| query.sort == Sort::FirstSeen).map(|until| {
        Position { key: until.millis().cast_unsigned(), fingerprint: Fingerprint([0; 32]) }
    });
    match (query.after, until) {
        (Some(after), Some(until)) => Some(after.min(until)),
        (after, until) => after.or(until),
    }
}

/// Whether no error behind `candidate` passes, because of `since`.
fn is_past(query: &ListQuery, candidate: &Candidate) -> bool {
    query.sort == Sort::LastSeen
        && query.filter.since.is_some_and(|since| candidate.last_seen < Some(since))
}

/// The places of all that are known up to the page's end, in order, and the next page's start.
fn merged(
    query: &ListQuery,
    counted: Reached,
    fresh: Vec<Candidate>,
) -> (Vec<Position>, Option<Position>) {
    let Reached { candidates, end } = counted;
    let known: BTreeSet<Fingerprint> =
        candidates.iter().map(|candidate| candidate.fingerprint).collect();
    let fresh = fresh.into_iter().filter(|candidate| !known.contains(&candidate.fingerprint));
    let mut positions: Vec<Position> = candidates
        .iter()
        .map(|candidate| candidate.position(query.sort))
        .chain(fresh.map(|candidate| candidate.position(query.sort)))
        .filter(|position| query.after.is_none_or(|after| *position < after))
        .filter(|position| end.is_none_or(|end| *position >= end))
        .collect();
    positions.sort_unstable_by(|a, b| b.cmp(a));
    if positions.len() > query.limit {
        let next = query.limit.checked_sub(1).and_then(|last| positions.get(last).copied());
        return (positions, next);
    }
    (positions, end)
}
