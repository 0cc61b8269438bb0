//! A log that can only be read from its beginning: compressed, from standard input, or of a form
//! that is understood from there only. One thread reads and cuts; workers take what it has cut.

use std::{
    io::{self, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use errsift_ops::{
    id::Epoch,
    recorded::{
        boundaries::{Boundaries, Piece},
        fold::RECORD_BYTES_MAX,
        form::Form,
    },
};
use errsift_pipeline::ports::recording::{Chunk, Closed, Recording, RecordingFault, Taken};

use super::input::Share;

/// Chunks that wait for a worker.
const CHUNKS_MAX: usize = 4;
/// Bytes read behind a border at first, in search of the next record.
const LOOK_BYTES: usize = 4 * 1024;
/// Bytes read at once in search of the end of a record that is too long.
const READ_BYTES: usize = 256 * 1024;
/// Bytes of one record beyond which it is no log.
const ENDLESS_BYTES: usize = 64 * 1024 * 1024;

/// The workers' end.
pub struct Stream {
    chunks: Receiver<Result<Chunk, RecordingFault>>,
    used: Sender<Vec<u8>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared(Mutex<Place>);

/// How far chunks were handed out.
#[derive(Default)]
struct Place {
    closed: Vec<Closed>,
    /// The range of the last chunk, while it is not closed, and where that ends.
    open: Option<Closed>,
    /// Whether a chunk is on its way to the workers.
    is_sending: bool,
    is_stopped: bool,
}

impl Shared {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be cut, and how.
pub struct Cutting {
    /// The decompressed content, from its beginning.
    pub content: Box<dyn Read + Send>,
    /// Its name, for people.
    pub name: String,
    /// Its form.
    pub form: Form,
    /// Where to cut.
    pub boundaries: Boundaries,
    /// Which pieces to hand out.
    pub share: Share,
    /// Whether the last record is whole whatever it ends with.
    pub is_final: bool,
}

impl Stream {
    /// Starts the thread that reads.
    pub fn start(cutting: Cutting) -> io::Result<Self> {
        let (send_chunk, chunks) = bounded(CHUNKS_MAX);
        let (used, spare) = bounded(2 * CHUNKS_MAX);
        let shared = Arc::<Shared>::default();
        let reader = Reader {
            name: cutting.name,
            form: cutting.form,
            boundaries: cutting.boundaries,
            share: cutting.share,
            is_final: cutting.is_final,
            content: cutting.content,
            chunks: send_chunk,
            spare,
            shared: Arc::clone(&shared),
            buffer: Vec::new(),
            start: 0,
            is_ended: false,
        };
        thread::Builder::new().name("read".to_owned()).spawn(move || reader.run())?;
        Ok(Self { chunks, used, shared })
    }
}

impl Recording for Stream {
    fn take(&self, used: Chunk, wait: Duration) -> Result<Taken, RecordingFault> {
        // room for all that can be on their way; if not, it is made anew
        let _ = self.used.try_send(used.buffer);
        match self.chunks.recv_timeout(wait) {
            Ok(chunk) => chunk.map(Taken::Chunk),
            Err(RecvTimeoutError::Timeout) => {
                // the thread may wait for ever for more to read
                let mut place = self.shared.place();
                if !place.is_stopped || place.is_sending || !self.chunks.is_empty() {
                    return Ok(Taken::Wait);
                }
                let open = place.open.take();
                place.closed.extend(open);
                Ok(Taken::End)
            }
            Err(RecvTimeoutError::Disconnected) => Ok(Taken::End),
        }
    }

    fn closed(&self, after: u64, open: Option<u64>) -> Result<Vec<Closed>, RecordingFault> {
        let is_asked =
            |closed: &&Closed| closed.range > after && open.is_none_or(|open| closed.range < open);
        Ok(self.shared.place().closed.iter().filter(is_asked).copied().collect())
    }

    fn stop(&self) {
        self.shared.place().is_stopped = true;
    }
}

/// The thread's end.
struct Reader {
    name: String,
    form: Form,
    boundaries: Boundaries,
    share: Share,
    is_final: bool,
    content: Box<dyn Read + Send>,
    chunks: Sender<Result<Chunk, RecordingFault>>,
    spare: Receiver<Vec<u8>>,
    shared: Arc<Shared>,
    /// What is read and not cut.
    buffer: Vec<u8>,
    /// Where it starts in the log.
    start: u64,
    is_ended: bool,
}

impl Reader {
    fn run(mut self) {
        if let Err(error) = self.cut_all() {
            let fault = RecordingFault(format!("{}: {error}", self.name));
            // workers that are gone need not know
            let _ = self.chunks.send(Err(fault));
        }
    }

    fn cut_all(&mut self) -> io::Result<()> {
        let start = self.boundaries.start();
        let skipped = io::copy(&mut self.content.by_ref().take(start), &mut io::sink())?;
        if skipped < start {
            // shorter than what was replayed: nothing new
            return Ok(());
        }
        self.start = start;
        let (mut at, mut pieces) = (start, 0_u64);
        while let Some(piece) = self.boundaries.piece(at) {
            pieces += 1;
            let is_last = self.cut(&piece, self.share.has(pieces))?;
            let mut place = self.shared.place();
            if place.is_stopped {
                // workers close what they have
                return Ok(());
            }
            if is_last || piece.to.at == piece.range.at {
                place.open = None;
                place.closed.push(Closed { range: piece.range.at, end: Epoch(self.start) });
            }
            if is_last {
                return Ok(());
            }
            at = piece.to.at;
        }
        Ok(())
    }

    /// Cuts one piece off and hands it out if it is `ours`; says whether it was the last.
    fn cut(&mut self, piece: &Piece, ours: bool) -> io::Result<bool> {
        // a long record may reach beyond several boundaries
        let Some(border) = piece.to.at.checked_sub(self.start).filter(|border| *border > 0) else {
            return Ok(false);
        };
        let border = usize::try_from(border).unwrap_or(usize::MAX);
        self.fill(border + LOOK_BYTES)?;
        let (stop, is_last) = loop {
            let found = if piece.to.is_exact {
                Some(border).filter(|border| *border <= self.buffer.len())
            } else {
                self.form.first_start(&self.buffer, self.start == 0, border)
            };
            if let Some(stop) = found {
                break (stop, false);
            }
            if self.is_ended {
                let whole = if self.is_final {
                    None
                } else {
                    Some(self.form.last_end(&self.buffer, self.start == 0))
                };
                break (whole.map_or(self.buffer.len(), Option::unwrap_or_default), true);
            }
            if self.buffer.len() > border + 2 * RECORD_BYTES_MAX && self.form.starts_are_local() {
                break (self.buffer.len(), false);
            }
            if self.buffer.len() > border + ENDLESS_BYTES {
                return Err(io::Error::other("a record does not end"));
            }
            self.fill(2 * self.buffer.len())?;
        };
        let is_cut_off = !is_last && stop == self.buffer.len() && !piece.to.is_exact;
        self.hand_out(piece, stop, ours);
        if is_cut_off {
            self.skip()?;
        }
        Ok(is_last)
    }

    fn hand_out(&mut self, piece: &Piece, stop: usize, ours: bool) {
        let mut rest = self.spare.try_recv().unwrap_or_default();
        rest.clear();
        rest.extend_from_slice(&self.buffer[stop..]);
        let buffer = std::mem::replace(&mut self.buffer, rest);
        let at = self.start;
        self.start += stop as u64;
        {
            let mut place = self.shared.place();
            if place.is_stopped {
                return;
            }
            place.is_sending = true;
        }
        if ours && stop > 0 {
            let chunk = Chunk { at, range: piece.range.at, buffer, span: 0..stop };
            // workers that are gone take nothing
            let _ = self.chunks.send(Ok(chunk));
        }
        let mut place = self.shared.place();
        place.is_sending = false;
        place.open = Some(Closed { range: piece.range.at, end: Epoch(self.start) });
    }

    /// Passes over what is left of a record that is too long.
    fn skip(&mut self) -> io::Result<()> {
        // what is cut off ends in the middle of a record: the byte before is no end of one
        self.buffer.insert(0, b' ');
        self.start -= 1;
        loop {
            if let Some(start) = self.form.first_start(&self.buffer, false, 1) {
                self.drop_first(start);
                return Ok(());
            }
            let known = self.buffer.len();
            if self.is_ended {
                self.drop_first(known);
                return Ok(());
            }
            self.drop_first(known.saturating_sub(1));
            self.fill(READ_BYTES)?;
        }
    }

    fn drop_first(&mut self, bytes: usize) {
        self.buffer.drain(..bytes);
        self.start += bytes as u64;
    }

    /// Reads until there are `bytes`, or no more.
    fn fill(&mut self, bytes: usize) -> io::Result<()> {
        let known = self.buffer.len();
        if self.is_ended || known >= bytes {
            return Ok(());
        }
        let wanted = (bytes - known) as u64;
        let read = self.content.by_ref().take(wanted).read_to_end(&mut self.buffer)?;
        self.is_ended = (read as u64) < wanted;
        Ok(())
    }
}
