//! The contract of the stores, as functions that panic where a store does not keep it.
//!
//! Every store is held to it: the real ones, the ones in memory, and the ones still to come.
//! [`errors`] and [`dead`] are for [`Errors`](crate::ports::errors::Errors), [`journal`] for
//! [`Journal`](crate::ports::journal::Journal) with
//! [`Backlog`](crate::ports::journal::Backlog). No expectation is about how fast anything is,
//! except that an answer comes within [`ANSWER_MAX`].

pub mod dead;
pub mod dead_jobs;
pub mod details;
pub mod errors;
mod heal;
pub mod holder;
pub mod ids;
pub mod journal;
pub mod merge;
pub mod pending;

use std::time::Duration;

use errsift_ops::fingerprint::Fingerprint;

/// A store that has not answered after this has lost the question.
pub const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The `n`th fingerprint of part `part`.
pub fn fingerprint(part: u8, n: u32) -> Fingerprint {
    let mut bytes = [0xA5; 32];
    bytes[0] = part << 2;
    bytes[1..5].copy_from_slice(&n.to_be_bytes());
    Fingerprint(bytes)
}
