//! What errsift computes: events, fingerprints, tallies and windows, and the operators one by one.
//!
//! ```text
//!   ingest:  decode ─► fingerprint ─► fold_ids ─► tally        (a time is a flight)
//!   apply:   by_part ─┬► first_seen                            (a time is an epoch)
//!                     ├► pending
//!                     └► window_counts
//!   replay:  recorded::fold ─► by_part, and on as in apply     (a time is a range)
//! ```
//!
//! Each operator is a file, and the file's name is the method's and, in `PascalCase`, the operator's
//! runtime name. Nothing here opens a socket, reads a clock, starts a thread or waits: time comes
//! in as an argument or as dataflow time.
#![warn(missing_docs)]

pub mod batch;
pub mod body;
pub mod by_part;
pub mod decode;
pub mod event;
mod field;
pub mod fingerprint;
pub mod first_seen;
pub mod flight;
pub mod fold_batch_ids;
pub mod fold_ids;
pub mod id;
pub mod job;
pub mod known;
pub mod log;
pub mod merge;
mod object_only;
pub mod pending;
pub mod recent_ids;
pub mod recorded;
pub mod reported;
mod scan;
pub mod tags;
pub mod tally;
mod text;
pub mod timestamp;
pub mod window;
pub mod window_counts;
