//! What a record's first line says before its message.

use super::level::Level;
use crate::timestamp::Timestamp;

/// What stands before the message, and where the message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// `None` if what stands there is no day of the calendar.
    pub(super) time: Option<Timestamp>,
    pub(super) level: Option<Level>,
    /// Where the message begins in the line.
    pub(super) message: usize,
    /// Where it ends, if that is before the line's end.
    pub(super) message_end: Option<usize>,
    /// Whether the level and the message stand on the next line.
    pub(super) on_next_line: bool,
}

impl Header {
    pub(super) const fn new(time: Option<Timestamp>, level: Option<Level>, message: usize) -> Self {
        Self { time, level, message, message_end: None, on_next_line: false }
    }
}
