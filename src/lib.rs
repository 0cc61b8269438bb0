//! The process around errsift's pipeline: the HTTP front end, the stores' adapters, settings,
//! metrics and the command line.
//!
//! Nothing here decides what an event means or when it is done: `errsift_ops` computes, and
//! `errsift_pipeline` connects.

pub mod check;
pub mod cli;
pub mod client;
pub mod clock;
pub mod dead;
mod descriptors;
pub mod durability;
pub mod embedded;
pub mod export;
mod halves;
pub mod http;
pub mod inspect;
mod logging;
pub mod metered;
pub mod metrics;
pub mod migrated;
pub mod mysql;
pub mod operations;
mod place;
pub mod query;
pub mod redis;
pub mod replay;
pub mod schema;
pub mod settings;
pub mod stores;
pub mod text;
pub mod tls;
mod totals;
