//! Flights into the tables.
//!
//! ```text
//!   feeder ─► by_part ─► first_seen ─┬─► store_details ───────────────┬─► probe `applied` ─► trim
//!                                    ├─► pending ─► keep_pending      │
//!                                    └─► window_counts ─► apply_counts ┘
//! ```
//!
//! Dataflow time is the epoch. Live flights and jobs read back from the journal come in by the
//! same way, the feeder; the sinks hold an epoch until the tables have confirmed it, so the
//! frontier at the probe means "in the tables".
//!
//! A job that cannot be read does not stop the rest: the keeper puts a tombstone in its place and
//! the job among the dead ([`graveyard`]), and the feeder goes on. So it does with one that kills
//! the process again and again ([`suspicion`]).

pub(crate) mod apply_counts;
pub(crate) mod counts_writer;
pub(crate) mod feeder;
pub(crate) mod graph;
pub(crate) mod graveyard;
pub(crate) mod keep_pending;
pub(crate) mod keeper;
pub(crate) mod merger;
pub(crate) mod reach;
pub(crate) mod retry;
pub(crate) mod store_details;
pub(crate) mod suspicion;
pub(crate) mod unreadable;
pub(crate) mod worker;
