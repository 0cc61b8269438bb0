//! Records of JSON into tallies, some at a time: while one waits for memory, others do too.

use std::hint::black_box;

use memchr::memchr;

use super::{
    exported,
    fold::{Fold, RECORD_BYTES_MAX},
    form::Form,
    met::Writing,
    quick::Quick,
    repeats::{Begun, Repeated},
    seen::{Folded, Reject},
};
use crate::{
    body, fingerprint::Fingerprint, flight::Entry, tally::Tally, timestamp::Timestamp,
    window::Window,
};

/// Lines that are looked up at a time: as many as a core waits for memory for, or more.
const AHEAD: usize = 16;

/// A line that is next.
struct Line<'a> {
    at: u64,
    record: &'a [u8],
    begun: Option<Begun<'a>>,
    /// What it is found by.
    hash: Option<u32>,
    /// The one that it may repeat.
    number: Option<u32>,
}

impl Fold {
    /// Folds a chunk of lines, or of an array.
    pub(super) fn lines(
        &mut self,
        form: &Form,
        bytes: &[u8],
        at: u64,
        received: Timestamp,
        folded: &mut Folded,
    ) {
        let mut ahead = Vec::with_capacity(AHEAD);
        form.records(bytes, at == 0, |offset, record| {
            let is_long = record.len() > RECORD_BYTES_MAX;
            let begun = if is_long { None } else { self.layouts.begin(record) };
            let hash = begun.as_ref().map(Begun::hash);
            ahead.push(Line { at: at + offset as u64, record, begun, hash, number: None });
            if ahead.len() == AHEAD {
                self.count(&mut ahead, received, folded);
            }
        });
        self.count(&mut ahead, received, folded);
    }

    fn count(&mut self, lines: &mut Vec<Line<'_>>, received: Timestamp, folded: &mut Folded) {
        for line in &mut *lines {
            line.number = line.hash.and_then(|hash| self.repeats.find(hash));
        }
        // one after the other would wait for memory one after the other
        let mut at_hand = 0;
        for number in lines.iter().filter_map(|line| line.number) {
            let (position, byte) = self.repeats.fetch(number);
            at_hand ^= self.slots.fetch(position) ^ u64::from(byte);
        }
        black_box(at_hand);
        for line in lines.drain(..) {
            if self.repeated(&line, received, folded) {
                continue;
            }
            let is_kept = self.repeats.wants(line.number);
            if let Err(reason) = self.json(line.record, is_kept, received, folded) {
                folded.rejects.push(Reject::new(line.at, reason, line.record));
            }
        }
    }

    /// Counts a line that repeats another; `false` if it does not.
    fn repeated(&mut self, line: &Line<'_>, received: Timestamp, folded: &mut Folded) -> bool {
        let (Some(begun), Some(number)) = (&line.begun, line.number) else { return false };
        let Some(repeated) = self.repeats.read(number, line.record, begun) else { return false };
        let Repeated { position, level, timestamp } = repeated;
        let Some(at) = timestamp.or(self.rules.default_time) else { return false };
        if self.rules.admit(level.or(begun.quick.level), 1, &mut folded.seen) {
            self.once_more(position, at, received, folded);
        }
        true
    }

    fn json(
        &mut self,
        record: &[u8],
        is_kept: bool,
        received: Timestamp,
        folded: &mut Folded,
    ) -> Result<(), String> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(format!("longer than {RECORD_BYTES_MAX} bytes"));
        }
        if exported::is_one(record) {
            return self.exported(record, folded);
        }
        let default_time = self.rules.default_time;
        let quick = self.layouts.scan(record);
        let timed = quick.and_then(|quick| Some((quick, quick.timestamp.or(default_time)?)));
        if let Some((quick, at)) = &timed {
            if !self.rules.admit(quick.level, 1, &mut folded.seen) {
                return Ok(());
            }
            if let Some(position) = self.find(quick, *at) {
                if is_kept {
                    self.note(record, quick, position);
                }
                self.once_more(position, *at, received, folded);
                return Ok(());
            }
        }
        let event = body::read_recorded(record, received, default_time);
        let event = event.map_err(|fault| fault.to_string())?;
        let Some((quick, _)) = timed else {
            self.event(event, folded);
            return Ok(());
        };
        let position = self.wanted(event, folded);
        self.met.note(Writing::Json, quick.service.unwrap_or_default(), quick.message, position);
        if is_kept {
            self.note(record, &quick, position);
        }
        Ok(())
    }

    /// Counts one more event of an error that was met.
    fn once_more(
        &mut self,
        position: usize,
        at: Timestamp,
        received: Timestamp,
        folded: &mut Folded,
    ) {
        let (at, clamped) = body::not_ahead(at, received);
        folded.seen.count(at, clamped);
        self.add(position, at);
    }

    /// Where the error of an event is, if it was met here, or if others have passed on its words.
    fn find(&mut self, quick: &Quick<'_>, at: Timestamp) -> Option<usize> {
        let service = quick.service.unwrap_or_default();
        if let Some(position) = self.met.find(Writing::Json, service, quick.message) {
            return Some(position);
        }
        let has_escapes = |text| memchr(b'\\', text).is_some();
        if has_escapes(service) || has_escapes(quick.message) {
            return None;
        }
        let missing = self.rules.service.as_ref().map_or(&[][..], |service| service.as_bytes());
        let filled = if service.is_empty() { missing } else { service };
        let fingerprint = Fingerprint::of_words(filled, quick.message);
        let position = match self.slots.find(&fingerprint) {
            Some(position) => position,
            None if self.passed_on.has(&fingerprint, self.place) => {
                self.slots.push(fingerprint, Window::of(at))
            }
            None => return None,
        };
        self.met.note(Writing::Json, service, quick.message, position);
        Some(position)
    }

    /// Keeps a line that was just read, for those that repeat it.
    fn note(&mut self, record: &[u8], quick: &Quick<'_>, position: usize) {
        if let Some((head, varying)) = self.layouts.values(record) {
            self.repeats.note(head, record, quick, varying, position);
        }
    }

    /// Counts the events that a line of an export stands for. They have what the rules fill in, and
    /// their times were looked at when they were counted first.
    fn exported(&mut self, record: &[u8], folded: &mut Folded) -> Result<(), String> {
        let (entry, level) = exported::read(record)?;
        let Entry { fingerprint, window, tally, .. } = &entry;
        let (window, tally): (Window, Tally) = (*window, *tally);
        if !self.rules.admit(level.as_deref(), tally.count, &mut folded.seen) {
            return Ok(());
        }
        folded.seen.add_tally(&tally);
        if let Some(position) = self.slots.find(fingerprint) {
            self.slots.add(position, window, &tally);
            return Ok(());
        }
        // words may come later, if this line has none
        if entry.details.is_some() {
            self.slots.push(*fingerprint, window);
        }
        folded.first.push(entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        log::Level,
        recorded::{passed_on::Place, rules::Rules, seen::Seen},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// What lines have come to: tallies, what was seen, and why which were rejected.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Sum {
        tallies: BTreeMap<(Fingerprint, Window), Tally>,
        seen: Seen,
        rejects: Vec<(Vec<u8>, String)>,
    }

    impl Sum {
        fn add(&mut self, fold: &mut Fold, lines: &[u8]) {
            let mut folded = Folded::default();
            fold.chunk(&Form::Ndjson, lines, 1, NOW, &mut folded);
            let first = folded.first.drain(..).collect::<Vec<_>>();
            for entry in first.into_iter().chain(fold.drain()) {
                let tally = self.tallies.entry((entry.fingerprint, entry.window));
                tally.and_modify(|known| known.fold(&entry.tally)).or_insert(entry.tally);
            }
            self.seen.add(&folded.seen);
            let why = folded.rejects.into_iter().map(|reject| (reject.record, reject.reason));
            self.rejects.extend(why);
        }
    }

    fn rules() -> Rules {
        let default_time = Some(Timestamp::from_millis(5));
        let service = Some("z".to_owned());
        Rules { level: Some(Level::Warning), default_time, service, ..Rules::default() }
    }

    /// One after the other in one fold, and each in one of its own.
    fn assert_alike(lines: &[Vec<u8>]) -> Sum {
        let mut alone = Sum::default();
        for line in lines {
            alone.add(&mut Fold::new(rules()), line);
        }
        let mut together = Sum::default();
        together.add(&mut Fold::new(rules()), &lines.join(&b'\n'));
        assert_eq!(together, alone);
        together
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let pick = |of: &[&'static str]| prop::sample::select(of.to_vec());
        let fields = (
            pick(&["a", "b", "b\\n", "é"]),
            pick(&["", "\"service\":\"x\",", "\"service\":\"y\",", "\"service\":\"\","]),
            pick(&["", "\"level\":\"error\",", "\"level\":\"info\",", "\"level\":\"odd\","]),
            pick(&[
                "7",
                "31000",
                "99000000000000",
                "\"1970-01-01T00:00:31.5Z\"",
                "\"soon\"",
                "null",
            ]),
            pick(&[
                "",
                "\"eventId\":\"01234567-89ab-cdef-0123-456789abcdef\",",
                "\"eventId\":\"11234567-89ab-cdef-0123-456789abcde0\",",
                "\"eventId\":\"x\",",
            ]),
            pick(&["\"stackTrace\":\"s\"", "\"stackTrace\":\"t\\n\"", "\"level\":\"fatal\""]),
        );
        let order = prop::sample::select(vec![[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]]);
        let change = prop::option::weighted(
            0.1,
            (0_usize..80, prop::sample::select(b"\"\\{}:,019 e\x01\xff".to_vec())),
        );
        (fields, order, change).prop_map(
            |((message, service, level, time, id, last), order, change)| {
                let parts = [
                    format!("\"message\":\"{message}\","),
                    service.to_owned(),
                    format!("{level}{id}"),
                    format!("\"timestamp\":{time},"),
                ];
                let parts = order.map(|at| parts[at].as_str()).concat();
                let mut line = format!("{{{parts}{last}}}").into_bytes();
                if let Some((at, byte)) = change
                    && let Some(place) = line.get_mut(at)
                {
                    *place = byte;
                }
                line
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn lines_count_alike_whatever_came_before(lines in prop::collection::vec(line(), 1..60)) {
            assert_alike(&lines);
        }
    }

    #[test]
    fn what_repeats_a_line_is_told_by_its_message_and_compared() {
        let line = |time: &str, level: &str, end: &str| {
            format!(
                "{{\"message\":\"m\",\"level\":\"{level}\",\"timestamp\":{time},\"type\":\"t\"}}{end}"
            )
        };
        let mut fold = Fold::new(rules());
        let mut sum = Sum::default();
        sum.add(&mut fold, line("17", "error", "").as_bytes());
        let repeats = |line: &str| {
            let begun = fold.layouts.begin(line.as_bytes())?;
            let number = fold.repeats.find(begun.hash())?;
            let repeated = fold.repeats.read(number, line.as_bytes(), &begun)?;
            Some((repeated.position, repeated.level.map(str::to_owned), repeated.timestamp))
        };
        let at = |millis| Some(Timestamp::from_millis(millis));
        let error = Some("error".to_owned());
        assert_eq!(repeats(&line("17000", "error", "")), Some((0, error, at(17_000_000))));
        for other in [
            line("17", "fatal", ""),
            line("017", "error", ""),
            line("\"17\"", "error", ""),
            line("1.5", "error", ""),
            line("17", "error", " "),
            line("17", "error", "}"),
            line("17", "error", "").replace("\"t\"", "\"u\""),
            line("17", "error", "").replace("\"m\"", "\"n\""),
        ] {
            assert_eq!(repeats(&other), None, "{other}");
        }
    }

    #[test]
    fn words_are_passed_on_by_one_and_counted_by_all() {
        let passed_on = Arc::default();
        let at = |range| Place { log: 1, range };
        // whoever is further back cannot rely on words that are applied later
        for (turn, expected) in [(at(5), 3), (at(5), 0), (at(6), 0), (at(4), 3), (at(5), 0)] {
            let mut fold = Fold::beside(Rules::default(), Arc::clone(&passed_on));
            fold.goes_on_at(turn);
            let lines = ["a", "b\\n", "c", "a"]
                .map(|message| format!("{{\"message\":\"{message}\",\"timestamp\":1}}\n"));
            let mut folded = Folded::default();
            fold.chunk(&Form::Ndjson, lines.concat().as_bytes(), 0, NOW, &mut folded);
            assert_eq!((folded.first.len(), folded.seen.events), (expected, 4), "{turn:?}");
            let rest: u64 = fold.drain().map(|entry| entry.tally.count).sum();
            assert_eq!(rest + expected as u64, 4, "{turn:?}");
        }
    }
}
