//! A batch is what its events are one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{body::Fault, event::Event, scan};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// What a batch comes to, however it was reckoned.
#[derive(Debug, Default, PartialEq)]
struct Sum {
    entries: BTreeMap<(Fingerprint, Window), Tally>,
    identified: Vec<(EventId, Fingerprint, Timestamp)>,
    /// The words of each error's first event.
    details: BTreeMap<Fingerprint, Details>,
    clamped: u64,
    rejected: Vec<(usize, Fault)>,
}

fn one_by_one(items: &[Vec<u8>], service: Option<&str>) -> Sum {
    let mut sum = Sum::default();
    for (index, item) in items.iter().enumerate() {
        match body::read(item, NOW).and_then(|event| decode::of(event, service)) {
            Ok(event) => count(&mut sum, event),
            Err(fault) => sum.rejected.push((index, fault)),
        }
    }
    sum
}

fn count(sum: &mut Sum, event: Event) {
    let (fingerprint, at) = (Fingerprint::of(&event), event.timestamp);
    sum.clamped += u64::from(event.clamped);
    if let Some(id) = event.event_id {
        let id = id.within(event.service.as_deref());
        sum.identified.push((id, fingerprint, at));
    } else {
        let none = Tally { count: 0, ..Tally::one(at) };
        let entry = sum.entries.entry((fingerprint, Window::of(at))).or_insert(none);
        entry.fold(&Tally::one(at));
    }
    let details = || Details { rule: RULE, payload: event.into() };
    sum.details.entry(fingerprint).or_insert_with(details);
}

fn folded(items: &[Vec<u8>], service: Option<&str>) -> Sum {
    let mut fold = Fold::new(NOW, service.map(Arc::from));
    for item in items {
        fold.take(Item::Text(item)).unwrap();
    }
    sum_of(fold)
}

fn sum_of(fold: Fold) -> Sum {
    let rejected = fold.rejected().iter().map(|one| (one.index, one.fault.clone())).collect();
    assert_eq!(fold.rejected_events(), fold.rejected().len() as u64);
    let folded = fold.finish();
    let name = |error: u32| folded.errors[error as usize].fingerprint;
    let mut sum = Sum { clamped: folded.clamped, rejected, ..Sum::default() };
    for Counted { error, window, tally } in &folded.entries {
        assert!(sum.entries.insert((name(*error), *window), *tally).is_none(), "twice");
    }
    for Identified { id, error, at } in &folded.identified {
        sum.identified.push((*id, name(*error), *at));
    }
    for error in 0..u32::try_from(folded.errors.len()).unwrap() {
        let details = folded.details(error).expect("words");
        assert!(sum.details.insert(name(error), (*details).clone()).is_none(), "twice");
    }
    let events = sum.entries.values().map(|tally| tally.count).sum::<u64>();
    assert_eq!(folded.events(), events + sum.identified.len() as u64);
    sum
}

fn is_scanned(text: &str) -> bool {
    scan::event(text).is_some()
}

#[test]
fn what_clients_send_is_scanned() {
    for plain in [
        r#"{"message":"m"}"#,
        " {\t\"message\" : \"\" ,\r\n\"stackTrace\":\"at f\\n\\tat g \\u00e9\" } ",
        r#"{"message":"é\"","type":"T","level":"error","service":"api","environment":"prod","release":"1"}"#,
        r#"{"message":"m","timestamp":"2023-11-14T22:13:20.123Z","tags":{"a":"1","b":"x\\"}}"#,
        r#"{"message":"m","timestamp":1700000000,"tags":{},"fingerprint":null,"level":null}"#,
        r#"{"message":"m","timestamp":1700000000123,"eventId":"01234567-89ab-cdef-0123-456789abcdef"}"#,
    ] {
        assert!(is_scanned(plain), "{plain}");
    }
}

#[test]
fn what_may_be_wrong_is_left_to_be_read() {
    for other in [
        "",
        "{}",
        "null",
        "[]",
        r#"{"message":null}"#,
        r#"{"message":"m",}"#,
        r#"{"message":"m"}x"#,
        r#"{"message":"m"}{"message":"m"}"#,
        r#"{"message":"m","message":"m"}"#,
        r#"{"mess\u0061ge":"m"}"#,
        r#"{"message":"\ud83e\udd26"}"#,
        r#"{"message":"\ud800"}"#,
        r#"{"message":"\x"}"#,
        "{\"message\":\"\n\"}",
        r#"{"message":"m","unknown":1}"#,
        r#"{"message":"m","fingerprint":["a"]}"#,
        r#"{"message":"m","timestamp":01}"#,
        r#"{"message":"m","timestamp":1.5}"#,
        r#"{"message":"m","timestamp":1e3}"#,
        r#"{"message":"m","timestamp":-1}"#,
        r#"{"message":"m","timestamp":"soon"}"#,
        r#"{"message":"m","tags":{"a":"1","a":"2"}}"#,
        r#"{"message":"m","tags":{"a":1}}"#,
        r#"{"message":"m","tags":{"a":"1",}}"#,
        r#"{"message":"m","eventId":"x"}"#,
        r#"{"message":"m" "level":"x"}"#,
        r#"{"message":"m","level":nul}"#,
        r#"{"message":"m"#,
    ] {
        assert!(!is_scanned(other), "{other}");
        assert_eq!(folded(&[other.into()], None), one_by_one(&[other.into()], None), "{other}");
    }
}

#[test]
fn too_many_events_are_no_batch_and_too_long_ones_are_rejected() {
    let mut fold = Fold::new(NOW, None);
    for _ in 1..EVENTS_MAX {
        fold.take(Item::Text(br#"{"message":"m"}"#)).unwrap();
    }
    fold.take(Item::TooLong).unwrap();
    assert_eq!(fold.rejected()[0].fault.to_string(), "longer than 262144 bytes");
    assert_eq!(fold.take(Item::TooLong), Err(Full));
    assert_eq!(fold.finish().events(), EVENTS_MAX as u64 - 1);
}

#[test]
fn words_about_rejected_events_have_a_limit_and_their_number_has_none() {
    let mut fold = Fold::new(NOW, None);
    for _ in 0..EVENTS_MAX {
        fold.take(Item::Text(b"{}")).unwrap();
    }
    assert_eq!(fold.rejected_events(), EVENTS_MAX as u64);
    let shown = fold.rejected().len();
    assert!((100..1_000).contains(&shown), "{shown}");
    assert_eq!(fold.rejected()[shown - 1].index, shown - 1);
}

fn split(format: Format, pieces: &[&[u8]]) -> Result<Vec<String>, Malformed> {
    let mut split = Split::new(format);
    let mut items = Vec::new();
    let mut take = |item: Item<'_>| {
        items.push(match item {
            Item::Text(text) => String::from_utf8_lossy(text).trim().to_owned(),
            Item::TooLong => "too long".to_owned(),
        });
        Ok(())
    };
    for piece in pieces {
        split.feed::<Malformed>(piece, &mut take)?;
    }
    split.finish::<Malformed>(&mut take)?;
    Ok(items)
}

/// Splits `body` whole, byte by byte, and in two at every place: always the same.
fn split_anyhow(format: Format, body: &str) -> Result<Vec<String>, Malformed> {
    let body = body.as_bytes();
    let whole = split(format, &[body]);
    assert_eq!(split(format, &body.chunks(1).collect::<Vec<_>>()), whole);
    for at in 0..body.len() {
        assert_eq!(split(format, &[&body[..at], &body[at..]]), whole, "in two at {at}");
    }
    whole
}

#[test]
fn lines_and_arrays_are_split_wherever_pieces_end() {
    let items = |body: &str| split_anyhow(Format::Either, body).unwrap();
    assert_eq!(items(""), [""; 0]);
    assert_eq!(items(" \r\n\n \t"), [""; 0]);
    assert_eq!(items("{\"a\":1}\r\n\n  \n{\"b\"\n[1]"), ["{\"a\":1}", "{\"b\"", "[1]"]);
    assert_eq!(items("\n\n{}\n"), ["{}"]);
    assert_eq!(items(" [ ] \n"), [""; 0]);
    assert_eq!(
        items(r#" [{"a":"]}\",["},[1,[2]] , "x\\", 1.5e3,null ,true]"#),
        [r#"{"a":"]}\",["}"#, "[1,[2]]", r#""x\\""#, "1.5e3", "null", "true"]
    );
    assert_eq!(items("[{\n\"a\":{\"b\":[]}\n}\n,\n{}]"), ["{\n\"a\":{\"b\":[]}\n}", "{}"]);
    let lines = |body: &str| split_anyhow(Format::Lines, body).unwrap();
    assert_eq!(lines("[{}]\n{}"), ["[{}]", "{}"]);
}

#[test]
fn an_array_that_is_none_is_said_so() {
    for (body, wrong) in [
        ("[", Malformed::NoEnd),
        ("[{}", Malformed::NoEnd),
        ("[{},", Malformed::NoEnd),
        ("[{\"a\":\"]\"", Malformed::NoEnd),
        ("[{} {}]", Malformed::Separator(0)),
        ("[{},{}:{}]", Malformed::Separator(1)),
        ("[{},]", Malformed::Element(1)),
        ("[,{}]", Malformed::Element(0)),
        ("[}]", Malformed::Element(0)),
        ("[{}]]", Malformed::Tail),
        ("[{}]{}", Malformed::Tail),
    ] {
        assert_eq!(split_anyhow(Format::Either, body), Err(wrong), "{body}");
    }
}

#[test]
fn an_item_that_is_too_long_is_passed_over() {
    let long = "x".repeat(ITEM_BYTES_MAX);
    let at_most = split(Format::Lines, &[long.as_bytes(), b"\n{}"]).unwrap();
    assert_eq!((at_most[0].len(), at_most[1].as_str()), (ITEM_BYTES_MAX, "{}"));
    let body = format!("{long}y\n{{}}\n");
    for pieces in [vec![body.as_bytes()], body.as_bytes().chunks(1_000).collect()] {
        assert_eq!(split(Format::Lines, &pieces).unwrap(), ["too long", "{}"]);
    }
    let body = format!("[\"{long}\",{{}}]");
    for pieces in [vec![body.as_bytes()], body.as_bytes().chunks(1_000).collect()] {
        assert_eq!(split(Format::Either, &pieces).unwrap(), ["too long", "{}"]);
    }
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["m", "", "api", "web", "é", "0123456789abcdef0123456789abcdef"])
            .prop_map(str::to_owned),
        2 => prop::sample::select(vec![
            r"a\nb", r#"\""#, r"\u0041", "A", r"\ud83e\udd26", r"\ud800", r"\x", r"\u00g0", "\u{1}",
            r"\\", r"\/", "/", "12345678\"", "1234567\\n", "a longer text, without anything in it",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,20}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => string().prop_map(|text| format!("\"{text}\"")),
        2 => Just("null".to_owned()),
        1 => prop::sample::select(vec![
            "1", "1700000000", "1700000030000", "1800000000000", "-1", "1.5", "01", "1e9", "true",
            "[]", "[\"a\",\"b\"]", "{}", "{\"a\":\"1\"}", "{\"a\":\"1\",\"a\":\"2\"}",
            "{\"a\":\"1\" , \"b\":\"\"}", "{\"a\":1}", "\"2023-11-14T22:13:20.123Z\"",
            "\"2023-11-14T22:13:59+01:00\"", "nul", "\"", "",
        ]).prop_map(str::to_owned),
    ]
}

fn key() -> impl Strategy<Value = String> {
    let names = vec![
        "stackTrace",
        "type",
        "level",
        "service",
        "environment",
        "release",
        "timestamp",
        "timestamp",
        "eventId",
        "fingerprint",
        "tags",
        "tags",
        "message",
        "service",
        "other",
        r"servic\u0065",
    ];
    prop::sample::select(names).prop_map(str::to_owned)
}

/// Most are events; what is wrong with the others is one thing.
fn event() -> impl Strategy<Value = Vec<u8>> {
    let rest = prop::collection::vec((key(), value()), 0..4);
    let space = prop::sample::select(vec!["", "", "", " ", "\t\r\n "]);
    (string(), rest, space, 0..40_usize).prop_map(|(message, rest, space, cut)| {
        let mut text = format!("{space}{{{space}\"message\"{space}:{space}\"{message}\"");
        for (key, value) in rest {
            text = format!("{text}{space},{space}\"{key}\":{space}{value}");
        }
        let mut text = format!("{text}{space}}}{space}").into_bytes();
        match cut {
            0 => text.truncate(text.len() / 2),
            1 => text.push(b'x'),
            2 => text.insert(text.len() / 2, 0xff),
            _ => {}
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_batch_is_the_sum_of_its_events(
        items in prop::collection::vec(event(), 0..12),
        service in prop::sample::select(vec![None, None, Some("api")]),
    ) {
        prop_assert_eq!(folded(&items, service), one_by_one(&items, service));
    }

    #[test]
    fn pieces_do_not_matter(
        items in prop::collection::vec(event(), 0..6),
        sizes in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let lines: Vec<u8> = items.join(&b'\n');
        let mut pieces = Vec::new();
        let mut rest = &lines[..];
        for size in sizes.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        prop_assert_eq!(split(Format::Lines, &pieces), split(Format::Lines, &[&lines[..]]));
        let _either_way = split(Format::Either, &pieces);
    }
}
