//! Recorded logs: opening and reading them, and what the tables know of each.
//!
//! What is done with them is [`errsift_pipeline::replay`]'s.

pub mod account;
pub mod claim;
#[cfg(test)]
mod cuts;
pub mod input;
pub mod logs;
pub mod peers;
pub mod plain;
pub mod sources;
pub mod stream;
pub mod tables;
