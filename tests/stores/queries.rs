//! What is expected of a store that is asked questions, and of what is made of its answers. The
//! expectations are worked out from the same errors by plain code, so both stores answer alike.

use std::{collections::BTreeSet, sync::Arc};

use errsift::{
    migrated::Migrate,
    query::{
        EXAMINED_MAX, Filter, Label, ListQuery, Narrowing, Position, QueryFault, Search, Sort,
        Span, page,
    },
};
use errsift_ops::{
    event::Payload,
    fingerprint::Fingerprint,
    fingerprint::RuleVersion,
    flight::Details,
    id::{Epoch, Nonce, Shard, Term},
    timestamp::Timestamp,
};
use errsift_pipeline::{
    conformance::{
        errors::{apply, claim, row},
        fingerprint,
    },
    memory::MemoryJournal,
    ports::{
        errors::DetailsRow,
        journal::{Backlog, Journal, Progress},
    },
};

const SHARD: Shard = Shard(30);
const EPOCH: Epoch = Epoch(5);
/// A window's start.
const START: i64 = 1_700_000_010_000;
const SORTS: [Sort; 3] = [Sort::Count, Sort::LastSeen, Sort::FirstSeen];

/// One error as it is put in and expected back.
#[derive(Clone, Debug)]
struct Known {
    fingerprint: Fingerprint,
    count: u64,
    first: i64,
    last: i64,
    payload: Payload,
}

/// Errors with many equal counts and times, so that fingerprints decide too.
fn known() -> Vec<Known> {
    let messages = ["Timeout while reading", "timeout_ms exceeded 50%", "refused: Timeout", "50_"];
    let label = |values: &[&str], n: usize| match values[n % values.len()] {
        "" => None,
        value => Some(value.to_owned()),
    };
    (0..300_u32)
        .map(|n| {
            let at = n as usize;
            let payload = Payload {
                message: format!("{} #{}", messages[at % 4], n / 40),
                service: label(&["shop", "shop ", "api", "", "caf\u{e9}'"], at),
                level: label(&["error", "warning", "fatal"], at / 7),
                environment: label(&["production", "staging", ""], at / 11),
                stack_trace: Some("long".repeat(100)),
                ..Payload::default()
            };
            let first = START + i64::from(n % 17) * 1_000;
            let last = first + i64::from(n % 5) * 30_000;
            let count = u64::from(n % 9) + 2;
            Known { fingerprint: fingerprint(30, n * 7919 % 1009), count, first, last, payload }
        })
        .collect()
}

fn details(fingerprint: Fingerprint, payload: &Payload) -> DetailsRow {
    (fingerprint, Arc::new(Details { rule: RuleVersion(1), payload: payload.clone() }))
}

/// Stores the errors: each counts once at its first time and otherwise at its last.
pub fn fill<S: Migrate>(store: &S) {
    let mut writer = store.writer();
    writer.take_guards(&claim(SHARD.0, 1)).unwrap();
    let mut all = known();
    all.sort_by_key(|known| known.fingerprint);
    let words: Vec<_> =
        all.iter().map(|known| details(known.fingerprint, &known.payload)).collect();
    writer.insert_details(Shard(1), &words).unwrap();
    let first = |known: &Known| row(known.fingerprint, 1, known.first, known.first);
    let rest = |known: &Known| row(known.fingerprint, known.count - 1, known.last, known.last);
    let halves: [Vec<_>; 2] = [all.iter().map(first).collect(), all.iter().map(rest).collect()];
    for (epoch, rows) in (0..).zip(&halves) {
        let applied = apply(&mut *writer, &claim(SHARD.0, 1), (epoch, epoch + 1), rows);
        assert!(applied.is_whole());
    }
}

fn filters() -> Vec<Filter> {
    let label = |label, value: &str| vec![(label, value.to_owned())];
    let at = |millis| Some(Timestamp::from_millis(millis));
    let search = |q| Filter { search: Search::of(q), ..Filter::default() };
    let of = |labels| Filter { labels, ..Filter::default() };
    let mut both = label(Label::Service, "caf\u{e9}'");
    both.extend(label(Label::Level, "fatal"));
    vec![
        Filter::default(),
        of(label(Label::Service, "shop")),
        of(label(Label::Service, "caf\u{e9}'")),
        of(label(Label::Environment, "staging")),
        of(label(Label::Service, "nobody")),
        Filter { since: at(START + 60_000), ..of(both) },
        search("TIMEOUT read"),
        search("Timeout*"),
        search("timeout_ms exceeded 50%*"),
        search("50_*"),
        Filter { since: at(START + 90_000), ..Filter::default() },
        Filter { until: at(START + 3_000), ..Filter::default() },
        Filter { since: at(START + 31_000), until: at(START + 5_000), ..search("timeout") },
    ]
}

fn key(known: &Known, sort: Sort) -> (u64, Fingerprint) {
    let key = match sort {
        Sort::Count => known.count,
        Sort::LastSeen => known.last.cast_unsigned(),
        Sort::FirstSeen => known.first.cast_unsigned(),
    };
    (key, known.fingerprint)
}

/// By other means than the filter's own.
fn is_wanted(known: &Known, filter: &Filter) -> bool {
    let message = known.payload.message.as_str();
    let lower = message.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let searched = match &filter.search {
        None => true,
        Some(Search::Prefix(prefix)) => message.starts_with(prefix.as_str()),
        Some(Search::Words(wanted)) => wanted.iter().enumerate().all(|(at, wanted)| {
            let is_last = at == filter_words(filter) - 1;
            words.iter().any(|word| word == wanted || (is_last && word.starts_with(wanted)))
        }),
    };
    let labelled = filter.labels.iter().all(|(label, value)| {
        let has = match label {
            Label::Service => &known.payload.service,
            Label::Level => &known.payload.level,
            Label::Environment => &known.payload.environment,
        };
        has.as_ref() == Some(value)
    });
    searched
        && labelled
        && filter.since.is_none_or(|since| known.last >= since.millis())
        && filter.until.is_none_or(|until| known.first < until.millis())
}

fn filter_words(filter: &Filter) -> usize {
    match &filter.search {
        Some(Search::Words(words)) => words.len(),
        _ => 0,
    }
}

/// Walks a list to its end; fingerprints and live counts.
fn walk<S: Migrate>(
    store: &S,
    journal: &MemoryJournal,
    sort: Sort,
    filter: &Filter,
    limit: usize,
) -> Vec<(Fingerprint, u64)> {
    let (mut tables, mut backlog) = (store.queries(), journal.clone());
    let mut query = ListQuery { sort, filter: filter.clone(), limit, after: None };
    let mut all = Vec::new();
    for _ in 0..1000 {
        let found = page(&query, SHARD, &[EPOCH], &mut backlog, &mut *tables, &|| false).unwrap();
        assert!(found.rows.len() <= limit);
        all.extend(found.rows.iter().map(|(fingerprint, row)| (*fingerprint, row.count)));
        let Some(next) = found.next else { return all };
        assert_eq!(Position::parse(&next.cursor(sort), sort), Some(next));
        query.after = Some(next);
    }
    panic!("a list without end");
}

/// What is asked of the errors that [`fill`] has stored.
pub fn answers<S: Migrate>(store: &S) {
    let (all, journal) = (known(), MemoryJournal::default());
    for sort in SORTS {
        for filter in filters() {
            let mut wanted: Vec<&Known> =
                all.iter().filter(|known| is_wanted(known, &filter)).collect();
            wanted.sort_by_key(|known| std::cmp::Reverse(key(known, sort)));
            let wanted: Vec<_> =
                wanted.iter().map(|known| (known.fingerprint, known.count)).collect();
            for limit in [7, 500] {
                let found = walk(store, &journal, sort, &filter, limit);
                assert_eq!(found, wanted, "{sort:?} {filter:?} {limit}");
            }
        }
    }
    let filled = filters().iter().filter(|filter| all.iter().any(|k| is_wanted(k, filter))).count();
    assert_eq!(filled, filters().len() - 1, "only nobody's list is empty");
    windows_sum(store, &all);
}

fn windows_sum<S: Migrate>(store: &S, all: &[Known]) {
    let at = Timestamp::from_millis;
    let span = Span::of(at(START), at(START + 120_000)).unwrap();
    let mut tables = store.queries();
    let inside = |millis: i64| (span.since.millis()..span.until.millis()).contains(&millis);
    for service in [None, Some("shop"), Some("caf\u{e9}'"), Some("nobody")] {
        let expected: u64 = all
            .iter()
            .filter(|known| service.is_none_or(|s| known.payload.service.as_deref() == Some(s)))
            .map(|known| {
                u64::from(inside(known.first)) + (known.count - 1) * u64::from(inside(known.last))
            })
            .sum();
        let found: u64 =
            tables.windows(service, &span).unwrap().iter().map(|(_, count)| count).sum();
        assert_eq!(found, expected, "{service:?}");
    }
    let one = all.iter().find(|known| known.last - known.first == 60_000).unwrap();
    // more windows than one statement asks for, most of them before the error
    let long = Span::of(at(START - 40_000_000), at(START + 120_000)).unwrap();
    let windows: Vec<_> = long.windows(at(0), Timestamp::MAX).collect();
    assert!(windows.len() > 1_000);
    let mut found = tables.windows_of(&one.fingerprint, &windows).unwrap();
    found.sort_unstable();
    let start = |millis: i64| at(millis / 30_000 * 30_000);
    assert_eq!(found, [(start(one.first), 1), (start(one.last), one.count - 1)]);
}

/// An error whose first events are pending is in the lists, with its pending count, and is not
/// there twice or with another count once it is applied.
fn pending_errors_are_listed<S: Migrate>(store: &S) {
    let mut journal = MemoryJournal::default();
    journal.acquire(Nonce(1), Progress::default()).unwrap();
    let fresh = fingerprint(30, 5_000);
    let old = known()[0].clone();
    let payload = Payload { message: "fresh one".to_owned(), ..Payload::default() };
    store.writer().insert_details(Shard(1), &[details(fresh, &payload)]).unwrap();
    let listed = |journal: &MemoryJournal, sort, limit| {
        walk(store, journal, sort, &Filter::default(), limit)
    };
    assert_eq!(listed(&journal, Sort::Count, 50).len(), 300, "nothing is pending yet");
    journal.add_pending(Term(1), EPOCH, &[(fresh, 6), (old.fingerprint, 100)]).unwrap();
    for sort in SORTS {
        for limit in [1, 7, 500] {
            let found = listed(&journal, sort, limit);
            let distinct: BTreeSet<_> = found.iter().map(|(fingerprint, _)| fingerprint).collect();
            assert_eq!((found.len(), distinct.len()), (301, 301), "{sort:?} {limit}");
            assert!(found.contains(&(old.fingerprint, old.count + 100)));
            let place = found.iter().position(|row| *row == (fresh, 6)).expect("the fresh one");
            match sort {
                // six among counts from 2 to 10
                Sort::Count => assert!(place > 100 && place < 200, "{place}"),
                _ => assert_eq!(place, 0),
            }
        }
    }
    let search = Filter { search: Search::of("fresh"), ..Filter::default() };
    assert_eq!(walk(store, &journal, Sort::Count, &search, 5), [(fresh, 6)]);
    let rows = [row(fresh, 6, START, START)];
    let applied = apply(&mut *store.writer(), &claim(SHARD.0, 1), (2, EPOCH.0), &rows);
    assert!(applied.is_whole());
    for sort in SORTS {
        let found = listed(&journal, sort, 7);
        assert_eq!(found.len(), 301);
        assert!(found.contains(&(fresh, 6)) && found.contains(&(old.fingerprint, old.count)));
    }
}

/// A page examines no more than it may, and the next one goes on from there.
fn a_long_walk_is_cut_into_pages<S: Migrate>(store: &S) {
    let mut writer = store.writer();
    let crowd: Vec<Fingerprint> = (0..12_000).map(|n| fingerprint(31, n)).collect();
    let payload = |n: usize| Payload {
        message: if n % 5_000 == 1 { "the needle".to_owned() } else { format!("hay {n}") },
        service: Some("crowd".to_owned()),
        ..Payload::default()
    };
    let words: Vec<_> = crowd
        .iter()
        .enumerate()
        .map(|(n, fingerprint)| details(*fingerprint, &payload(n)))
        .collect();
    writer.insert_details(Shard(1), &words).unwrap();
    let rows: Vec<_> = crowd.iter().map(|fingerprint| row(*fingerprint, 1, START, START)).collect();
    assert!(apply(&mut *writer, &claim(SHARD.0, 1), (0, 1), &rows).is_whole());
    let filter = Filter {
        labels: vec![(Label::Service, "crowd".to_owned())],
        search: Search::of("needle"),
        ..Filter::default()
    };
    let narrowing = Narrowing::Label(Label::Service, "crowd");
    assert_eq!(store.queries().few(narrowing, 11_999, true), Ok(None::<Vec<_>>));
    assert!(store.queries().few(narrowing, 12_000, false).is_ok_and(|few| few.is_some()));
    let mut query = ListQuery { sort: Sort::Count, filter, limit: 10, after: None };
    let (mut pages, mut found) = (0, Vec::new());
    loop {
        let mut backlog = MemoryJournal::default();
        let page =
            page(&query, SHARD, &[], &mut backlog, &mut *store.queries(), &|| pages % 2 == 1)
                .unwrap();
        pages += 1;
        found.extend(page.rows.into_iter().map(|(fingerprint, _)| fingerprint));
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    assert_eq!(found, [crowd[10_001], crowd[5_001], crowd[1]]);
    // every other page has no time for more than its first stretch
    assert!(pages > 12_301 / EXAMINED_MAX && pages < 10, "{pages}");
}

/// Holds a store that is still empty to all of it.
pub fn every<S: Migrate>(store: &S) {
    fill(store);
    answers(store);
    pending_errors_are_listed(store);
    a_long_walk_is_cut_into_pages(store);
    let none: Result<Vec<_>, QueryFault> = store.queries().uncounted(10);
    assert!(none.is_ok_and(|none| none.is_empty()));
}
