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

pub(crate) mod apply_counts;
pub(crate) mod counts_writer;
pub(crate) mod feeder;
pub(crate) mod graph;
pub(crate) mod keep_pending;
pub(crate) mod keeper;
pub(crate) mod merger;
pub(crate) mod reach;
pub(crate) mod retry;
pub(crate) mod store_details;
pub(crate) mod worker;
