//! A plain file: every worker reads the pieces it takes by itself, wherever they lie.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use errsift_ops::{
    id::Epoch,
    recorded::{
        boundaries::{Boundaries, Boundary, Piece},
        fold::RECORD_BYTES_MAX,
        form::Form,
    },
};
use errsift_pipeline::ports::recording::{Chunk, Closed, Recording, RecordingFault, Taken};

use super::input::Share;

/// Bytes read at once in search of the next record.
const LOOK_BYTES: usize = 16 * 1024;
/// Reads begin at multiples of so many bytes: whole pages are copied several times as fast as bytes that
/// lie in theirs otherwise than in the buffer.
const PAGE_BYTES: u64 = 4096;
/// Bytes that are searched for the next record of a text log.
const SEARCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A file that is read in pieces.
pub struct Plain {
    file: File,
    name: String,
    form: Form,
    boundaries: Boundaries,
    share: Share,
    place: Mutex<Place>,
}

/// How far pieces were taken.
struct Place {
    at: u64,
    pieces: u64,
    /// The last range of which a piece was taken.
    range: u64,
    is_stopped: bool,
}

impl Plain {
    /// A file of a seekable form, of which `boundaries` know the end.
    pub fn new(file: File, name: String, form: Form, boundaries: Boundaries, share: Share) -> Self {
        let at = boundaries.start();
        let place = Mutex::new(Place { at, pieces: 0, range: 0, is_stopped: false });
        Self { file, name, form, boundaries, share, place }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece that is this process's.
    fn next(&self) -> Option<Piece> {
        let mut place = self.place();
        loop {
            let piece = self.boundaries.piece(place.at).filter(|_| !place.is_stopped)?;
            place.at = piece.to.at;
            place.range = piece.range.at;
            place.pieces += 1;
            if self.share.has(place.pieces) {
                return Some(piece);
            }
        }
    }

    fn fault(&self, error: &io::Error) -> RecordingFault {
        RecordingFault(format!("{}: {error}", self.name))
    }

    /// Where the log ends.
    fn end(&self) -> u64 {
        self.boundaries.end().unwrap_or_default()
    }

    /// The records of a piece; `None` if none starts in it.
    fn read(&self, piece: &Piece, mut buffer: Vec<u8>) -> io::Result<Option<Chunk>> {
        let Piece { from, to, range } = *piece;
        let low = page(from.at.saturating_sub(1));
        let high = self.end().min(to.at + LOOK_BYTES as u64);
        extend(&self.file, &mut buffer, 0, low, high)?;
        let (begin, border) = (length(from.at - low), length(to.at - low));
        let start = if from.is_exact {
            begin
        } else if self.form.starts_are_local() {
            match self.form.first_start(&buffer, low == 0, begin) {
                Some(start) if start < border => start,
                _ => return Ok(None),
            }
        } else {
            self.find(&mut buffer, low, begin)?
        };
        let stop = if to.is_exact { border } else { self.find(&mut buffer, low, border)? };
        let at = low + start as u64;
        let chunk = Chunk { at, range: range.at, buffer, span: start..stop };
        Ok(Some(chunk).filter(|chunk| !chunk.span.is_empty()))
    }

    /// Where the first record starts that does so at `from` or later, in a buffer that grows as it
    /// must; the end of the log if none does. Of a line that is too long to be a record, no more is
    /// read than shows that.
    fn find(&self, buffer: &mut Vec<u8>, low: u64, from: usize) -> io::Result<usize> {
        let bytes_max = match self.form {
            Form::Ndjson => 2 * RECORD_BYTES_MAX,
            _ => SEARCH_BYTES_MAX,
        };
        loop {
            if let Some(start) = self.form.first_start(buffer, low == 0, from) {
                return Ok(start);
            }
            let (known, high) = (buffer.len(), low + buffer.len() as u64);
            if high >= self.end() || known > from + bytes_max {
                return Ok(known);
            }
            let more = known.saturating_sub(from).max(LOOK_BYTES);
            extend(&self.file, buffer, known, low, self.end().min(high + more as u64))?;
        }
    }

    /// Where the first record starts that does so at a boundary or later.
    fn cut(&self, boundary: Boundary) -> io::Result<u64> {
        if boundary.is_exact {
            return Ok(boundary.at);
        }
        let mut low = boundary.at - 1;
        let mut buffer = Vec::new();
        loop {
            let high = self.end().min(low + LOOK_BYTES as u64);
            extend(&self.file, &mut buffer, 0, low, high)?;
            let start = self.find(&mut buffer, low, 1)?;
            let high = low + buffer.len() as u64;
            if start < buffer.len() || high >= self.end() {
                return Ok(low + start as u64);
            }
            // the last byte may be what a start is known by
            low = high - 1;
        }
    }
}

impl Recording for Plain {
    fn take(&self, used: Chunk, _wait: Duration) -> Result<Taken, RecordingFault> {
        let mut buffer = used.buffer;
        while let Some(piece) = self.next() {
            match self.read(&piece, buffer).map_err(|error| self.fault(&error))? {
                Some(chunk) => return Ok(Taken::Chunk(chunk)),
                None => buffer = Vec::new(),
            }
        }
        Ok(Taken::End)
    }

    fn closed(&self, after: u64, open: Option<u64>) -> Result<Vec<Closed>, RecordingFault> {
        let (taken, last, is_stopped) = {
            let place = self.place();
            (place.at, place.range, place.is_stopped)
        };
        let mut closed = Vec::new();
        let mut at = after.max(self.boundaries.start());
        while let Some(piece) = self.boundaries.piece(at) {
            let range = piece.range;
            if open.is_some_and(|open| range.at >= open) || (is_stopped && range.at > last) {
                break;
            }
            let is_short = is_stopped && range.at == last && taken < range.at;
            let border = if is_short { self.boundaries.boundary(taken) } else { range };
            let end = self.cut(border).map_err(|error| self.fault(&error))?;
            closed.push(Closed { range: range.at, end: Epoch(end) });
            at = range.at;
        }
        Ok(closed)
    }

    fn stop(&self) {
        self.place().is_stopped = true;
    }
}

/// Where the last record ends that is certainly whole, of a file of a seekable form.
pub fn last_end(file: &File, form: &Form) -> io::Result<u64> {
    let high = file.metadata()?.len();
    let mut bytes = LOOK_BYTES as u64;
    let mut buffer = Vec::new();
    loop {
        let low = high.saturating_sub(bytes);
        extend(file, &mut buffer, 0, low, high)?;
        if let Some(end) = form.last_end(&buffer, low == 0) {
            return Ok(low + end as u64);
        }
        if low == 0 {
            return Ok(0);
        }
        bytes = bytes.saturating_mul(4);
    }
}

/// Has `buffer`, which holds `known` bytes from `low` on, hold all up to `high`.
fn extend(file: &File, buffer: &mut Vec<u8>, known: usize, low: u64, high: u64) -> io::Result<()> {
    buffer.resize(length(high - low), 0);
    file.read_exact_at(&mut buffer[known..], low + known as u64)
}

/// The start of the page that has this byte.
fn page(at: u64) -> u64 {
    at - at % PAGE_BYTES
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
