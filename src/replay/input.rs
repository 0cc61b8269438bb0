//! What people name to be replayed: files, directories, patterns, standard input; plain or
//! compressed.

use std::{
    fs::File,
    io::{self, BufReader, Chain, Cursor, Read},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use errsift_ops::timestamp::Timestamp;
use flate2::read::MultiGzDecoder;

use super::sources::HEAD_BYTES;

/// Bytes read from a file at once on their way to be decompressed.
const READ_BYTES: usize = 256 * 1024;
/// What gzip begins with.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// What a frame of zstd begins with.
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Which pieces of a log are this process's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its index among all.
    pub process: usize,
    /// How many there are.
    pub processes: usize,
}

impl Share {
    /// All.
    pub const ALL: Self = Self { process: 0, processes: 1 };

    /// Whether the piece with this number is.
    pub fn has(&self, piece: u64) -> bool {
        piece % self.processes as u64 == self.process as u64
    }
}

/// Something to replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Standard,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// For people.
    pub fn name(&self) -> String {
        match self {
            Self::Standard => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// What people typed, as inputs in order: `-` is standard input, a directory is what is in it, by
/// name and at any depth but for hidden files, and what is not there may be a pattern.
pub fn inputs(words: &[PathBuf]) -> Vec<Result<Input, String>> {
    words.iter().flat_map(|word| expand(word)).collect()
}

fn expand(word: &Path) -> Vec<Result<Input, String>> {
    let shown = word.display();
    if word.as_os_str() == "-" {
        return vec![Ok(Input::Standard)];
    }
    if word.is_dir() {
        return within(word);
    }
    if word.exists() {
        return vec![Ok(Input::File(word.to_owned()))];
    }
    let pattern = word.to_str().filter(|word| word.contains(['*', '?', '[']));
    let Some(paths) = pattern.and_then(|pattern| glob::glob(pattern).ok()) else {
        return vec![Err(format!("{shown}: no such file"))];
    };
    let found: Vec<_> = paths
        .flat_map(|path| match path {
            Ok(path) if path.is_dir() => within(&path),
            Ok(path) => vec![Ok(Input::File(path))],
            Err(error) => vec![Err(error.to_string())],
        })
        .collect();
    if found.is_empty() { vec![Err(format!("{shown}: nothing matches"))] } else { found }
}

fn within(directory: &Path) -> Vec<Result<Input, String>> {
    let is_shown = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
    };
    let entries = walkdir::WalkDir::new(directory).sort_by_file_name().follow_links(true);
    let entries = entries.into_iter().filter_entry(is_shown);
    entries
        .filter_map(|entry| match entry {
            Ok(entry) if entry.file_type().is_dir() => None,
            Ok(entry) => Some(Ok(Input::File(entry.into_path()))),
            Err(error) => Some(Err(error.to_string())),
        })
        .collect()
}

/// An input, opened, and its beginning, decompressed.
pub struct Opening {
    /// The first [`HEAD_BYTES`], or all if it is shorter.
    pub head: Vec<u8>,
    /// When the file was last changed, if it is one.
    pub changed: Option<Timestamp>,
    /// What can be read.
    pub content: Content,
}

/// What there is to read.
pub enum Content {
    /// A plain file, of which any part can be read at any time.
    File(File),
    /// All from the beginning, decompressed.
    Stream(Box<dyn Read + Send>),
}

impl Opening {
    /// Opens `input` and reads its beginning.
    pub fn open(input: &Input) -> io::Result<Self> {
        let mut changed = None;
        let (raw, file): (Box<dyn Read + Send>, _) = match input {
            Input::Standard => (Box::new(io::stdin()), None),
            Input::File(path) => {
                let file = File::open(path)?;
                let metadata = file.metadata()?;
                changed = metadata.modified().ok().and_then(|at| {
                    let since = at.duration_since(UNIX_EPOCH).ok()?;
                    Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
                });
                let plain = metadata.is_file().then(|| file.try_clone()).transpose()?;
                (Box::new(file), plain)
            }
        };
        let (first, raw) = peek(raw, ZSTD.len())?;
        let (mut content, is_plain): (Box<dyn Read + Send>, bool) = if first.starts_with(GZIP) {
            (Box::new(MultiGzDecoder::new(BufReader::with_capacity(READ_BYTES, raw))), false)
        } else if first.starts_with(ZSTD) {
            (
                Box::new(zstd::Decoder::with_buffer(BufReader::with_capacity(READ_BYTES, raw))?),
                false,
            )
        } else {
            (Box::new(raw), true)
        };
        let mut head = Vec::new();
        content.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let content = match file.filter(|_| is_plain) {
            Some(file) => Content::File(file),
            None => Content::Stream(Box::new(Cursor::new(head.clone()).chain(content))),
        };
        Ok(Self { head, changed, content })
    }
}

/// What was read already, and the rest.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first `bytes` of `input`, and all of it again.
fn peek<R: Read>(mut input: R, bytes: usize) -> io::Result<(Vec<u8>, Whole<R>)> {
    let mut first = Vec::with_capacity(bytes);
    input.by_ref().take(bytes as u64).read_to_end(&mut first)?;
    Ok((first.clone(), Cursor::new(first).chain(input)))
}
