//! The environment and the files of a process, as far as settings come from them.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use super::setting::PREFIX;

/// Bytes of a file that holds settings or a secret. What is larger is none.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Reads a file, at least as much of it as may be there.
type Read = dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// What settings are read from beside the command line.
pub struct Outside {
    variables: BTreeMap<String, OsString>,
    read: Box<Read>,
}

impl Outside {
    /// This process's own environment and file system.
    pub fn process() -> Self {
        Self::new(std::env::vars_os(), |path| {
            let mut bytes = Vec::new();
            File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }

    /// These variables, as far as they are meant for errsift, and files read so.
    pub fn new(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        read: impl Fn(&Path) -> io::Result<Vec<u8>> + 'static,
    ) -> Self {
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            name.starts_with(PREFIX).then_some((name, value))
        });
        Self { variables: ours.collect(), read: Box::new(read) }
    }

    /// A variable's value.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    /// The names of all variables that begin like errsift's.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// A file's text.
    pub fn text(&self, path: &Path) -> io::Result<String> {
        let bytes = (self.read)(path)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let reason = format!("it has more than {} KiB", FILE_BYTES_MAX / 1024);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
        }
        let invalid = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        String::from_utf8(bytes).map_err(invalid)
    }
}
