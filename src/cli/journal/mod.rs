//! `errsift journal`: looks into the journal of a shard, beside a running server if there is one.
//!
//! Nothing here writes to a store or takes the shard.

mod list;
mod show;
pub mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use errsift_ops::id::{Seq, Shard};
use errsift_pipeline::ports::{clock::Clock, journal::JournalFault};

use super::{exit, output, serve::open};
use crate::{clock::SystemClock, settings::StoreSettings};

/// What to do with the journal.
#[derive(Debug, Args)]
pub struct JournalArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the fence, and a line for each job that is not trimmed yet
    List {
        /// Where the journal is.
        #[command(flatten, next_help_heading = "Stores")]
        stores: Box<StoreSettings>,
        /// Print one JSON document, a line for each job
        #[arg(long)]
        json: bool,
    },
    /// Print one job's entries
    Show {
        /// Where the journal is.
        #[command(flatten, next_help_heading = "Stores")]
        stores: Box<StoreSettings>,
        /// Number of the job
        #[arg(value_name = "SEQ")]
        seq: u64,
        /// Print one JSON document, a line for each entry
        #[arg(long)]
        json: bool,
    },
    /// Check every job, their order, the fence, the pending counts and the ledger; a line each
    Verify {
        /// Where the journal is.
        #[command(flatten, next_help_heading = "Stores")]
        stores: Box<StoreSettings>,
    },
}

impl Action {
    fn stores(&self) -> &StoreSettings {
        match self {
            Self::List { stores, .. } | Self::Show { stores, .. } | Self::Verify { stores } => {
                stores
            }
        }
    }
}

/// Why a look into the journal ended early.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// The journal was not read.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// Nobody listens, or the output is full.
    #[error(transparent)]
    Output(#[from] std::io::Error),
}

/// Exits 0 if all is well, 1 if something is not as it should be, 65 if a job cannot be read, 69 if
/// the journal does not answer, 78 if the settings are wrong.
pub fn run(args: &JournalArgs) -> ExitCode {
    let stores = args.action.stores();
    let (_runtime, backend) = match open(stores) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let shard = Shard(stores.shard);
    let (mut journal, mut guards) = backend.inspect(shard);
    let (journal, place) = (journal.as_mut(), backend.describe().0);
    let mut out = output::stdout();
    let done = match args.action {
        Action::List { json, .. } => list::run(journal, (shard, &place), json, &mut out),
        Action::Show { seq, json, .. } => show::run(journal, Seq(seq), json, &mut out),
        Action::Verify { .. } => {
            verify::run(journal, guards.as_mut(), shard, SystemClock::start().wall(), &mut out)
        }
    };
    match done {
        Ok(code) => output::printed(Ok(code)),
        Err(Fault::Output(error)) => output::printed(Err(error)),
        Err(Fault::Journal(fault)) => output::fail(exit::UNAVAILABLE, &format!("{place}: {fault}")),
    }
}
