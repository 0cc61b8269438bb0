//! What is expected of a store of errors whose tables refuse some rows as data.

use std::sync::Arc;

use errsift_ops::{
    event::Payload,
    fingerprint::{Fingerprint, RuleVersion},
    flight::Details,
    id::{Epoch, Shard},
};

use super::{
    errors::{apply, claim, row},
    fingerprint,
};
use crate::ports::errors::{
    Added, Applied, CountRow, DeadLetters, DetailsRow, Errors, ErrorsWriter,
};

/// Makes the tables refuse every row of a fingerprint from now on.
pub type Refuse<'a> = &'a dyn Fn(Fingerprint);

/// Holds a store to all of it. Each function uses a shard and fingerprints of its own.
pub fn every(errors: &dyn Errors, refuse: Refuse<'_>) {
    refused_rows_are_set_aside_alone(errors, refuse);
    a_range_of_nothing_but_refused_rows_moves_on(errors, refuse);
    what_does_not_apply_is_not_set_aside(errors, refuse);
    refused_words_are_set_aside_alone(errors, refuse);
}

fn dead(writer: &mut dyn ErrorsWriter, shard: u16) -> DeadLetters {
    writer.settled(Shard(shard)).expect("the store answers").dead
}

/// All of a refused fingerprint is set aside, also rows that might be taken, and nothing else; the
/// guards move on, by the events that are counted.
pub fn refused_rows_are_set_aside_alone(errors: &dyn Errors, refuse: Refuse<'_>) {
    let (mut writer, mut reader, claim) = (errors.writer(), errors.reader(), claim(30, 1));
    writer.take_guards(&claim).expect("the store answers");
    let at = 1_700_000_000_000;
    // two parts; every fingerprint in two windows, the later with one event more
    let rows: Vec<CountRow> = [30_u8, 31]
        .into_iter()
        .flat_map(|part| (0..1_100).map(move |n| fingerprint(part, n)))
        .flat_map(|key| [row(key, 2, at, at + 5), row(key, 3, at + 60_000, at + 60_001)])
        .collect();
    let refused = [(30, 0), (30, 517), (30, 518), (31, 1_099)].map(|(p, n)| fingerprint(p, n));
    for key in refused {
        refuse(key);
    }
    let expected = DeadLetters { rows: 8, events: 20 };
    let added = Added { new_errors: 2_196, dead: expected };
    assert_eq!(apply(&mut *writer, &claim, (0, 7), &rows), Applied::Done(added));
    assert_eq!(apply(&mut *writer, &claim, (0, 7), &rows), Applied::GuardMoved);

    for key in rows.iter().map(|row| row.fingerprint) {
        let read = reader.read(Shard(30), &key).expect("the store answers");
        let count = if refused.contains(&key) { 0 } else { 5 };
        assert_eq!((read.count, read.epoch), (count, Epoch(7)), "{key}");
    }
    let settled = writer.settled(Shard(30)).expect("the store answers");
    let events = [30, 31].map(|part: usize| settled.guards[part].events);
    assert_eq!(events, [5 * 1_097, 5 * 1_099]);
    assert_eq!((settled.dead, settled.dropped()), (expected, 0));
    assert_eq!(settled.events(), 5 * 2_200);

    // the next epoch adds to what is there
    let next = [row(refused[0], 4, at, at), row(fingerprint(30, 1), 1, at, at)];
    let more = Added { new_errors: 0, dead: DeadLetters { rows: 1, events: 4 } };
    assert_eq!(apply(&mut *writer, &claim, (7, 8), &next), Applied::Done(more));
    assert_eq!(dead(&mut *writer, 30), DeadLetters { rows: 9, events: 24 });
    assert_eq!(dead(&mut *writer, 31), DeadLetters::default(), "another shard's");
}

/// A guard moves although nothing of its epoch is counted.
pub fn a_range_of_nothing_but_refused_rows_moves_on(errors: &dyn Errors, refuse: Refuse<'_>) {
    let (mut writer, claim) = (errors.writer(), claim(32, 1));
    writer.take_guards(&claim).expect("the store answers");
    let key = fingerprint(32, 1);
    refuse(key);
    let rows = [row(key, 7, 0, 0)];
    let added = Added { new_errors: 0, dead: DeadLetters { rows: 1, events: 7 } };
    assert_eq!(apply(&mut *writer, &claim, (0, 3), &rows), Applied::Done(added));
    let guard = writer.guards(Shard(32)).expect("the store answers")[32];
    assert_eq!((guard.epoch, guard.events), (Epoch(3), 0));
}

/// A range that its guards do not let in leaves no dead letters.
pub fn what_does_not_apply_is_not_set_aside(errors: &dyn Errors, refuse: Refuse<'_>) {
    let (mut writer, claim) = (errors.writer(), claim(33, 1));
    writer.take_guards(&claim).expect("the store answers");
    let key = fingerprint(33, 1);
    refuse(key);
    let rows = [row(key, 7, 0, 0)];
    assert_eq!(apply(&mut *writer, &claim, (1, 3), &rows), Applied::GuardMoved);
    assert_eq!(dead(&mut *writer, 33), DeadLetters::default());
}

/// Words that are refused do not hold up others, and are set aside once however often they come.
pub fn refused_words_are_set_aside_alone(errors: &dyn Errors, refuse: Refuse<'_>) {
    let mut writer = errors.writer();
    let words: Vec<DetailsRow> = (0..1_100)
        .map(|n| {
            let payload = Payload { message: format!("words {n}"), ..Payload::default() };
            (fingerprint(34, n), Arc::new(Details { rule: RuleVersion(1), payload }))
        })
        .collect();
    let refused = [fingerprint(34, 3), fingerprint(34, 1_000)];
    for key in refused {
        refuse(key);
    }
    for _ in 0..2 {
        let dead = writer.insert_details(Shard(34), &words).expect("the store answers");
        assert_eq!(dead, DeadLetters { rows: 2, events: 0 });
    }
    let mut reader = errors.reader();
    for (key, _) in &words {
        let read = reader.read(Shard(34), key).expect("the store answers");
        assert_eq!(read.details.is_none(), refused.contains(key), "{key}");
    }
    assert_eq!(dead(&mut *writer, 34), DeadLetters { rows: 2, events: 0 });
}
