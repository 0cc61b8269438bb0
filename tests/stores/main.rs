//! The table stores, held to the contract that every store is held to.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by where it panics")]

mod dead;
mod embedded;
mod mysql;
mod queries;
mod redis;
#[path = "../support/mod.rs"]
mod support;
