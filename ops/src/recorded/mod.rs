//! Recorded logs: where they are cut, what their records are, and how these are folded.
//!
//! ```text
//!   bytes ── boundaries ─► chunks ── form ─► records ── fold ─► entries, as of flights
//! ```
//!
//! A position is always an offset in bytes from the start of the decompressed content. A chunk begins
//! at the first record that starts at or after a boundary, so chunks are the same however the
//! content is read and whoever reads them.

pub mod array;
pub mod boundaries;
mod cursor;
mod exported;
pub mod fold;
pub mod form;
mod layout;
mod lines;
mod met;
pub mod passed_on;
mod quick;
mod repeats;
pub mod rules;
pub mod seen;
mod slots;
mod usual_time;
