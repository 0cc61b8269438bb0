//! What the pipeline needs of the outside, as traits.
//!
//! Each store has three implementations: a real one (in the process crate), one in memory
//! ([`crate::memory`]) and a seeded faulty wrapper ([`crate::faulty`]).

pub mod clock;
pub mod dead;
pub mod errors;
pub mod heal;
pub mod holder;
pub mod journal;
mod progress;
pub mod recording;
pub mod words;
