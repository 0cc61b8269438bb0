//! Lines that were read before, but for when they happened.
//!
//! Most lines of a log repeat another, word by word. Of a line that does, only the message is looked
//! for, which finds the one that it may repeat; if all else is the same, byte for byte, then only its
//! time and id are read. What is different is read as if it came first.

use std::{hash::Hasher, ops::Range};

use rustc_hash::{FxHashMap, FxHasher};

use super::{
    cursor::Cursor,
    quick::{EVENT_ID, LEVEL, MESSAGE, Quick, SERVICE, TIMESTAMP, Varies, Varying, is_clean, take},
};
use crate::timestamp::Timestamp;

/// Longer lines are not kept.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of all lines that are kept. Those met first are: the most frequent are among them.
const TEXT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How often the line of a message gives way to another. Where each line is different, keeping them
/// takes longer than it saves.
const TURNS_MAX: u8 = 8;
/// Values that need not be the same: the time, and the id.
const FREE_MAX: usize = 2;

/// A line that is read up to the end of its message.
#[derive(Debug)]
pub(super) struct Begun<'a> {
    /// How it begins: of two that begin alike, neither has fields before the message that the other
    /// has not.
    pub head: u32,
    /// What it has said so far.
    pub quick: Quick<'a>,
    /// Where its message ends.
    pub at: usize,
}

impl Begun<'_> {
    /// What lines are found by.
    pub fn hash(&self) -> u32 {
        hash(self.quick.service, self.quick.message)
    }
}

/// What a line says that repeats another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated<'a> {
    /// Where its error is.
    pub position: usize,
    /// The level.
    pub level: Option<&'a str>,
    /// The time.
    pub timestamp: Option<Timestamp>,
}

/// The lines that may be repeated: the last of each message, as far as there is room.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    numbers: FxHashMap<u32, u32>,
    known: Vec<Known>,
    text: Vec<u8>,
}

/// A line: its service, if that stands before the message, its message, and what comes behind that, in
/// pieces, between which are the free values.
#[derive(Clone, Copy, Debug)]
struct Known {
    start: u32,
    position: u32,
    head: u32,
    service_bytes: u16,
    message_bytes: u16,
    pieces: [u16; FREE_MAX + 1],
    /// The level, in bytes from the start, if it comes behind the message.
    level: (u16, u16),
    free: [Option<Free>; FREE_MAX],
    turns: u8,
}

/// A value that need not be the same.
#[derive(Clone, Copy, Debug)]
enum Free {
    Number,
    Time,
    Id,
}

impl Free {
    fn of(varies: Varies) -> Option<Self> {
        match varies {
            Varies::Number => Some(Self::Number),
            Varies::Text(TIMESTAMP) => Some(Self::Time),
            Varies::Text(EVENT_ID) => Some(Self::Id),
            Varies::Text(_) => None,
        }
    }

    fn varies(self) -> Varies {
        match self {
            Self::Number => Varies::Number,
            Self::Time => Varies::Text(TIMESTAMP),
            Self::Id => Varies::Text(EVENT_ID),
        }
    }
}

impl Repeats {
    /// The number of the line that one with this [hash](Begun::hash) may repeat.
    pub fn find(&self, hash: u32) -> Option<u32> {
        self.numbers.get(&hash).copied()
    }

    /// Whether a line is to be kept that does not repeat the one with this number, if there is one.
    pub fn wants(&self, number: Option<u32>) -> bool {
        let turns = number.map_or(0, |number| self.known[number as usize].turns);
        self.text.len() <= TEXT_BYTES_MAX && turns < TURNS_MAX
    }

    /// Where the error of a line is, and its first byte: once it was looked at, it is at hand.
    pub fn fetch(&self, number: u32) -> (usize, u8) {
        let known = &self.known[number as usize];
        (known.position as usize, self.text.get(known.start as usize).copied().unwrap_or_default())
    }

    /// What `line` says, if it repeats that with this number.
    pub fn read(&self, number: u32, line: &[u8], begun: &Begun<'_>) -> Option<Repeated<'_>> {
        let known = &self.known[number as usize];
        if known.head != begun.head {
            return None;
        }
        let all = &self.text[known.start as usize..];
        let (service, rest) = all.split_at(known.service_bytes.into());
        let (message, mut rest) = rest.split_at(known.message_bytes.into());
        if message != begun.quick.message || service != begun.quick.service.unwrap_or_default() {
            return None;
        }
        let mut quick = Quick { timestamp: begun.quick.timestamp, ..Quick::default() };
        let mut cursor = Cursor { bytes: line, at: begun.at };
        for (piece, free) in known.pieces.iter().zip(known.free.iter().chain([&None])) {
            let (same, others) = rest.split_at(usize::from(*piece));
            cursor.exactly(same)?;
            rest = others;
            let Some(free) = free else { break };
            let start = cursor.at;
            take(&mut cursor, free.varies(), &mut quick)?;
            if !is_clean(&line[start..cursor.at]) {
                return None;
            }
        }
        let level = usize::from(known.level.0)..usize::from(known.level.1);
        let level = if level.is_empty() { None } else { str::from_utf8(&all[level]).ok() };
        let position = known.position as usize;
        (cursor.at == line.len()).then_some(Repeated {
            position,
            level,
            timestamp: quick.timestamp,
        })
    }

    /// Keeps a line that begins with this head and has these values, for those that repeat it.
    pub fn note(
        &mut self,
        head: u32,
        line: &[u8],
        quick: &Quick<'_>,
        varying: &[Varying],
        position: usize,
    ) {
        let Ok(position) = position.try_into() else { return };
        let Some(at) = varying.iter().position(|(varies, _)| *varies == Varies::Text(MESSAGE))
        else {
            return;
        };
        let (before, behind) = varying.split_at(at);
        let has_service = before.iter().any(|(varies, _)| *varies == Varies::Text(SERVICE));
        let service = quick.service.filter(|_| has_service);
        let hash = hash(service, quick.message);
        let number = self.find(hash);
        if line.len() > LINE_BYTES_MAX || !self.wants(number) {
            return;
        }
        let turns = number.map_or(0, |number| self.known[number as usize].turns + 1);
        let start = self.text.len();
        let words = [service.unwrap_or_default(), quick.message].map(|words| {
            self.text.extend_from_slice(words);
            bytes(words.len())
        });
        let Some((pieces, free, level)) = self.push(line, behind, start) else {
            self.text.truncate(start);
            return;
        };
        let known = Known {
            // the sum of all is below 4 GiB
            start: u32::try_from(start).unwrap_or_default(),
            position,
            head,
            service_bytes: words[0],
            message_bytes: words[1],
            pieces,
            level,
            free,
            turns,
        };
        if let Some(number) = number {
            self.known[number as usize] = known;
        } else if let Ok(number) = self.known.len().try_into() {
            self.known.push(known);
            self.numbers.insert(hash, number);
        }
    }

    /// Keeps what stands behind the message, which is the first of these values.
    fn push(&mut self, line: &[u8], behind: &[Varying], start: usize) -> Option<Pieces> {
        let (mut pieces, mut free, mut level) = ([0; FREE_MAX + 1], [None; FREE_MAX], (0, 0));
        let mut done = behind.first()?.1.end;
        let mut count = 0;
        for (varies, span) in &behind[1..] {
            if *varies == Varies::Text(LEVEL) {
                let from = self.text.len() - start + span.start - done;
                level = (bytes(from), bytes(from + span.len()));
            }
            let Some(value) = Free::of(*varies) else { continue };
            *free.get_mut(count)? = Some(value);
            pieces[count] = self.keep(line, done..span.start);
            count += 1;
            done = span.end;
        }
        pieces[count] = self.keep(line, done..line.len());
        Some((pieces, free, level))
    }

    fn keep(&mut self, line: &[u8], span: Range<usize>) -> u16 {
        let length = bytes(span.len());
        self.text.extend_from_slice(&line[span]);
        length
    }
}

/// The lengths of the pieces, what is between them, and where the level is.
type Pieces = ([u16; FREE_MAX + 1], [Option<Free>; FREE_MAX], (u16, u16));

/// A length within a line that is not too long.
fn bytes(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

fn hash(service: Option<&[u8]>, message: &[u8]) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(message);
    if let Some(service) = service {
        hasher.write(service);
    }
    // half of it is enough: what it finds is compared
    (hasher.finish() >> 32) as u32
}
