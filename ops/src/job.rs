//! A flight as it lies in the journal.
//!
//! Little-endian throughout:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic `ESJB` |
//! | 2 | version, 1 |
//! | 2 | flags, below: a reader refuses bits it does not know |
//! | 2 | shard |
//! | 8 × 3 | term, seq, epoch |
//! | 8 × 2 | received min, received max: milliseconds since 1970 |
//! | 4 | number of entries |
//! | 8 | only with flag 4: the first flight it stands for |
//! | … | entries: fingerprint (32), window start in ms (8), count (8), first, last (8 × 2), details |
//! | … | with flag 2: number of event ids (4), and each (16) |
//! | 4 | CRC32C of all before |
//!
//! | flag | means |
//! |---|---|
//! | 1 | the job is a tombstone |
//! | 2 | event ids follow the entries; not set if there are none |
//! | 4 | the job stands for several flights: the first one stands before the entries |
//!
//! Details are one byte, 0 for none, or 1 followed by the rule's version (2), the message, the six
//! optional texts (stack trace, type, level, service, environment, release), each a length (4)
//! that is `u32::MAX` for none, and the number of tags (4) with two texts each.
//!
//! A flight's size follows its distinct errors, not its events.
//!
//! Flights of a closed epoch may be merged ([`crate::merge`]): the last one's place then has a job that
//! stands for all of them, and theirs have a [`BLANK`] each.
//!
//! A tombstone stands where a job was set aside: its number and epoch, and no entries. It stands for
//! that place alone; blanks before it stay.
//!
//! Magic, version and flags at the beginning and the CRC32C at the end stay where they are in every
//! version, so that a job of a newer errsift is told from damage.

use std::sync::Arc;

use crate::{
    event::{EVENT_ID_BYTES, EventId, Payload},
    fingerprint::{Fingerprint, RuleVersion},
    flight::{Details, Entry, Flight},
    id::{Epoch, Seq, Shard, Term},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};

const MAGIC: [u8; 4] = *b"ESJB";
const VERSION: u16 = 1;
/// In place of a job that was set aside.
const TOMBSTONE: u16 = 1;
/// Event ids follow the entries.
const IDS: u16 = 2;
/// The job stands for several flights.
const MERGED: u16 = 4;
const KNOWN_FLAGS: u16 = TOMBSTONE | IDS | MERGED;
/// What lies in the place of a flight that a later job stands for.
pub const BLANK: &[u8] = b"=";
const ABSENT: u32 = u32::MAX;
/// Bytes before the entries.
const HEADER_BYTES: usize = 4 + 2 + 2 + 2 + 8 * 5 + 4;
const CRC_BYTES: usize = 4;
/// Bytes of an entry without details.
const ENTRY_BYTES_MIN: usize = 32 + 8 * 4 + 1;

/// A flight with the writer that sealed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The journal's shard.
    pub shard: Shard,
    /// The writer's term.
    pub term: Term,
    /// The first flight it stands for: the flight itself, unless several were merged.
    pub first: Seq,
    /// What was sealed.
    pub flight: Flight,
}

/// Bytes that are not a job this reader understands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// Shorter than its own header or content says.
    #[error("job is cut short at byte {0}")]
    Short(usize),
    /// Not a job at all.
    #[error("job does not start with ESJB")]
    Magic,
    /// Written by a newer errsift.
    #[error(
        "job has version {version} and flags {flags:#06x}; this errsift reads version {VERSION} and flags {KNOWN_FLAGS:#06x}"
    )]
    Newer {
        /// The job's version.
        version: u16,
        /// The job's flags.
        flags: u16,
    },
    /// The bytes are not those that were written.
    #[error("job's CRC32C is {found:08x}, its content's {computed:08x}")]
    Crc {
        /// What the job says.
        found: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// The CRC holds and the content makes no sense.
    #[error("job's {0} is out of range")]
    Content(&'static str),
}

/// What stands before a job's entries, whether or not the rest can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether the job was set aside, and this is what stands in its place.
    pub tombstone: bool,
    /// The journal's shard.
    pub shard: Shard,
    /// The writer's term.
    pub term: Term,
    /// The flight's number.
    pub seq: Seq,
    /// The flight's epoch.
    pub epoch: Epoch,
}

/// Reads what stands before the entries, without a look at the CRC: of a damaged job, any of it
/// may be wrong.
pub fn header(bytes: &[u8]) -> Result<Header, JobError> {
    let mut reader = Reader { bytes, at: 0 };
    let flags = reader.flags()?;
    Ok(Header {
        tombstone: flags & TOMBSTONE != 0,
        shard: Shard(reader.u16()?),
        term: Term(reader.u64()?),
        seq: Seq(reader.u64()?),
        epoch: Epoch(reader.u64()?),
    })
}

/// Whether the bytes end with their own CRC, which says nothing of what they mean.
pub fn is_whole(bytes: &[u8]) -> bool {
    bytes
        .split_last_chunk::<CRC_BYTES>()
        .is_some_and(|(content, crc)| u32::from_le_bytes(*crc) == crc32c::crc32c(content))
}

/// What takes the place of a job that is set aside.
pub fn tombstone(shard: Shard, term: Term, seq: Seq, epoch: Epoch) -> Vec<u8> {
    let (received_min, received_max) = (Timestamp::MAX, Timestamp::default());
    let (entries, ids) = (Vec::new(), Vec::new());
    let flight = Flight { seq, epoch, received_min, received_max, entries, ids };
    encode_with(TOMBSTONE, &Job { shard, term, first: seq, flight })
}

/// Writes `job` to bytes.
pub fn encode(job: &Job) -> Vec<u8> {
    encode_with(0, job)
}

fn encode_with(flags: u16, job: &Job) -> Vec<u8> {
    let flight = &job.flight;
    let content = flight.entries.len() * ENTRY_BYTES_MIN + flight.ids.len() * EVENT_ID_BYTES;
    let mut out = Vec::with_capacity(HEADER_BYTES + CRC_BYTES + content);
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    let mut flags = flags;
    if !flight.ids.is_empty() {
        flags |= IDS;
    }
    let merged = job.first != flight.seq;
    if merged {
        flags |= MERGED;
    }
    out.extend(flags.to_le_bytes());
    out.extend(job.shard.0.to_le_bytes());
    for number in [job.term.0, flight.seq.0, flight.epoch.0] {
        out.extend(number.to_le_bytes());
    }
    for at in [flight.received_min, flight.received_max] {
        out.extend(at.millis().to_le_bytes());
    }
    put_length(&mut out, flight.entries.len());
    if merged {
        out.extend(job.first.0.to_le_bytes());
    }
    for entry in &flight.entries {
        out.extend(entry.fingerprint.0);
        out.extend(entry.window.start().millis().to_le_bytes());
        out.extend(entry.tally.count.to_le_bytes());
        out.extend(entry.tally.first.millis().to_le_bytes());
        out.extend(entry.tally.last.millis().to_le_bytes());
        put_details(&mut out, entry.details.as_deref());
    }
    if flags & IDS != 0 {
        put_length(&mut out, flight.ids.len());
        out.extend(flight.ids.iter().flat_map(|id| id.to_bytes()));
    }
    let crc = crc32c::crc32c(&out);
    out.extend(crc.to_le_bytes());
    out
}

/// A flight holds far fewer than 2^32 of anything (8 MiB at most, merged ones twice that).
fn put_length(out: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("a flight is bounded in bytes");
    out.extend(length.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend(text.as_bytes());
}

fn put_details(out: &mut Vec<u8>, details: Option<&Details>) {
    let Some(details) = details else {
        out.push(0);
        return;
    };
    out.push(1);
    out.extend(details.rule.0.to_le_bytes());
    let payload = &details.payload;
    put_text(out, &payload.message);
    for text in [
        &payload.stack_trace,
        &payload.kind,
        &payload.level,
        &payload.service,
        &payload.environment,
        &payload.release,
    ] {
        match text {
            Some(text) => put_text(out, text),
            None => out.extend(ABSENT.to_le_bytes()),
        }
    }
    put_length(out, payload.tags.len());
    for (key, value) in &payload.tags {
        put_text(out, key);
        put_text(out, value);
    }
}

/// Reads a job back; nothing in `bytes` can make it panic or take more memory than they do.
pub fn decode(bytes: &[u8]) -> Result<Job, JobError> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.array()? != MAGIC {
        return Err(JobError::Magic);
    }
    let Some((content, crc)) = bytes.split_last_chunk::<CRC_BYTES>() else {
        return Err(JobError::Short(bytes.len()));
    };
    let (found, computed) = (u32::from_le_bytes(*crc), crc32c::crc32c(content));
    if found != computed {
        return Err(JobError::Crc { found, computed });
    }
    let mut reader = Reader { bytes: content, at: 0 };
    let flags = reader.flags()?;
    let shard = Shard(reader.u16()?);
    let term = Term(reader.u64()?);
    let (seq, epoch) = (Seq(reader.u64()?), Epoch(reader.u64()?));
    let (received_min, received_max) = (reader.timestamp()?, reader.timestamp()?);
    let count = reader.length()?;
    if count > content.len() / ENTRY_BYTES_MIN || flags & TOMBSTONE != 0 && count > 0 {
        return Err(JobError::Content("number of entries"));
    }
    if flags & TOMBSTONE != 0 && flags != TOMBSTONE {
        return Err(JobError::Content("flags"));
    }
    let first = if flags & MERGED == 0 { seq } else { Seq(reader.u64()?) };
    if (first < seq) != (flags & MERGED != 0) {
        return Err(JobError::Content("first flight"));
    }
    let entries = (0..count).map(|_| reader.entry()).collect::<Result<_, _>>()?;
    let ids = if flags & IDS == 0 { Vec::new() } else { reader.ids()? };
    if reader.at != content.len() {
        return Err(JobError::Content("length"));
    }
    let flight = Flight { seq, epoch, received_min, received_max, entries, ids };
    Ok(Job { shard, term, first, flight })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn slice(&mut self, length: usize) -> Result<&'a [u8], JobError> {
        let end = self.at.checked_add(length).ok_or(JobError::Short(self.at))?;
        let slice = self.bytes.get(self.at..end).ok_or(JobError::Short(self.at))?;
        self.at = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], JobError> {
        let at = self.at;
        self.slice(N)?.try_into().map_err(|_| JobError::Short(at))
    }

    /// Reads magic and version, and returns the flags.
    fn flags(&mut self) -> Result<u16, JobError> {
        if self.array()? != MAGIC {
            return Err(JobError::Magic);
        }
        let (version, flags) = (self.u16()?, self.u16()?);
        if version != VERSION || flags & !KNOWN_FLAGS != 0 {
            return Err(JobError::Newer { version, flags });
        }
        Ok(flags)
    }

    fn u16(&mut self) -> Result<u16, JobError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, JobError> {
        self.array().map(u64::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize, JobError> {
        let length = u32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| JobError::Content("length"))
    }

    fn timestamp(&mut self) -> Result<Timestamp, JobError> {
        let millis = i64::from_le_bytes(self.array()?);
        let at = Timestamp::from_millis(millis);
        if at.millis() == millis { Ok(at) } else { Err(JobError::Content("timestamp")) }
    }

    fn entry(&mut self) -> Result<Entry, JobError> {
        let fingerprint = Fingerprint(self.array()?);
        let start = self.timestamp()?;
        let window = Window::of(start);
        if window.start() != start {
            return Err(JobError::Content("window"));
        }
        let tally = Tally { count: self.u64()?, first: self.timestamp()?, last: self.timestamp()? };
        let details = match self.array()? {
            [0] => None,
            [1] => Some(Arc::new(self.details()?)),
            [_] => return Err(JobError::Content("details")),
        };
        Ok(Entry { fingerprint, window, tally, details })
    }

    fn ids(&mut self) -> Result<Vec<EventId>, JobError> {
        let count = self.length()?;
        if count > self.bytes.len() / EVENT_ID_BYTES {
            return Err(JobError::Content("number of event ids"));
        }
        (0..count).map(|_| self.array().map(EventId::from_bytes)).collect()
    }

    fn details(&mut self) -> Result<Details, JobError> {
        let rule = RuleVersion(self.u16()?);
        let payload = Payload {
            message: self.text()?.ok_or(JobError::Content("message"))?,
            stack_trace: self.text()?,
            kind: self.text()?,
            level: self.text()?,
            service: self.text()?,
            environment: self.text()?,
            release: self.text()?,
            tags: self.tags()?,
        };
        Ok(Details { rule, payload })
    }

    fn tags(&mut self) -> Result<Vec<(String, String)>, JobError> {
        let mut tags = Vec::new();
        for _ in 0..self.length()? {
            let key = self.text()?.ok_or(JobError::Content("tag"))?;
            tags.push((key, self.text()?.ok_or(JobError::Content("tag"))?));
        }
        Ok(tags)
    }

    fn text(&mut self) -> Result<Option<String>, JobError> {
        let length = u32::from_le_bytes(self.array()?);
        if length == ABSENT {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| JobError::Content("length"))?;
        let text = std::str::from_utf8(self.slice(length)?);
        text.map(|text| Some(text.to_owned())).map_err(|_| JobError::Content("text"))
    }
}

#[cfg(test)]
mod tests;
