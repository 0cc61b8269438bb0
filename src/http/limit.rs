//! The front end's limits. Reaching one is a normal, counted answer, or a closed connection where
//! there is nothing to answer.

use std::time::Duration;

/// Connections open at once; further ones wait in the kernel's backlog.
pub const CONNECTIONS_MAX: u32 = 10_000;

/// A request's head must be complete this long after its first byte, and the first byte must come
/// this long after a connection is accepted. Past it the connection is closed without an answer.
pub const HEAD_MS: u64 = 5_000;

/// Bytes of a request's head; 431 beyond.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Header fields of a request; 431 beyond.
pub const HEADERS_MAX: usize = 64;

/// Between requests a connection may rest this long. Longer than the 60 s after which common load
/// balancers close, so that they close first and never send into a connection that is going away.
pub const IDLE_MS: u64 = 75_000;

/// A body must be complete this long after its head; 408 beyond.
pub const BODY_MS: u64 = 10_000;

/// Bytes of one event's body; 413 beyond.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a batch's body, as it is sent and inflated; 413 beyond.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// KiB that all batches together keep until they are answered; 503 beyond.
pub const BATCHES_KIB_MAX: usize = 128 * 1024;

/// KiB that a batch keeps without counting against [`BATCHES_KIB_MAX`]: as much as single events.
pub const BATCH_FREE_KIB: usize = 256;

/// Bytes of a batch that are folded before others on the same thread have their turn.
pub const BATCH_TURN_BYTES: usize = 256 * 1024;

/// Bytes that are inflated at once.
pub const INFLATE_BYTES: usize = 64 * 1024;

/// How many times its size a body may inflate to, beyond [`INFLATE_FREE_BYTES`]; 400 beyond.
pub const INFLATE_RATIO_MAX: usize = 100;

/// Bytes that any body may inflate to: as many as a single event has.
pub const INFLATE_FREE_BYTES: usize = BODY_BYTES_MAX;

/// Batches inflated at once; further ones wait.
pub const INFLATING_MAX: usize = 8;

/// After an answer to a request that was not read whole, the client has this long to take it and
/// close: closing at once would reset the connection and could take the answer with it.
pub const LINGER_MS: u64 = 2_000;

/// Bytes that a connection buffers of a body before they are handed on.
pub const BUFFER_BYTES: usize = 64 * 1024;

/// Blocking calls at once, for what else is read from the stores; 503 beyond.
pub const CALLS_MAX: usize = 64;

/// Lists read at once; 503 beyond. Each asks for many counts of the Redis that acks wait for.
pub const LIST_CALLS_MAX: usize = 8;

/// Blocking calls at once for `/metrics`; 503 beyond.
pub const METRICS_CALLS_MAX: usize = 4;

/// An answer from this size on is handed on piece by piece, and counts against [`HELD_KIB_MAX`].
pub const HELD_BYTES_MIN: usize = 64 * 1024;

/// KiB of large answers that clients have not taken yet; a further one is a 503 instead.
pub const HELD_KIB_MAX: usize = 64 * 1024;

/// Connections open at once on the admin listener.
pub const ADMIN_CONNECTIONS_MAX: u32 = 256;

/// Answers to GET from this size on are compressed for those who take it.
pub const COMPRESS_BYTES_MIN: usize = 1024;

/// Beyond this size an answer is compressed on a thread of its own: up to it that takes some
/// hundred microseconds.
pub const COMPRESS_AT_ONCE_BYTES_MAX: usize = 32 * 1024;

/// Pause before accepting again after the system refused, for want of descriptors or memory.
pub const ACCEPT_PAUSE_MS: u64 = 100;

/// What a 503 tells the client to wait, in seconds.
pub const RETRY_AFTER_S: &str = "1";

/// The limits that a process may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See [`CONNECTIONS_MAX`].
    pub connections_max: u32,
    /// See [`HEAD_MS`].
    pub head: Duration,
    /// See [`IDLE_MS`].
    pub idle: Duration,
    /// See [`BODY_MS`].
    pub body: Duration,
    /// See [`BODY_BYTES_MAX`].
    pub body_bytes_max: usize,
    /// See [`BATCH_BYTES_MAX`].
    pub batch_bytes_max: usize,
    /// See [`LINGER_MS`].
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            head: Duration::from_millis(HEAD_MS),
            idle: Duration::from_millis(IDLE_MS),
            body: Duration::from_millis(BODY_MS),
            body_bytes_max: BODY_BYTES_MAX,
            batch_bytes_max: BATCH_BYTES_MAX,
            linger: Duration::from_millis(LINGER_MS),
        }
    }
}
