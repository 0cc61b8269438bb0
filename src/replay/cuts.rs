//! However a log is cut, and wherever it is gone on with, its records come out once.

use std::{
    io::{self, Read, Write},
    num::NonZeroU64,
    time::Duration,
};

use errsift_ops::recorded::{boundaries::Boundaries, form::Form};
use errsift_pipeline::ports::recording::{Chunk, Recording, Taken};
use proptest::prelude::*;

use super::{
    input::Share,
    plain::{Plain, last_end},
    stream::{Cutting, Stream},
};

/// Hands out a few bytes at a time, as pipes do.
struct Trickle {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.bytes[self.at..];
        let taken = rest.len().min(buffer.len()).min(self.step);
        buffer[..taken].copy_from_slice(&rest[..taken]);
        self.at += taken;
        Ok(taken)
    }
}

type Records = Vec<(u64, Vec<u8>)>;

/// What a recording hands out.
#[derive(Debug, Default, PartialEq)]
struct Out {
    records: Records,
    /// Where its chunks start.
    starts: Vec<u64>,
    /// Where its last range ends.
    end: Option<u64>,
}

fn drained(recording: &dyn Recording, form: &Form) -> Out {
    let mut out = Out::default();
    let mut chunk = Chunk::default();
    loop {
        let used = std::mem::take(&mut chunk);
        match recording.take(used, Duration::from_secs(5)).unwrap() {
            Taken::Chunk(taken) => chunk = taken,
            Taken::Wait => continue,
            Taken::End => break,
        }
        out.starts.push(chunk.at);
        form.records(chunk.records(), chunk.at == 0, |at, record| {
            out.records.push((chunk.at + at as u64, record.to_vec()));
        });
    }
    let closed = recording.closed(0, None).unwrap();
    assert!(closed.is_sorted_by(|a, b| a.range < b.range && a.end <= b.end), "{closed:?}");
    out.end = closed.last().map(|closed| closed.end.0);
    out
}

/// How to cut: bytes between chunks, between ranges, and of a read.
type Steps = (u64, u64, usize);

fn streamed(form: &Form, bytes: &[u8], start: u64, (chunk, range, step): Steps) -> Out {
    let step_of = |bytes| NonZeroU64::new(bytes).unwrap();
    let cutting = Cutting {
        content: Box::new(Trickle { bytes: bytes.to_vec(), at: 0, step }),
        name: "log".to_owned(),
        form: form.clone(),
        boundaries: Boundaries::new(&[start], None, step_of(chunk), step_of(range)),
        share: Share::ALL,
        is_final: false,
    };
    drained(&Stream::start(cutting).unwrap(), form)
}

fn in_pieces(form: &Form, bytes: &[u8], start: u64, (chunk, range, _): Steps) -> Out {
    let step_of = |bytes| NonZeroU64::new(bytes).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let end = last_end(&file, form).unwrap();
    let boundaries = Boundaries::new(&[start], Some(end), step_of(chunk), step_of(range));
    let plain = Plain::new(file, "log".to_owned(), form.clone(), boundaries, Share::ALL);
    drained(&plain, form)
}

type Way = fn(&Form, &[u8], u64, Steps) -> Out;

/// Cuts the whole log, then a part of it, then goes on from places where that was cut.
fn assert_all_come_out(way: Way, form: &Form, bytes: &[u8], steps: [Steps; 3], part: usize) {
    let mut expected = Records::new();
    form.records(bytes, true, |at, record| expected.push((at as u64, record.to_vec())));
    let whole = way(form, bytes, 0, steps[0]);
    assert_eq!(whole.records, expected);
    let part = &bytes[..part.min(bytes.len())];
    let begun = way(form, part, 0, steps[1]);
    let places = begun.starts.iter().copied().chain(begun.end);
    for place in places {
        let before = begun.records.iter().filter(|(at, _)| *at < place).cloned();
        let rest = way(form, bytes, place, steps[2]);
        assert_eq!(before.chain(rest.records).collect::<Records>(), expected, "{place}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[\\[\\]{}\",:\\\\é😀 a]{0,20}", any::<String>()]
}

fn element() -> impl Strategy<Value = String> {
    let event = (text(), text(), any::<bool>()).prop_map(|(message, trace, is_pretty)| {
        let event = serde_json::json!({"message": message, "stackTrace": trace, "tags": [[], {}]});
        let pretty = serde_json::to_string_pretty(&event).unwrap();
        if is_pretty { pretty } else { event.to_string() }
    });
    let odd = ["[1,[{\"a\":2}]]", "17", "null", "\"a,]\"", "[]", "{}"].map(str::to_owned);
    prop_oneof![4 => event, 1 => prop::sample::select(odd.to_vec())]
}

fn array() -> impl Strategy<Value = Vec<u8>> {
    let blank = prop::sample::select(vec!["", " ", "\n", " \r\n\t"]);
    (prop::collection::vec((element(), blank.clone(), blank.clone()), 0..12), blank).prop_map(
        |(elements, end)| {
            let elements =
                elements.iter().map(|(text, left, right)| format!("{left}{text}{right}"));
            let mark = if end == " " { "\u{feff}" } else { "" };
            format!("{mark}[{}]{end}", elements.collect::<Vec<_>>().join(",")).into_bytes()
        },
    )
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let end = prop::sample::select(vec!["\n", "\r\n", "\n\n"]);
    prop::collection::vec((text(), end), 0..12).prop_map(|lines| {
        let line = |(text, end): (String, &str)| serde_json::Value::from(text).to_string() + end;
        lines.into_iter().map(line).collect::<String>().into_bytes()
    })
}

fn steps() -> impl Strategy<Value = [Steps; 3]> {
    let bytes = || prop_oneof![1_u64..8, 1_u64..300];
    prop::array::uniform3((bytes(), 1_u64..600, 1_usize..200))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn of_arrays(log in array(), steps in steps(), part in 0_usize..900) {
        assert_all_come_out(streamed, &Form::Array, &log, steps, part);
    }

    /// Files are read by whole pages.
    #[test]
    fn of_pages(
        lengths in prop::collection::vec(0_usize..900, 20..40),
        chunk in prop_oneof![4_090_u64..4_102, 8_190_u64..8_195, 700_u64..9_000],
        range in 4_000_u64..20_000,
        part in 0_usize..18_000,
    ) {
        let line = |length: usize| format!("\"{}\"\n", "x".repeat(length));
        let log: String = lengths.into_iter().map(line).collect();
        let steps = [(chunk, range, 1), (chunk + 1, range, 1), (chunk, range - 1, 1)];
        assert_all_come_out(in_pieces, &Form::Ndjson, log.as_bytes(), steps, part);
    }

    #[test]
    fn of_lines(log in lines(), steps in steps(), part in 0_usize..400) {
        assert_all_come_out(streamed, &Form::Ndjson, &log, steps, part);
        assert_all_come_out(in_pieces, &Form::Ndjson, &log, steps, part);
    }
}
