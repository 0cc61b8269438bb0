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
        let low = if from.is_exact { from.at } else { from.at - 1 };
        let high = self.end().min(to.at + LOOK_BYTES as u64);
        extend(&self.file, &mut buffer, 0, low, high)?;
        let border = length(to.at - low);
        let first = if from.is_exact { Some(0) } else { self.form.first_start(&buffer, 1) };
        let Some(start) = first.filter(|start| *start < border) else { return Ok(None) };
        let stop = if to.is_exact { border } else { self.stop(&mut buffer, low, border)? };
        let at = low + start as u64;
        Ok(Some(Chunk { at, range: range.at, buffer, span: start..stop }))
    }

    /// Where the records end of which the last starts before `border`. Of one that is too long to be
    /// taken, no more is read than shows that.
    fn stop(&self, buffer: &mut Vec<u8>, low: u64, border: usize) -> io::Result<usize> {
        loop {
            if let Some(stop) = self.form.first_start(buffer, border) {
                return Ok(stop);
            }
            let high = low + buffer.len() as u64;
            if high >= self.end() || buffer.len() > border + 2 * RECORD_BYTES_MAX {
                return Ok(buffer.len());
            }
            let more = self.end().min(high + RECORD_BYTES_MAX as u64);
            let known = buffer.len();
            extend(&self.file, buffer, known, low, more)?;
        }
    }

    /// Where the first record starts that does so at a boundary or later.
    fn cut(&self, boundary: Boundary) -> io::Result<u64> {
        if boundary.is_exact {
            return Ok(boundary.at);
        }
        let mut low = boundary.at - 1;
        let mut buffer = Vec::new();
        while low < self.end() {
            let high = self.end().min(low + LOOK_BYTES as u64);
            extend(&self.file, &mut buffer, 0, low, high)?;
            if let Some(start) = self.form.first_start(&buffer, 1) {
                return Ok(low + start as u64);
            }
            // the last byte may be what a start is known by
            low = if high == self.end() { high } else { high - 1 };
        }
        Ok(self.end())
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
    let mut high = file.metadata()?.len();
    let mut buffer = Vec::new();
    while high > 0 {
        let low = high.saturating_sub(LOOK_BYTES as u64);
        extend(file, &mut buffer, 0, low, high)?;
        if let Some(end) = form.last_end(&buffer) {
            return Ok(low + end as u64);
        }
        high = low;
    }
    Ok(0)
}

/// Has `buffer`, which holds `known` bytes from `low` on, hold all up to `high`.
fn extend(file: &File, buffer: &mut Vec<u8>, known: usize, low: u64, high: u64) -> io::Result<()> {
    buffer.resize(length(high - low), 0);
    file.read_exact_at(&mut buffer[known..], low + known as u64)
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
