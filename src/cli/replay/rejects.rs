//! Records that are not counted, in a file.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
};

use errsift_ops::recorded::seen::Reject;
use serde::Serialize;

/// The file.
pub struct Rejects(BufWriter<File>);

/// A line of it.
#[derive(Serialize)]
struct Line<'a> {
    log: &'a str,
    offset: u64,
    reason: &'a str,
    record: std::borrow::Cow<'a, str>,
}

impl Rejects {
    /// Opens `path` to be added to; an error names the setting.
    pub fn open(path: &Path) -> Result<Self, String> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|error| format!("--rejects: {}: {error}", path.display()))?;
        Ok(Self(BufWriter::new(file)))
    }

    /// Adds a line for each of a log's `rejects`. Bytes that are no UTF-8 are replaced by marks.
    pub fn write(&mut self, log: &str, rejects: &[Reject]) -> io::Result<()> {
        for reject in rejects {
            let record = String::from_utf8_lossy(&reject.record);
            let line = Line { log, offset: reject.at, reason: &reject.reason, record };
            serde_json::to_writer(&mut self.0, &line)?;
            self.0.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Writes what is buffered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
