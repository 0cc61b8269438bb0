//! `errsift dead`: what was set aside so that everything else goes on, beside a running server if
//! there is one.
//!
//! A dead letter is a *row* of counts that the tables refuse, or an error's *words*. They lie in the
//! tables, with what is needed to try again. A dead job is one that could not be read, or killed
//! what read it; it lies with the journal.

mod jobs;
mod list;
mod mend;
mod pages;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use errsift_ops::{fingerprint::Fingerprint, id::Shard};
use errsift_pipeline::ports::{errors::ErrorsFault, journal::JournalFault};

use super::{exit, output, serve::open};
use crate::settings::StoreSettings;

/// What to do with dead letters.
#[derive(Debug, Args)]
pub struct DeadArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a line for each dead letter, and how many events that is
    List {
        /// Where they are.
        #[command(flatten, next_help_heading = "Stores")]
        stores: Box<StoreSettings>,
        /// Print one JSON document, a line for each
        #[arg(long)]
        json: bool,
    },
    /// Print all that is known of some errors' dead letters
    Show {
        /// Where they are.
        #[command(flatten, next_help_heading = "Stores")]
        stores: Box<StoreSettings>,
        /// The errors' fingerprints: 64 hex digits each
        #[arg(value_name = "FINGERPRINT", required = true)]
        fingerprints: Vec<Fingerprint>,
        /// Print one JSON document, a line for each
        #[arg(long)]
        json: bool,
    },
    /// Count them after all, when what refused them is mended; those refused again stay
    Redrive {
        /// Where they are.
        #[command(flatten, next_help_heading = "Stores")]
        stores: Box<StoreSettings>,
        /// Which.
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Give them up: their events are never counted
    Drop {
        /// Where they are.
        #[command(flatten, next_help_heading = "Stores")]
        stores: Box<StoreSettings>,
        /// Which.
        #[command(flatten)]
        chosen: Chosen,
        /// Do it; without it, only say how many events that would be
        #[arg(long)]
        yes: bool,
    },
    /// Jobs of the journal that were set aside whole
    Jobs {
        #[command(subcommand)]
        action: jobs::JobsAction,
    },
}

/// Which dead letters are meant.
#[derive(Debug, Args)]
struct Chosen {
    /// The errors' fingerprints: 64 hex digits each
    #[arg(value_name = "FINGERPRINT", required_unless_present = "all", conflicts_with = "all")]
    fingerprints: Vec<Fingerprint>,
    /// All dead letters of the shard
    #[arg(long)]
    all: bool,
}

impl Action {
    fn stores(&self) -> &StoreSettings {
        match self {
            Self::List { stores, .. }
            | Self::Show { stores, .. }
            | Self::Redrive { stores, .. }
            | Self::Drop { stores, .. } => stores,
            Self::Jobs { action } => action.stores(),
        }
    }
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// The tables were not read or written.
    #[error(transparent)]
    Tables(#[from] ErrorsFault),
    /// The journal was not read or written.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// Nobody listens, or the output is full.
    #[error(transparent)]
    Output(#[from] std::io::Error),
}

/// Exits 0; 1 if a letter or job is not there or is refused again, 2 if `drop` lacks its `--yes`,
/// 69 if the tables do not answer or refuse the command, 78 if the settings are wrong.
pub fn run(args: &DeadArgs) -> ExitCode {
    let stores = args.action.stores();
    let (_runtime, backend) = match open(stores) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let shard = Shard(stores.shard);
    let (mut rows, (mut journal, mut guards)) = (backend.dead_rows(shard), backend.inspect(shard));
    let (rows, (journal_place, place)) = (rows.as_mut(), backend.describe());
    let mut out = output::stdout();
    let done = match &args.action {
        Action::List { json, .. } => list::run(rows, guards.as_mut(), &place, *json, &mut out),
        Action::Show { fingerprints, json, .. } => show::run(rows, fingerprints, *json, &mut out),
        Action::Redrive { chosen, .. } => mend::redrive(rows, chosen.fingerprints(), &mut out),
        Action::Drop { chosen, yes, .. } => {
            mend::discard(rows, chosen.fingerprints(), *yes, &mut out)
        }
        Action::Jobs { action } => {
            let mut stores = jobs::Places {
                journal: journal.as_mut(),
                backlog: &mut || backend.backlog(),
                rows,
                place: (shard, &journal_place),
            };
            jobs::run(action, &mut stores, &mut out)
        }
    };
    match done {
        Ok(code) => output::printed(Ok(code)),
        Err(Fault::Output(error)) => output::printed(Err(error)),
        Err(Fault::Tables(fault)) => output::fail(exit::UNAVAILABLE, &format!("{place}: {fault}")),
        Err(Fault::Journal(fault)) => {
            output::fail(exit::UNAVAILABLE, &format!("{journal_place}: {fault}"))
        }
    }
}

impl Chosen {
    /// `None` for all.
    fn fingerprints(&self) -> Option<&[Fingerprint]> {
        if self.all { None } else { Some(&self.fingerprints) }
    }
}
