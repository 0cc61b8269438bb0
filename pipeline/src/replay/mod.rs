//! Recorded logs into the tables: the log is the journal.
//!
//! ```text
//!   recordings ─► agree ─► every worker:
//!     chunk ─► fold ─► by_part ─► first_seen ─┬─► store_details ─────────────────┬─► probe `applied`
//!      (its own)                              │         ▼ how far words are stored │
//!                                             └─► window_counts ─► apply_counts ──┘
//! ```
//!
//! A log is the shard, and where a range of it ends is the epoch, in bytes. So guard rows say how far
//! each part has come, and a range applies to a part once, whoever replays it how often. Dataflow
//! time is the boundary that a range was to end at; where it did end is known when it is closed.
//!
//! Each worker folds the chunks it takes and sends an error's first event on at once; all else follows
//! when the range ends. Words are held as long, and then go to the tables in order of their keys and
//! many at a time, unless there are more than [`HELD_BYTES`] of them before.
//! Counts are written while their range's words are stored, by another connection, and committed after:
//! a guard row says that a range need not be read again.
//!
//! Words that one worker has sent on no other sends, unless it is in an earlier range: that is applied
//! first. At most [`RANGES_OPEN_MAX`] ranges are folded and not applied, and at most
//! [`WAITING_BYTES_MAX`] of words wait for the tables, so memory follows distinct errors and not the
//! log's length.

mod agree;
mod graph;
mod worker;
mod workers;

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use timely::WorkerConfig;

pub use self::workers::Workers;
use crate::{
    counters::{Counter, Counters},
    ports::{clock::Clock, errors::Errors, recording::Recordings},
    stop::Stop,
};
use errsift_ops::recorded::{passed_on::PassedOn, rules::Rules};

/// Ranges that may be folded and not applied.
pub const RANGES_OPEN_MAX: usize = 2;

/// Bytes of words that may wait for the tables before no further chunk is taken.
pub const WAITING_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Bytes of words that are held until their range is read.
pub const HELD_BYTES: u64 = WAITING_BYTES_MAX / 2;

/// What workers need to replay.
pub struct Replay {
    /// What to make of records.
    pub rules: Rules,
    /// The logs.
    pub recordings: Arc<dyn Recordings>,
    /// The tables.
    pub errors: Arc<dyn Errors>,
    /// Where the time is read.
    pub clock: Arc<dyn Clock>,
}

/// A replay that runs.
pub struct Replaying {
    /// Says why it must stop, if it must; whoever listens ends the process.
    pub stops: Receiver<Stop>,
    /// Hears nothing; closed when all is applied.
    pub ended: Receiver<()>,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// Errors met, each once.
    pub distinct: Arc<Counter>,
}

/// What the workers of a process share.
struct Shared {
    replay: Replay,
    counters: Arc<Counters>,
    distinct: Arc<Counter>,
    waiting: Arc<Counter>,
    /// Errors whose words one of the workers has sent on: building them takes longer than counting.
    passed_on: Arc<PassedOn>,
    stops: Sender<Stop>,
}

/// Starts `workers`.
///
/// An error means that the system has no room for a thread.
pub fn start(workers: Workers, replay: Replay) -> Result<Replaying, String> {
    let (stops_sender, stops) = unbounded();
    let (ending, ended) = bounded::<()>(0);
    let (counters, distinct) = (Arc::<Counters>::default(), Arc::<Counter>::default());
    let shared = Arc::new(Shared {
        replay,
        counters: Arc::clone(&counters),
        distinct: Arc::clone(&distinct),
        waiting: Arc::default(),
        passed_on: Arc::default(),
        stops: stops_sender,
    });
    let worker = WorkerConfig::default().idle_spin(Duration::ZERO);
    let ending = Mutex::new(Some(ending));
    let Workers { builders, others } = workers;
    let run = move |worker: &mut _| worker::run(worker, &shared);
    let guards = timely::execute::execute_from(builders, others, worker, run)?;
    let join = thread::Builder::new().name("replay".to_owned()).spawn(move || {
        // a worker that panicked has ended the process already
        drop(guards.join());
        drop(ending);
    });
    join.map_err(|fault| fault.to_string())?;
    Ok(Replaying { stops, ended, counters, distinct })
}
