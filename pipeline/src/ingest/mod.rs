//! Events into flights, flights into the journal.
//!
//! ```text
//!   channel ─► decode ─┬─► fingerprint ─► tally ─► journal ─► hand_over ─► (apply)
//!                      └─► refuse (faults)
//! ```
//!
//! Dataflow time is the number of the forming flight. The worker lets it pass when the journal is
//! free, and `tally` then emits the flight: under load, what arrives while one flight is out forms
//! the next, and there is no timer.

pub(crate) mod aboard;
mod account;
mod end;
pub(crate) mod flight;
pub(crate) mod graph;
mod ring;
pub(crate) mod sealer;
pub(crate) mod worker;
