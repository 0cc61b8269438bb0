//! Lines that were read before, but for when they happened.
//!
//! Most lines of a log repeat another, word by word. Of a line that does, only the message is looked
//! for, which finds the one that it may repeat; if all else is the same, then only its time and id are
//! read. What is different is read as if it came first.
//!
//! Service and message, which make the error, are compared byte for byte. All else is compared by a
//! hash of 64 bits with a key of this process's, which reads the line that is at hand and not the other
//! one, for which a core would wait; of a line that it takes for another by mistake, in one of 2^64,
//! nothing else would be counted.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;
use rustc_hash::{FxHashMap, FxHasher};

use super::{
    cursor::Cursor,
    met::are_same,
    quick::{EVENT_ID, LEVEL, MESSAGE, Quick, SERVICE, TIMESTAMP, Varies, Varying, is_clean, take},
};
use crate::timestamp::Timestamp;

/// Longer lines are not kept.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of the services and messages of all lines that are kept. Those met first are: the most frequent
/// are among them.
const TEXT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes that a core fetches from memory at a time.
const CACHE_LINE_BYTES: usize = 64;
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
    levels: Vec<String>,
    key: RandomState,
}

/// A line: its service, if that stands before the message, its message, and what comes behind that, in
/// pieces, between which are the free values. As long as what a core fetches from memory at a time, and
/// so in one of these.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Known {
    start: u32,
    position: u32,
    head: u32,
    service_bytes: u16,
    message_bytes: u16,
    pieces: [u16; FREE_MAX + 1],
    /// Hash of all pieces.
    hash: u64,
    /// Which of the levels it has, if that comes behind the message.
    level: Option<u8>,
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

    /// Where the error of a line is, and the first and the last byte of its words: once they were looked
    /// at, all are at hand, if they are few.
    pub fn fetch(&self, number: u32) -> (usize, u8) {
        let known = &self.known[number as usize];
        let byte = |at: usize| self.text.get(at).copied().unwrap_or_default();
        let start = known.start as usize;
        let bytes = usize::from(known.service_bytes) + usize::from(known.message_bytes);
        (known.position as usize, byte(start) ^ byte((start + bytes).saturating_sub(1)))
    }

    /// What `line` says, if it repeats that with this number.
    pub fn read(&self, number: u32, line: &[u8], begun: &Begun<'_>) -> Option<Repeated<'_>> {
        let known = &self.known[number as usize];
        if known.head != begun.head {
            return None;
        }
        let words = &self.text[known.start as usize..];
        let (service, words) = words.split_at(known.service_bytes.into());
        let message = &words[..known.message_bytes.into()];
        let own = begun.quick.service.unwrap_or_default();
        if !are_same(service, own) || !are_same(message, begun.quick.message) {
            return None;
        }
        let mut quick = Quick { timestamp: begun.quick.timestamp, ..Quick::default() };
        let mut cursor = Cursor { bytes: line, at: begun.at };
        let mut hasher = self.key.build_hasher();
        for (piece, free) in known.pieces.iter().zip(known.free.iter().chain([&None])) {
            hasher.write(cursor.take((*piece).into())?);
            let Some(free) = free else { break };
            let start = cursor.at;
            take(&mut cursor, free.varies(), &mut quick)?;
            if !is_clean(&line[start..cursor.at]) {
                return None;
            }
        }
        if cursor.at < line.len() || hasher.finish() != known.hash {
            return None;
        }
        let level = known.level.and_then(|level| self.levels.get(usize::from(level)));
        Some(Repeated {
            position: known.position as usize,
            level: level.map(String::as_str),
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
        let level = match self.level(line, behind) {
            Ok(level) => level,
            Err(Full) => return,
        };
        let Some(Pieces { lengths: pieces, free, hash: rest }) = self.pieces(line, behind) else {
            return;
        };
        // most words then lie in one line of the cache
        self.text.resize(self.text.len().next_multiple_of(CACHE_LINE_BYTES), 0);
        let start = self.text.len();
        let words = [service.unwrap_or_default(), quick.message].map(|words| {
            self.text.extend_from_slice(words);
            bytes(words.len())
        });
        let known = Known {
            // the sum of all is below 4 GiB
            start: u32::try_from(start).unwrap_or_default(),
            position,
            head,
            service_bytes: words[0],
            message_bytes: words[1],
            pieces,
            hash: rest,
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

    /// What stands behind the message, which is the first of these values; `None` if too much varies.
    fn pieces(&self, line: &[u8], behind: &[Varying]) -> Option<Pieces> {
        let mut all = Pieces { lengths: [0; FREE_MAX + 1], free: [None; FREE_MAX], hash: 0 };
        let mut hasher = self.key.build_hasher();
        let mut done = behind.first()?.1.end;
        let mut count = 0;
        for (varies, span) in &behind[1..] {
            let Some(value) = Free::of(*varies) else { continue };
            *all.free.get_mut(count)? = Some(value);
            all.lengths[count] = bytes(span.start - done);
            hasher.write(&line[done..span.start]);
            count += 1;
            done = span.end;
        }
        all.lengths[count] = bytes(line.len() - done);
        hasher.write(&line[done..]);
        all.hash = hasher.finish();
        Some(all)
    }

    /// The number of the level behind the message, if there is one.
    fn level(&mut self, line: &[u8], behind: &[Varying]) -> Result<Option<u8>, Full> {
        let Some((_, span)) = behind.iter().find(|(varies, _)| *varies == Varies::Text(LEVEL))
        else {
            return Ok(None);
        };
        let level = String::from_utf8_lossy(&line[span.clone()]);
        let known = self.levels.iter().position(|known| *known == level);
        let number = known.unwrap_or(self.levels.len()).try_into().map_err(|_| Full)?;
        if known.is_none() {
            self.levels.push(level.into_owned());
        }
        Ok(Some(number))
    }
}

/// What stands behind a message.
struct Pieces {
    /// Their lengths.
    lengths: [u16; FREE_MAX + 1],
    /// What is between them.
    free: [Option<Free>; FREE_MAX],
    /// A hash of them.
    hash: u64,
}

/// More levels than are told apart.
struct Full;

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
