//! How errsift's operators are connected, and when something is done.
//!
//! ```text
//!   Intake ─► ingest ── decode ► fingerprint ► tally ► journal ──► ports::journal::Journal
//!              │ one flight out, one forming                          acks when it is durable
//!              ▼ feed: executed flights, a short-cut
//!   recovery ─► apply ── by_part ► first_seen ► store_details ───► ports::errors
//!              │                 ► window_counts ► apply_counts ─► ports::errors
//!              │                 ► pending ► keep_pending ───────► ports::journal::Backlog
//!              ▼ applied
//!             keeper ── pages, trims
//! ```
//!
//! Promised: an event is acknowledged only when the journal has it at the configured durability;
//! what was acknowledged is counted exactly once, whatever is killed when; nothing here blocks a
//! dataflow worker on a store. [`start`] takes a shard and wires it all; dropping the last
//! [`Intake`](intake::Intake) drains it.
//!
//! Not here: sockets, async, clocks and randomness, which come in through [`ports`]. Deliberately
//! absent: acknowledging on a probe (acks leave on the commit's completion), a second flight in
//! the air (it did not help), and time-driven batching.
#![warn(missing_docs)]

pub mod ack;
mod apply;
pub mod batches;
pub mod conformance;
pub mod counters;
pub mod epochs;
pub mod failpoints;
pub mod faulty;
mod feed;
pub mod histogram;
pub mod hold;
mod ids;
mod ingest;
pub mod intake;
pub mod live;
mod lookout;
pub mod memory;
pub mod operators;
pub mod ports;
pub mod replay;
pub mod settings;
pub mod start;
pub mod stop;
mod wake;
mod watchdog;
