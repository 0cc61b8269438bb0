//! `errsift journal verify`: is the journal what it should be?
//!
//! It is read once, page by page, while a server may commit at its end and trim at its beginning.
//! Neither is damage: the fence is read before the jobs that must be there, the guard rows before
//! and after the first page, and a pending count is held against the jobs that lie in the list
//! before and after it is read.

mod balance;
mod chain;
mod ledger;
#[cfg(test)]
pub(super) mod list;
mod pass;
mod pending;
mod report;
#[cfg(test)]
mod tests;

use std::io::Write;

use errsift_ops::{id::Shard, timestamp::Timestamp};

pub use self::{balance::balance, ledger::Account};
use self::{pass::Pass, report::Report};
use super::Fault;
use crate::{
    cli::exit,
    inspect::{InspectGuards, InspectJournal},
};

/// Passes at most, while a server trims faster than the list is read.
const PASSES_MAX: u32 = 5;

/// Prints a line for each check, and one for each thing that is wrong. Exits 1 if there is any.
pub(super) fn run(
    journal: &mut dyn InspectJournal,
    guards: &mut dyn InspectGuards,
    shard: Shard,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<u8, Fault> {
    let report = verify(journal, guards, shard, now)?;
    for line in report.lines() {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(if report.is_right() { 0 } else { exit::NOT_SO })
}

fn verify(
    journal: &mut dyn InspectJournal,
    guards: &mut dyn InspectGuards,
    shard: Shard,
    now: Timestamp,
) -> Result<Report, Fault> {
    for _ in 1..PASSES_MAX {
        let (report, overtaken) = Pass::new(journal, guards, shard, now)?.run()?;
        if !overtaken {
            return Ok(report);
        }
    }
    Ok(Pass::new(journal, guards, shard, now)?.run()?.0)
}
