//! How errsift's operators are connected, and when something is done.
#![warn(missing_docs)]

pub mod ack;
mod apply;
pub mod conformance;
pub mod counters;
pub mod epochs;
pub mod faulty;
mod feed;
mod ingest;
pub mod intake;
pub mod live;
pub mod memory;
pub mod ports;
pub mod settings;
pub mod start;
pub mod stop;
mod wake;
