//! Places at which a test ends the process, as `kill -9` would, to see what the next start makes of
//! what is left.
//!
//! With the feature `failpoints`, a point does what crate [`fail`](https://docs.rs/fail) is told in
//! the variable `FAILPOINTS`: `commit_sent=5*off->return` lets five pass and aborts at the sixth.
//! Without it, which is how errsift is built for use, [`pass`] is empty and the crate is not there.
//!
//! [`NAMES`] is the list that the crash table (`tests/e2e/crash`) has a row for each of; a point is
//! passed under a literal name, so that both can be compared with the sources.

/// Every point, in the order in which events meet them, with where it stands.
pub const NAMES: &[(&str, &str)] = &[
    // taking the shard, and what is left from before
    ("acquired", "the fence is ours, and nothing has been read from the journal"),
    ("recover_page", "before the journal is read"),
    ("recover_reset", "a recovered epoch's pending counts are forgotten, not counted anew"),
    ("recover_fed", "some recovered jobs are in the dataflow"),
    // commit
    ("commit_begin", "a flight is sealed and numbered, and nothing is sent"),
    ("commit_sent", "all is written, and COMMIT or the answer to EXEC is still out"),
    ("commit_heard", "the journal has executed the flight, and nobody was told"),
    ("rearm_begin", "an answer was lost, and the fence is about to be read"),
    ("rearm_settled", "the fence says what became of the flight, and nothing followed from it"),
    // ack and hand-over
    ("ack_begin", "before those who wait are answered"),
    ("ack_sent", "they are answered, and the worker does not know"),
    ("hand_over", "the worker knows, and apply does not"),
    ("handed_over", "the flight is on its way to apply, the horizon still before it"),
    ("epoch_close", "the last flight of an epoch is executed, and apply does not know that"),
    ("epoch_closed", "apply may close the epoch"),
    // details and pending counts
    ("details_begin", "before details are inserted"),
    ("details_stored", "they are inserted, and ingest does not know"),
    ("pending_begin", "before pending counts are added"),
    ("pending_added", "they are added, the epoch still open"),
    // apply
    ("guards_begin", "before the guard rows are taken"),
    ("guards_taken", "they are taken, and nothing is applied"),
    ("apply_begin", "before START TRANSACTION"),
    ("apply_guarded", "the guard rows are moved, and nothing is counted"),
    ("apply_counted", "counts are added, windows are not"),
    ("apply_commit", "everything is written, before COMMIT"),
    ("apply_committed", "committed, and not noted"),
    ("apply_noted", "noted for these parts; others may be left"),
    ("apply_done", "every part is there, and the dataflow does not know"),
    // trim
    ("trim_begin", "before the guard rows are read back"),
    ("trim_confirmed", "they are read back, and nothing is trimmed"),
    ("trim_done", "the journal is trimmed, and the epoch not forgotten"),
];

/// Passes the point `name`, or ends the process there without unwinding anything.
#[cfg(feature = "failpoints")]
pub fn pass(name: &str) {
    fail::fail_point!(name, |_| std::process::abort());
}

/// Nothing: this binary has no points to fail at.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn pass(_name: &str) {}

/// Has the points do what `FAILPOINTS` says, until what is returned is dropped.
#[cfg(feature = "failpoints")]
pub fn obey() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}
