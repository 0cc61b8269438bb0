//! `errsift dead redrive` and `errsift dead drop`: dead letters leave, counted or not.

use std::io::Write;

use errsift_ops::fingerprint::Fingerprint;
use errsift_pipeline::ports::errors::DeadLetters;

use super::{
    Fault,
    pages::{patiently, share, walk_chosen},
};
use crate::{
    cli::exit,
    dead::{DeadRow, DeadRows, Redriven},
    text,
};

/// Columns of a reason.
const REASON_WIDTH: usize = 100;

/// Counts what the tables take now, each letter in a transaction of its own. Exits 1 if one is
/// refused again, or if there was none of the errors that were named.
pub fn redrive(
    rows: &mut dyn DeadRows,
    chosen: Option<&[Fingerprint]>,
    out: &mut impl Write,
) -> Result<u8, Fault> {
    let (mut done, mut refused) = (DeadLetters::default(), DeadLetters::default());
    walk_chosen(rows, chosen, &mut |rows, row| {
        match patiently(|| rows.redrive(row))? {
            Redriven::Done => done.add(share(row)),
            Redriven::Refused(reason) => {
                refused.add(share(row));
                let reason = text::cut(&text::first_line(&reason), REASON_WIDTH);
                writeln!(out, "refused again: {}: {reason}", name(row))?;
            }
            Redriven::Gone => writeln!(out, "gone meanwhile: {}", name(row))?,
        }
        Ok(())
    })?;
    writeln!(out, "{} dead letters redriven, {} events counted", done.rows, done.events)?;
    if refused.rows > 0 {
        let DeadLetters { rows, events } = refused;
        writeln!(out, "{rows} dead letters stay, {events} events")?;
    }
    out.flush()?;
    let none = chosen.is_some() && done.rows == 0;
    Ok(if refused.rows > 0 || none { exit::NOT_SO } else { 0 })
}

/// Gives letters up, if `yes`; else says what that would be, and exits 2.
pub fn discard(
    rows: &mut dyn DeadRows,
    chosen: Option<&[Fingerprint]>,
    yes: bool,
    out: &mut impl Write,
) -> Result<u8, Fault> {
    let mut sum = DeadLetters::default();
    walk_chosen(rows, chosen, &mut |rows, row| {
        if !yes || patiently(|| rows.discard(row))? {
            sum.add(share(row));
        }
        Ok(())
    })?;
    let DeadLetters { rows, events } = sum;
    if yes {
        writeln!(out, "{rows} dead letters dropped, {events} events will never be counted")?;
    } else {
        writeln!(out, "{rows} dead letters, {events} events that would never be counted")?;
        writeln!(out, "nothing is dropped without --yes")?;
    }
    out.flush()?;
    Ok(match (yes, rows) {
        (false, _) => exit::USAGE,
        (true, 0) if chosen.is_some() => exit::NOT_SO,
        (true, _) => 0,
    })
}

fn name(row: &DeadRow) -> String {
    format!("{} of epoch {}, {} events", row.key.fingerprint, row.key.epoch, row.count)
}
