//! What is expected of a store of errors: the words.

use std::sync::Arc;

use errsift_ops::{
    event::{Payload, limit},
    fingerprint::{Fingerprint, RuleVersion},
    flight::Details,
    id::Shard,
    timestamp::Timestamp,
};

use super::{
    errors::{apply, claim, row},
    fingerprint,
};
use crate::ports::errors::{DetailsRow, ErrorRow, Errors};

/// Texts that something on the way might take for more than text.
pub const NAUGHTY: &[&str] = &[
    "",
    " ",
    "trailing ",
    "\0",
    "a\0b\0",
    "'",
    "\"",
    "`",
    "\\",
    "\\'; DROP TABLE error_details; -- ",
    "%_?:name@var$1",
    "NULL",
    "line\r\nline\ttab\u{b}\u{c}\u{1a}\u{1b}[31m\u{7f}\u{80}",
    "\u{feff}mark\u{fffd}\u{ffff}",
    "caf\u{e9} cafe\u{301}",
    "\u{1f469}\u{200d}\u{1f680}\u{1f1e9}\u{1f1ea}\u{10ffff}",
    "\u{202e}right to left\u{202c} \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{645}\u{631}\u{62d}\u{628}\u{627}",
    "{\"json\": [\"\\u0000\"]}",
];

/// Holds a store to all of it.
pub fn every(errors: &dyn Errors) {
    the_first_to_come_stays(errors);
    words_come_back_byte_for_byte(errors);
    the_longest_words_fit(errors);
    a_large_call_fits(errors);
    a_snapshot_has_all_fields(errors);
}

fn details(fingerprint: Fingerprint, rule: u16, payload: Payload) -> DetailsRow {
    (fingerprint, Arc::new(Details { rule: RuleVersion(rule), payload }))
}

fn message(text: &str) -> Payload {
    Payload { message: text.to_owned(), ..Payload::default() }
}

/// `text` in each of the fields.
fn filled(text: &str) -> Payload {
    let text = || text.to_owned();
    Payload {
        message: text(),
        stack_trace: Some(text()),
        kind: Some(text()),
        level: Some(text()),
        service: Some(text()),
        environment: Some(text()),
        release: Some(text()),
        tags: vec![(text(), text()), ("z".to_owned(), text()), ("a".to_owned(), text())],
    }
}

fn read(errors: &dyn Errors, fingerprint: &Fingerprint) -> ErrorRow {
    errors.reader().read(Shard(20), fingerprint).expect("the store answers")
}

/// Words are stored once: a second row changes nothing, in the same call or a later one.
pub fn the_first_to_come_stays(errors: &dyn Errors) {
    let (key, mut writer) = (fingerprint(20, 1), errors.writer());
    let rows = [details(key, 1, message("first")), details(key, 2, message("second"))];
    writer.insert_details(Shard(20), &rows).expect("the store answers");
    writer
        .insert_details(Shard(20), &[details(key, 3, message("third"))])
        .expect("the store answers");
    writer.insert_details(Shard(20), &[]).expect("the store answers");
    let stored = read(errors, &key);
    assert_eq!(stored.details, Some((RuleVersion(1), message("first"))));
    assert_eq!((stored.count, stored.first_seen, stored.last_seen), (0, None, None));
}

/// Every field keeps every byte, and nothing at all is not the empty text.
pub fn words_come_back_byte_for_byte(errors: &dyn Errors) {
    let rows: Vec<DetailsRow> = (0..)
        .zip(NAUGHTY)
        .map(|(n, text)| details(fingerprint(21, n), u16::MAX, filled(text)))
        .chain([details(fingerprint(21, 999), 0, Payload::default())])
        .collect();
    errors.writer().insert_details(Shard(20), &rows).expect("the store answers");
    for (fingerprint, stored) in rows {
        let expected = Some((stored.rule, stored.payload.clone()));
        assert_eq!(read(errors, &fingerprint).details, expected);
    }
}

/// Each field at its limit, in the characters that take the most room.
pub fn the_longest_words_fit(errors: &dyn Errors) {
    for (n, character) in (0..).zip(["\u{1f4a5}", "\0", "x"]) {
        let label = || Some(character.repeat(limit::LABEL_CHARS));
        let payload = Payload {
            message: character.repeat(limit::MESSAGE_CHARS),
            stack_trace: Some(character.repeat(limit::STACK_TRACE_BYTES / character.len())),
            kind: label(),
            level: label(),
            service: label(),
            environment: label(),
            release: label(),
            tags: (0..limit::TAGS)
                .map(|_| {
                    let key = character.repeat(limit::TAG_KEY_CHARS);
                    (key, character.repeat(limit::TAG_VALUE_CHARS))
                })
                .collect(),
        };
        let row = details(fingerprint(22, n), 1, payload.clone());
        errors.writer().insert_details(Shard(20), &[row]).expect("the store answers");
        let stored = read(errors, &fingerprint(22, n)).details;
        assert!(stored == Some((RuleVersion(1), payload)), "{character:?}");
    }
}

/// A call of more rows, and of more bytes, than one statement carries.
pub fn a_large_call_fits(errors: &dyn Errors) {
    let mut writer = errors.writer();
    let trace = "at frame (file.js:1:1)\n".repeat(3000);
    let long = |n| Payload { stack_trace: Some(trace.clone()), ..message(&format!("long {n}")) };
    let rows: Vec<_> = (0..100).map(|n| details(fingerprint(23, n), 1, long(n))).collect();
    let bytes: usize = rows.iter().map(|(_, details)| details.payload.text_bytes()).sum();
    assert!(bytes > 4 << 20, "{bytes}");
    writer.insert_details(Shard(20), &rows).expect("the store answers");
    let short = |n| message(&format!("short {n}"));
    let rows: Vec<_> = (0..2500).map(|n| details(fingerprint(24, n), 1, short(n))).collect();
    writer.insert_details(Shard(20), &rows).expect("the store answers");
    for n in [0, 57, 99] {
        assert!(read(errors, &fingerprint(23, n)).details == Some((RuleVersion(1), long(n))));
    }
    for n in [0, 999, 1000, 2499] {
        assert_eq!(read(errors, &fingerprint(24, n)).details, Some((RuleVersion(1), short(n))));
    }
}

/// Words, count, times and guard of one error, together.
pub fn a_snapshot_has_all_fields(errors: &dyn Errors) {
    let (key, mut writer, claim) = (fingerprint(25, 1), errors.writer(), claim(20, 1));
    let payload = Payload { tags: vec![("k".to_owned(), "v".to_owned())], ..filled("all") };
    writer.take_guards(&claim).expect("the store answers");
    writer
        .insert_details(Shard(20), &[details(key, 1, payload.clone())])
        .expect("the store answers");
    let rows = [row(key, 3, 1_700_000_000_001, 1_700_000_000_999)];
    assert!(apply(&mut *writer, &claim, (0, 1_700_000_030), &rows).is_whole());
    let expected = ErrorRow {
        details: Some((RuleVersion(1), payload)),
        count: 3,
        first_seen: Some(Timestamp::from_millis(1_700_000_000_001)),
        last_seen: Some(Timestamp::from_millis(1_700_000_000_999)),
        epoch: errsift_ops::id::Epoch(1_700_000_030),
    };
    assert_eq!(read(errors, &key), expected);
}
