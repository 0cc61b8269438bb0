//! What the tables hold, row by row in the order of their keys, for files and notebooks.
//!
//! Read a page at a time, so that memory does not follow the number of rows, and no page waits for a
//! writer or makes one wait. Each row is as it is when its page is read: see `docs/export.md` for
//! what that means beside a running server.

mod lines;

use errsift_ops::{fingerprint::Fingerprint, timestamp::Timestamp, window::Window};
use errsift_pipeline::ports::errors::{ErrorRow, ErrorsFault};

pub use self::lines::{Format, Lines, Subject};
use crate::query::{Candidate, Filter, Label};

/// Rows of a page: with the longest words that are stored, some 20 MB.
pub const PAGE_ROWS: usize = 200;

/// How often one error was counted in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRow {
    /// Start of the window.
    pub start: Timestamp,
    /// Which error.
    pub fingerprint: Fingerprint,
    /// Its events in the window.
    pub count: u64,
    /// All that is stored of it; without words unless they were asked for.
    pub error: ErrorRow,
    /// Its labels, in the order of [`Label`], whether or not words were asked for.
    pub labels: [Option<String>; 3],
}

/// Reads the tables page by page; an empty page is the end.
pub trait ExportRows {
    /// Errors that are counted, in the order of their fingerprints.
    fn errors(
        &mut self,
        after: Option<Fingerprint>,
    ) -> Result<Vec<(Fingerprint, ErrorRow)>, ErrorsFault>;

    /// Windows that start from `since` on and before `until`, in order, and in a window in the order
    /// of fingerprints.
    fn windows(
        &mut self,
        after: Option<(Timestamp, Fingerprint)>,
        span: (Timestamp, Timestamp),
        words: bool,
    ) -> Result<Vec<WindowRow>, ErrorsFault>;
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    /// The tables were not read.
    #[error(transparent)]
    Tables(#[from] ErrorsFault),
    /// Nobody listens, or the output is full.
    #[error(transparent)]
    Output(#[from] std::io::Error),
}

/// Writes all rows of `lines`' subject that pass `filter`; how many those are.
pub fn export(
    rows: &mut dyn ExportRows,
    filter: &Filter,
    lines: &mut Lines<impl std::io::Write>,
) -> Result<u64, ExportFault> {
    let written = match lines.subject() {
        Subject::Errors => errors(rows, filter, lines)?,
        Subject::Windows => windows(rows, filter, lines, filter.search.is_some())?,
        Subject::Events => windows(rows, filter, lines, true)?,
    };
    lines.end()?;
    Ok(written)
}

fn errors(
    rows: &mut dyn ExportRows,
    filter: &Filter,
    lines: &mut Lines<impl std::io::Write>,
) -> Result<u64, ExportFault> {
    let (mut after, mut written) = (None, 0);
    loop {
        let page = rows.errors(after)?;
        let Some((last, _)) = page.last() else { return Ok(written) };
        after = Some(*last);
        for (fingerprint, row) in &page {
            if filter.passes(&candidate(*fingerprint, row)) {
                lines.error(fingerprint, row)?;
                written += 1;
            }
        }
    }
}

fn windows(
    rows: &mut dyn ExportRows,
    filter: &Filter,
    lines: &mut Lines<impl std::io::Write>,
    words: bool,
) -> Result<u64, ExportFault> {
    // a window is in the range if a moment of it is
    let since = filter.since.map(|since| Window::of(since).start()).unwrap_or_default();
    let until = filter.until.unwrap_or(Timestamp::MAX);
    let of_errors = Filter { since: None, until: None, ..filter.clone() };
    let (mut after, mut written) = (None, 0);
    loop {
        let page = rows.windows(after, (since, until), words)?;
        let Some(last) = page.last() else { return Ok(written) };
        after = Some((last.start, last.fingerprint));
        for row in &page {
            let mut candidate = candidate(row.fingerprint, &row.error);
            candidate.labels.clone_from(&row.labels);
            if of_errors.passes(&candidate) {
                lines.window(row)?;
                written += 1;
            }
        }
    }
}

fn candidate(fingerprint: Fingerprint, row: &ErrorRow) -> Candidate {
    let mut candidate = Candidate {
        count: row.count,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        ..Candidate::of(fingerprint)
    };
    if let Some((_, payload)) = &row.details {
        candidate.message.clone_from(&payload.message);
        for (label, value) in [
            (Label::Service, &payload.service),
            (Label::Level, &payload.level),
            (Label::Environment, &payload.environment),
        ] {
            candidate.labels[label as usize].clone_from(value);
        }
    }
    candidate
}
