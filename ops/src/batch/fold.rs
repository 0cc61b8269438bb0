//! Items become counts.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use hashbrown::HashTable;

use super::{Counted, EVENTS_MAX, Folded, Identified, Item, Named};
use crate::{
    body::{self, Fault},
    decode,
    event::EventId,
    fingerprint::Fingerprint,
    scan::{self, Scanned, Text},
    tally::Tally,
    timestamp::Timestamp,
    window::Window,
};

/// Bytes of one event's text; more is rejected.
pub const ITEM_BYTES_MAX: usize = 256 * 1024;

/// Bytes of words about rejected events that are kept; further ones are only counted.
const WORDS_BYTES_MAX: usize = 24 * 1024;
/// What each takes beside its words.
const WORDS_BYTES_EACH: usize = 64;

/// The batch has more than [`EVENTS_MAX`] events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// An event that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why.
    pub fault: Fault,
}

/// Folds the items of one batch.
///
/// ```
/// use errsift_ops::{batch::{Fold, Item}, timestamp::Timestamp};
///
/// let mut fold = Fold::new(Timestamp::from_millis(7), None);
/// for item in [r#"{"message":"boom"}"#, r#"{"mesage":"boom"}"#, r#"{"message":"boom"}"#] {
///     fold.take(Item::Text(item.as_bytes())).expect("three are not too many");
/// }
/// assert_eq!(fold.rejected()[0].index, 1);
/// assert_eq!(fold.rejected()[0].fault.to_string(), "mesage: unknown field");
/// let folded = fold.finish();
/// assert_eq!((folded.entries.len(), folded.entries[0].tally.count), (1, 2));
/// ```
#[derive(Debug)]
pub struct Fold {
    folded: Folded,
    items: usize,
    rejected: Vec<Rejected>,
    rejected_events: u64,
    forbidden_events: u64,
    words_bytes: usize,
    /// Clients choose what is looked up here: a secret makes clashes hard to find.
    hash: RandomState,
    /// Each spelling of an error that has come.
    spellings: HashTable<Spelling>,
    /// Each error that has come, and the entry that it counted in last.
    by_fingerprint: HashMap<Fingerprint, u32>,
    last: Vec<Option<(Window, u32)>>,
    by_window: HashMap<(u32, Window), u32>,
}

/// How an error was spelled, by places in the texts.
#[derive(Clone, Copy, Debug)]
struct Spelling {
    hash: u64,
    message: (u32, u32),
    service: Option<(u32, u32)>,
    error: u32,
}

impl Fold {
    /// An empty batch that was received at `received`, from who may report for `service` only, if
    /// that is said.
    pub fn new(received: Timestamp, service: Option<Arc<str>>) -> Self {
        Self {
            folded: Folded { received, service, ..Folded::default() },
            items: 0,
            rejected: Vec::new(),
            rejected_events: 0,
            forbidden_events: 0,
            words_bytes: 0,
            hash: RandomState::new(),
            spellings: HashTable::new(),
            by_fingerprint: HashMap::new(),
            last: Vec::new(),
            by_window: HashMap::new(),
        }
    }

    /// Folds one event in, or rejects it.
    pub fn take(&mut self, item: Item<'_>) -> Result<(), Full> {
        if self.items == EVENTS_MAX {
            return Err(Full);
        }
        self.items += 1;
        let taken = match item {
            Item::TooLong => Err(Fault {
                field: None,
                reason: format!("longer than {ITEM_BYTES_MAX} bytes"),
                forbidden: false,
            }),
            Item::Text(text) => match self.scanned(text) {
                Some(scanned) => {
                    self.count_scanned(text, &scanned);
                    Ok(())
                }
                None => self.count_read(text),
            },
        };
        if let Err(fault) = taken {
            self.reject(fault);
        }
        Ok(())
    }

    /// Items taken, good and bad.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Those that were rejected, as far as there was room for words about them.
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// How many were rejected.
    pub fn rejected_events(&self) -> u64 {
        self.rejected_events
    }

    /// How many of those are events that their sender may not send.
    pub fn forbidden_events(&self) -> u64 {
        self.forbidden_events
    }

    /// Bytes that it keeps, roughly.
    pub fn bytes(&self) -> usize {
        let Folded { texts, entries, identified, .. } = &self.folded;
        texts.capacity()
            + entries.capacity() * 2 * size_of::<Counted>()
            + identified.capacity() * size_of::<Identified>()
            + self.spellings.capacity() * size_of::<Spelling>()
            + self.last.capacity() * 2 * size_of::<(Fingerprint, Named)>()
            + 2 * self.words_bytes
    }

    /// The batch.
    pub fn finish(self) -> Folded {
        self.folded
    }

    fn reject(&mut self, fault: Fault) {
        self.rejected_events += 1;
        self.forbidden_events += u64::from(fault.forbidden);
        let words = fault.field.as_ref().map_or(0, String::len) + fault.reason.len();
        if self.words_bytes + words + WORDS_BYTES_EACH <= WORDS_BYTES_MAX {
            self.words_bytes += words + WORDS_BYTES_EACH;
            self.rejected.push(Rejected { index: self.items - 1, fault });
        }
    }

    /// What `text` says, if it is plain and its sender may say it.
    fn scanned<'a>(&self, text: &'a [u8]) -> Option<Scanned<'a>> {
        let scanned = scan::event(std::str::from_utf8(text).ok()?)?;
        scanned.is_its_senders(self.own()).then_some(scanned)
    }

    fn count_scanned(&mut self, text: &[u8], scanned: &Scanned<'_>) {
        let message = scanned.message;
        let service = scanned.named_service(self.own());
        let hash = self.hash.hash_one((message.raw, service.map(|service| service.raw)));
        let texts = &self.folded.texts;
        let same = |spelling: &Spelling| {
            spelling.hash == hash
                && at(texts, spelling.message) == message.raw
                && spelling.service.map(|service| at(texts, service))
                    == service.map(|service| service.raw)
        };
        let error = match self.spellings.find(hash, same) {
            Some(spelling) => spelling.error,
            None => self.spelled(text, hash, message, service),
        };
        let (time, clamped) = body::timed(scanned.timestamp, self.folded.received);
        let id = scan::event_id(scanned.event_id, service, self.own());
        self.count(error, time, clamped, id);
    }

    /// Notes an error that was not spelled like this so far.
    fn spelled(
        &mut self,
        text: &[u8],
        hash: u64,
        message: Text<'_>,
        service: Option<Text<'_>>,
    ) -> u32 {
        let fingerprint = scan::fingerprint(message, service, self.own());
        let start = place(self.folded.texts.len());
        let kept = |part: Text<'_>| {
            let from = start + place(part.start);
            (from, from + place(part.raw.len()))
        };
        let (message, service) = (kept(message), service.map(kept));
        let error = self.error(fingerprint, text, true);
        let spelling = Spelling { hash, message, service, error };
        self.spellings.insert_unique(hash, spelling, |spelling| spelling.hash);
        error
    }

    /// The one service that the sender may report for, if that is so.
    fn own(&self) -> Option<&str> {
        self.folded.service.as_deref()
    }

    fn count_read(&mut self, text: &[u8]) -> Result<(), Fault> {
        let event = body::read(text, self.folded.received)?;
        let event = decode::of(event, self.folded.service.as_deref())?;
        let error = self.error(Fingerprint::of(&event), text, false);
        let id = event.event_id.map(|id| id.within(event.service.as_deref()));
        self.count(error, event.timestamp, event.clamped, id);
        Ok(())
    }

    /// The error's place; keeps `text` if it is the first of it, or if its spelling is to be kept.
    fn error(&mut self, fingerprint: Fingerprint, text: &[u8], keep: bool) -> u32 {
        let known = self.by_fingerprint.get(&fingerprint).copied();
        let start = place(self.folded.texts.len());
        if known.is_none() || keep {
            self.folded.texts.extend_from_slice(text);
        }
        known.unwrap_or_else(|| {
            let error = place(self.folded.errors.len());
            let text = (start, start + place(text.len()));
            self.folded.errors.push(Named { fingerprint, text });
            self.last.push(None);
            self.by_fingerprint.insert(fingerprint, error);
            error
        })
    }

    fn count(&mut self, error: u32, at: Timestamp, clamped: bool, id: Option<EventId>) {
        self.folded.clamped += u64::from(clamped);
        if let Some(id) = id {
            self.folded.identified.push(Identified { id, error, at });
            return;
        }
        let (window, tally) = (Window::of(at), Tally::one(at));
        let last = &mut self.last[error as usize];
        let entry = match *last {
            Some((same, entry)) if same == window => Some(entry),
            // most errors are in one window
            None => None,
            Some(_) => self.by_window.get(&(error, window)).copied(),
        };
        let entry = entry.unwrap_or_else(|| {
            let entry = place(self.folded.entries.len());
            let none = Tally { count: 0, ..tally };
            self.folded.entries.push(Counted { error, window, tally: none });
            self.by_window.insert((error, window), entry);
            entry
        });
        *last = Some((window, entry));
        self.folded.entries[entry as usize].tally.fold(&tally);
    }
}

/// A place in what a batch keeps, which is no more than what came.
fn place(at: usize) -> u32 {
    u32::try_from(at).expect("a batch is far smaller than 4 GiB")
}

fn at(texts: &[u8], (start, end): (u32, u32)) -> &[u8] {
    &texts[start as usize..end as usize]
}
