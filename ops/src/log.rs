//! Plain text logs: what form a file has, where its records begin, and what each says.
//!
//! ```
//! use errsift_ops::log::{Assumed, Format, Level, Year};
//!
//! let log = b"2024-01-02 03:04:05,678 INFO [main] app.Main: up\n\
//!     2024-01-02 03:04:06,000 ERROR [main] app.Main: request failed\n\
//!     java.io.IOException: disk full\n\tat app.Main.run(Main.java:3)\n";
//! let format = Format::detect(log, &Assumed { year: Year::Is(2024), utc_offset_seconds: 0 });
//! let failed = format.records(log).nth(1).unwrap();
//! assert_eq!(failed.level, Some(Level::Error));
//! assert_eq!(failed.message, "request failed");
//! assert_eq!(failed.kind.as_deref(), Some("java.io.IOException"));
//! assert_eq!(failed.timestamp.unwrap().to_string(), "2024-01-02T03:04:06.000Z");
//! ```
//!
//! A file's form is decided once, from its head, so that the same file is always read the same way.
//! A line that fits the form starts a record; all others belong to the record before, but crashes
//! that begin by themselves. [`Format::record_start`] finds places to cut a file at, by what comes
//! behind them alone: the records of the parts are those of the whole.
//!
//! There are no expressions here but the user's own: the forms are read byte by byte.

mod crash;
mod cursor;
mod fault;
mod fields;
mod fold;
mod format;
mod header;
mod lead;
mod level;
mod lines;
mod moment;
mod pattern;
mod record;

pub use format::Format;
pub use level::Level;
pub use moment::{Assumed, Year};
pub use pattern::PatternError;
pub use record::{Record, Records};
