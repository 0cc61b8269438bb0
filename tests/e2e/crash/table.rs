//! The rows.

/// How a point is met, and how often it is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meets {
    /// At each start.
    Starts,
    /// At a start that finds jobs in the journal.
    Backlogs,
    /// With each flight.
    Flights,
    /// With each epoch, or each second.
    Epochs,
    /// When Redis drops its connections.
    LostAnswers,
    /// When Redis goes back to where it was.
    Losses,
    /// When epochs are closed and the tables take none.
    Merges,
}

/// Each point of `pipeline/src/failpoints.rs`, in its order.
pub const ROWS: &[(&str, Meets)] = &[
    ("acquired", Meets::Starts),
    ("recover_page", Meets::Backlogs),
    ("recover_reset", Meets::Backlogs),
    ("recover_fed", Meets::Backlogs),
    ("commit_begin", Meets::Flights),
    ("commit_sent", Meets::Flights),
    ("commit_heard", Meets::Flights),
    ("rearm_begin", Meets::LostAnswers),
    ("rearm_settled", Meets::LostAnswers),
    ("healed", Meets::Losses),
    ("ack_begin", Meets::Flights),
    ("ack_sent", Meets::Flights),
    ("hand_over", Meets::Flights),
    ("handed_over", Meets::Flights),
    ("epoch_close", Meets::Epochs),
    ("epoch_closed", Meets::Epochs),
    ("details_begin", Meets::Epochs),
    ("details_stored", Meets::Epochs),
    ("pending_begin", Meets::Epochs),
    ("pending_added", Meets::Epochs),
    ("guards_begin", Meets::Starts),
    ("guards_taken", Meets::Starts),
    ("apply_begin", Meets::Epochs),
    ("apply_guarded", Meets::Epochs),
    ("apply_counted", Meets::Epochs),
    ("apply_commit", Meets::Epochs),
    ("apply_committed", Meets::Epochs),
    ("apply_noted", Meets::Epochs),
    ("apply_done", Meets::Epochs),
    ("merge_begin", Meets::Merges),
    ("merge_done", Meets::Merges),
    ("trim_begin", Meets::Epochs),
    ("trim_confirmed", Meets::Epochs),
    ("trim_done", Meets::Epochs),
];
