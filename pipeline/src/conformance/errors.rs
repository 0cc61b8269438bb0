//! What is expected of a store of errors: guards, counts and windows.

use std::{sync::Arc, thread, time::Duration};

use errsift_ops::{
    event::Payload,
    fingerprint::{Fingerprint, RuleVersion},
    flight::Details,
    id::{Epoch, Nonce, Part, Seq, Shard, Term},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};

use super::{details, fingerprint};
use crate::ports::{
    errors::{
        Applied, Claim, CountRow, DeadLetters, Errors, ErrorsReader, ErrorsWriter, Guard, PartStep,
        Range,
    },
    words::{Words, WordsFrontier},
};

/// Holds a store that is still empty to all of it. Each function uses a shard and fingerprints of
/// its own.
pub fn every(errors: &dyn Errors) {
    guards_are_taken_once(errors);
    an_older_term_cannot_apply(errors);
    epochs_apply_in_order_and_once(errors);
    a_range_is_all_or_nothing(errors);
    counts_sum_and_spans_widen(errors);
    a_large_range_fits(errors);
    a_range_waits_for_its_words(errors);
    an_error_is_new_once(errors);
    shards_are_apart(errors);
    an_unknown_error_is_nothing(errors);
    details::every(errors);
}

/// The claim of `term` on `shard`, with a nonce that uses all its bits.
pub fn claim(shard: u16, term: u64) -> Claim {
    Claim { shard: Shard(shard), term: Term(term), nonce: Nonce(u64::MAX - term) }
}

/// A row of `count` events between `first` and `last`, in the window of `first`.
pub fn row(fingerprint: Fingerprint, count: u64, first: i64, last: i64) -> CountRow {
    let (first, last) = (Timestamp::from_millis(first), Timestamp::from_millis(last));
    CountRow { fingerprint, window: Window::of(first), tally: Tally { count, first, last } }
}

/// Applies `rows` to their parts; the guards go from `after` to `upto`, and flights with them.
pub fn apply(
    writer: &mut dyn ErrorsWriter,
    claim: &Claim,
    epochs: (u64, u64),
    rows: &[CountRow],
) -> Applied {
    apply_behind(Words::NONE, writer, claim, epochs, rows)
}

fn apply_behind(
    words: Words<'_>,
    writer: &mut dyn ErrorsWriter,
    claim: &Claim,
    (after, upto): (u64, u64),
    rows: &[CountRow],
) -> Applied {
    let parts: Vec<PartStep> = rows
        .chunk_by(|a, b| a.fingerprint.part() == b.fingerprint.part())
        .map(|rows| PartStep {
            part: rows[0].fingerprint.part(),
            events: rows.iter().map(|row| row.tally.count).sum(),
        })
        .collect();
    let (after, upto, seq) = (Epoch(after), Epoch(upto), Seq(upto * 10));
    let range = Range { after, upto, seq, parts: &parts, rows, words };
    writer.apply(claim, &range).expect("the store answers")
}

fn count(reader: &mut dyn ErrorsReader, shard: u16, fingerprint: &Fingerprint) -> u64 {
    reader.read(Shard(shard), fingerprint).expect("the store answers").count
}

/// Rows of older terms are taken, the writer's own stay as they are, newer ones are left alone.
pub fn guards_are_taken_once(errors: &dyn Errors) {
    let mut writer = errors.writer();
    let missing = writer.guards(Shard(1)).expect("the store answers");
    assert_eq!(missing, [Guard::default(); Part::COUNT]);

    let (first, second) = (claim(1, 1), claim(1, 2));
    let held = |claim: Claim| Guard { term: claim.term, nonce: claim.nonce, ..Guard::default() };
    let taken = writer.take_guards(&first).expect("the store answers");
    assert_eq!(taken, [held(first); Part::COUNT]);
    let rival = Claim { nonce: Nonce(7), ..first };
    assert_eq!(writer.take_guards(&rival).expect("the store answers"), taken);

    let taken = errors.writer().take_guards(&second).expect("the store answers");
    assert_eq!(taken, [held(second); Part::COUNT]);
    assert_eq!(writer.take_guards(&first).expect("the store answers"), taken);
    assert_eq!(writer.guards(Shard(1)).expect("the store answers"), taken);
}

/// What a fenced writer sends is not applied, and neither is a rival's of the same term.
pub fn an_older_term_cannot_apply(errors: &dyn Errors) {
    let (mut old, mut new) = (errors.writer(), errors.writer());
    let rows = [row(fingerprint(2, 1), 1, 1000, 1000)];
    old.take_guards(&claim(2, 1)).expect("the store answers");
    assert!(apply(&mut *old, &claim(2, 1), (0, 5), &rows).is_whole());
    new.take_guards(&claim(2, 2)).expect("the store answers");
    assert_eq!(apply(&mut *old, &claim(2, 1), (5, 6), &rows), Applied::GuardMoved);
    let rival = Claim { nonce: Nonce(7), ..claim(2, 2) };
    assert_eq!(apply(&mut *old, &rival, (5, 6), &rows), Applied::GuardMoved);
    assert!(apply(&mut *new, &claim(2, 2), (5, 6), &rows).is_whole());
    assert_eq!(count(&mut *errors.reader(), 2, &rows[0].fingerprint), 2);
}

/// A range applies only from where its guard stands, and so never twice.
pub fn epochs_apply_in_order_and_once(errors: &dyn Errors) {
    let (mut writer, claim) = (errors.writer(), claim(3, 1));
    let rows = [row(fingerprint(3, 1), 4, 1000, 2000)];
    writer.take_guards(&claim).expect("the store answers");
    assert_eq!(apply(&mut *writer, &claim, (1, 2), &rows), Applied::GuardMoved);
    assert!(apply(&mut *writer, &claim, (0, 2), &rows).is_whole());
    assert_eq!(apply(&mut *writer, &claim, (0, 2), &rows), Applied::GuardMoved);
    assert_eq!(apply(&mut *writer, &claim, (0, 3), &rows), Applied::GuardMoved);
    // an epoch may be skipped: numbers follow the clock
    assert!(apply(&mut *writer, &claim, (2, 1_700_000_000), &rows).is_whole());

    let read = errors.reader().read(Shard(3), &rows[0].fingerprint).expect("the store answers");
    assert_eq!((read.count, read.epoch), (8, Epoch(1_700_000_000)));
    let guards = writer.guards(Shard(3)).expect("the store answers");
    let stands = Guard {
        term: claim.term,
        nonce: claim.nonce,
        epoch: Epoch(1_700_000_000),
        seq: Seq(17_000_000_000),
        events: 8,
        dropped: 0,
    };
    assert_eq!(guards[3], stands);
    assert_eq!(guards[4], Guard { term: claim.term, nonce: claim.nonce, ..Guard::default() });
}

/// One part in the wrong place stops the whole range; a part without rows moves on with the rest.
pub fn a_range_is_all_or_nothing(errors: &dyn Errors) {
    let (mut writer, claim) = (errors.writer(), claim(4, 1));
    let (left, right) = (row(fingerprint(5, 4), 1, 0, 0), row(fingerprint(6, 4), 2, 0, 0));
    writer.take_guards(&claim).expect("the store answers");
    assert!(apply(&mut *writer, &claim, (0, 1), &[right]).is_whole());
    assert_eq!(apply(&mut *writer, &claim, (0, 1), &[left, right]), Applied::GuardMoved);
    assert_eq!(count(&mut *errors.reader(), 4, &left.fingerprint), 0);
    assert_eq!(count(&mut *errors.reader(), 4, &right.fingerprint), 2);

    let empty = Part::all().filter(|part| part.index() != 6);
    let parts: Vec<PartStep> = empty.map(|part| PartStep { part, events: 0 }).collect();
    let (after, upto, seq, words) = (Epoch(0), Epoch(1), Seq(10), Words::NONE);
    let range = Range { after, upto, seq, parts: &parts, rows: &[], words };
    assert!(writer.apply(&claim, &range).expect("the store answers").is_whole());
    let guards = writer.guards(Shard(4)).expect("the store answers");
    assert!(guards.iter().all(|guard| (guard.epoch, guard.seq) == (Epoch(1), Seq(10))));
    assert_eq!(guards.iter().map(|guard| guard.events).sum::<u64>(), 2);
}

/// Counts add up over windows and ranges; first seen only falls and last seen only rises.
pub fn counts_sum_and_spans_widen(errors: &dyn Errors) {
    let (mut writer, mut reader, claim) = (errors.writer(), errors.reader(), claim(5, 1));
    let key = fingerprint(7, 1);
    writer.take_guards(&claim).expect("the store answers");
    let millis = Timestamp::from_millis;
    let mut expect = |rows: &[CountRow], epochs, count, first, last| {
        assert!(apply(&mut *writer, &claim, epochs, rows).is_whole());
        let read = reader.read(Shard(5), &key).expect("the store answers");
        assert_eq!((read.count, read.epoch), (count, Epoch(epochs.1)));
        assert_eq!((read.first_seen, read.last_seen), (Some(millis(first)), Some(millis(last))));
        assert_eq!(read.details, None);
    };
    let now = 1_700_000_010_123;
    expect(
        &[row(key, 2, now, now + 1), row(key, 3, now + 60_000, now + 60_007)],
        (0, 1),
        5,
        now,
        now + 60_007,
    );
    // an older event arrives late
    expect(&[row(key, 1, 999, 999)], (1, 2), 6, 999, now + 60_007);
    // a count too large for 32 bits, at the edges of what a timestamp can say
    let latest = Timestamp::MAX.millis();
    expect(
        &[row(key, 5_000_000_000, 0, 0), row(key, 1, latest, latest)],
        (2, 3),
        5_000_000_007,
        0,
        latest,
    );
}

/// A range of more rows than one statement carries is still one range.
pub fn a_large_range_fits(errors: &dyn Errors) {
    let (mut writer, mut reader, claim) = (errors.writer(), errors.reader(), claim(6, 1));
    writer.take_guards(&claim).expect("the store answers");
    let rows: Vec<CountRow> = (0..5003)
        .map(|n| {
            let at = 1_700_000_000_000 + i64::from(n % 2) * Window::LENGTH_MS;
            row(fingerprint(8, n / 2), u64::from(n) + 1, at, at + 1)
        })
        .collect();
    assert!(apply(&mut *writer, &claim, (0, 1), &rows).is_whole());
    assert_eq!(apply(&mut *writer, &claim, (0, 1), &rows), Applied::GuardMoved);
    for n in [0_u32, 1, 999, 1000, 2500] {
        let pair = u64::from(2 * n + 1) + u64::from(2 * n + 2);
        assert_eq!(count(&mut *reader, 6, &fingerprint(8, n)), pair, "{n}");
    }
    assert_eq!(count(&mut *reader, 6, &fingerprint(8, 2501)), 5003);
    let guards = writer.guards(Shard(6)).expect("the store answers");
    assert_eq!(guards[8].events, 5003 * 5004 / 2);
}

/// Nobody sees what a range counts before its words are stored, and they can be stored meanwhile.
pub fn a_range_waits_for_its_words(errors: &dyn Errors) {
    let (mut writer, claim) = (errors.writer(), claim(11, 1));
    let rows: Vec<CountRow> = (0..1_500).map(|n| row(fingerprint(36, n), 2, 0, 0)).collect();
    let first = &rows[0].fingerprint;
    let taken = writer.take_guards(&claim).expect("the store answers");
    let frontier = WordsFrontier::new(Some(1));
    let mut words = Words { frontier: &frontier, time: 1, patience: Duration::from_millis(50) };
    assert_eq!(apply_behind(words, &mut *writer, &claim, (0, 1), &rows), Applied::WordsLate);
    assert_eq!(count(&mut *errors.reader(), 11, first), 0);
    assert_eq!(writer.guards(Shard(11)).expect("the store answers"), taken);

    words.patience = Duration::from_secs(60);
    let applied = thread::scope(|scope| {
        let applying =
            scope.spawn(|| apply_behind(words, &mut *writer, &claim, (0, 1), &rows).is_whole());
        let details = Details { rule: RuleVersion(1), payload: Payload::default() };
        let stored = errors.writer().insert_details(Shard(11), &[(*first, Arc::new(details))]);
        assert_eq!(stored.expect("the store answers"), DeadLetters::default());
        thread::sleep(Duration::from_millis(200));
        assert_eq!(count(&mut *errors.reader(), 11, first), 0);
        frontier.move_to(Some(2));
        applying.join().expect("it ends")
    });
    assert!(applied);
    assert_eq!(count(&mut *errors.reader(), 11, first), 2);
}

/// An error is new when the first of its events is counted, in however many windows, and never again.
pub fn an_error_is_new_once(errors: &dyn Errors) {
    let (mut writer, claim) = (errors.writer(), claim(10, 1));
    writer.take_guards(&claim).expect("the store answers");
    let mut new_errors = |epochs, rows: &[CountRow]| match apply(&mut *writer, &claim, epochs, rows)
    {
        Applied::Done(added) => added.new_errors,
        Applied::GuardMoved | Applied::WordsLate => panic!("nobody else writes"),
    };
    let rows: Vec<CountRow> = (0..1_500).map(|n| row(fingerprint(35, n), 1, 0, 0)).collect();
    assert_eq!(new_errors((0, 1), &rows), 1_500);
    assert_eq!(new_errors((1, 2), &rows), 0);
    let (known, new) = (fingerprint(35, 1_499), fingerprint(35, 1_500));
    let rows = [row(known, 1, 0, 0), row(new, 1, 0, 0), row(new, 1, 60_000, 60_000)];
    assert_eq!(new_errors((2, 3), &rows), 1);
}

/// Shards share counts and not guards.
pub fn shards_are_apart(errors: &dyn Errors) {
    let (mut writer, mut reader) = (errors.writer(), errors.reader());
    let rows = [row(fingerprint(9, 1), 1, 0, 0)];
    for shard in [7, 8] {
        writer.take_guards(&claim(shard, 1)).expect("the store answers");
    }
    assert!(apply(&mut *writer, &claim(7, 1), (0, 3), &rows).is_whole());
    assert!(apply(&mut *writer, &claim(8, 1), (0, 4), &rows).is_whole());
    for (shard, epoch) in [(7, Epoch(3)), (8, Epoch(4))] {
        let read = reader.read(Shard(shard), &rows[0].fingerprint).expect("the store answers");
        assert_eq!((read.count, read.epoch), (2, epoch));
    }
}

/// An error nobody has seen has no words, no count, no times, and the epoch of its part.
pub fn an_unknown_error_is_nothing(errors: &dyn Errors) {
    let read = errors.reader().read(Shard(9), &fingerprint(63, 9)).expect("the store answers");
    assert_eq!((read.details, read.count, read.epoch), (None, 0, Epoch(0)));
    assert_eq!((read.first_seen, read.last_seen), (None, None));
}
