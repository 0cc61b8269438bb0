//! `errsift dead jobs`: jobs that were set aside whole, counted after all or given up.

use std::{collections::BTreeSet, io::Write};

use bytes::Bytes;
use clap::{ArgGroup, Args, Subcommand};
use errsift_ops::{
    id::{Seq, Shard},
    job::{self, Job},
};
use errsift_pipeline::ports::{
    dead::{DeadJob, DeadJobs},
    journal::Backlog,
};
use serde_json::{Value, json};

use super::{Fault, pages::patiently};
use crate::{
    cli::{exit, output},
    dead::{DeadRows, Redriven, Revived},
    inspect::InspectJournal,
    settings::StoreSettings,
    text,
};

/// Columns of a reason.
const REASON_WIDTH: usize = 100;
/// Jobs read at once, all that are held in memory: each may have megabytes.
const PAGE: usize = 4;

/// What to do with dead jobs.
#[derive(Debug, Subcommand)]
pub enum JobsAction {
    /// Print a line for each job, and how many events they hold together
    List {
        /// Where they are.
        #[command(flatten, next_help_heading = "Stores")]
        stores: Box<StoreSettings>,
        /// Print one JSON document, a line for each
        #[arg(long)]
        json: bool,
    },
    /// Write one job's bytes, as they lay in the journal, to the output
    Cat {
        /// Where it is.
        #[command(flatten, next_help_heading = "Stores")]
        stores: Box<StoreSettings>,
        /// Number of the job
        #[arg(value_name = "SEQ")]
        seq: u64,
    },
    /// Count what the tables lack of them, if this errsift can read them; the others stay
    Redrive {
        /// Where they are.
        #[command(flatten, next_help_heading = "Stores")]
        stores: Box<StoreSettings>,
        /// Which.
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Give them up: their events are never counted, and stay in the ledger as dead
    Drop {
        /// Where they are.
        #[command(flatten, next_help_heading = "Stores")]
        stores: Box<StoreSettings>,
        /// Which.
        #[command(flatten)]
        chosen: Chosen,
        /// Do it; without it, only say how many jobs that would be
        #[arg(long)]
        yes: bool,
    },
}

/// Which jobs are meant.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["seqs", "all"])))]
pub struct Chosen {
    /// Numbers of the jobs
    #[arg(value_name = "SEQ")]
    seqs: Vec<u64>,
    /// All dead jobs of the shard
    #[arg(long)]
    all: bool,
}

impl JobsAction {
    pub fn stores(&self) -> &StoreSettings {
        match self {
            Self::List { stores, .. }
            | Self::Cat { stores, .. }
            | Self::Redrive { stores, .. }
            | Self::Drop { stores, .. } => stores,
        }
    }
}

/// Where dead jobs lie, and where their events go.
pub struct Places<'a> {
    pub journal: &'a mut dyn InspectJournal,
    /// Makes what forgets a job.
    pub backlog: &'a mut dyn FnMut() -> Box<dyn Backlog>,
    pub rows: &'a mut dyn DeadRows,
    /// The shard, and its journal for people.
    pub place: (Shard, &'a str),
}

/// Exits 1 if a job is not there, or cannot be counted; 2 if `drop` lacks its `--yes`.
pub fn run(
    action: &JobsAction,
    places: &mut Places<'_>,
    out: &mut impl Write,
) -> Result<u8, Fault> {
    let code = match action {
        JobsAction::List { json, .. } => list(places, *json, out)?,
        JobsAction::Cat { seq, .. } => cat(places, Seq(*seq), out)?,
        JobsAction::Redrive { chosen, .. } => redrive(places, chosen, out)?,
        JobsAction::Drop { chosen, yes, .. } => discard(places, chosen, *yes, out)?,
    };
    out.flush()?;
    Ok(code)
}

/// What has become of a job that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    /// It is not among the dead any more.
    Gone,
}

/// Goes through all dead jobs, each as it was written and as it reads, if it does.
fn each(
    journal: &mut dyn InspectJournal,
    mut look: impl FnMut(&Bytes, Option<&DeadJob>) -> Result<Fate, Fault>,
) -> Result<(), Fault> {
    let mut stay = 0;
    loop {
        let page = journal.dead_jobs(stay, PAGE)?;
        for bytes in &page {
            let fate = look(bytes, DeadJob::decode(bytes).ok().as_ref())?;
            stay += u64::from(fate == Fate::Stays);
        }
        if page.len() < PAGE {
            return Ok(());
        }
    }
}

/// Goes through those that are meant; says whether one of them is not there.
fn each_chosen(
    journal: &mut dyn InspectJournal,
    chosen: &Chosen,
    mut look: impl FnMut(&Bytes, Option<&DeadJob>) -> Result<Fate, Fault>,
) -> Result<bool, Fault> {
    let mut missing: BTreeSet<u64> = chosen.seqs.iter().copied().collect();
    each(journal, |bytes, dead| {
        let is_named = dead.is_some_and(|dead| chosen.seqs.contains(&dead.seq.0));
        if !chosen.all && !is_named {
            return Ok(Fate::Stays);
        }
        if let Some(dead) = dead {
            missing.remove(&dead.seq.0);
        }
        look(bytes, dead)
    })?;
    for seq in &missing {
        output::complain(&format!("seq {seq} is no dead job"));
    }
    Ok(!missing.is_empty())
}

fn list(places: &mut Places<'_>, json: bool, out: &mut impl Write) -> Result<u8, Fault> {
    let DeadJobs { jobs: count, events, .. } = places.journal.dead()?;
    let (shard, journal) = places.place;
    if json {
        let mut jobs = Vec::new();
        each(places.journal, |bytes, dead| {
            jobs.push(to_json(bytes, dead));
            Ok(Fate::Stays)
        })?;
        let document = json!({
            "shard": shard.0, "journal": journal, "jobs": jobs, "count": count, "events": events,
        });
        writeln!(out, "{}", text::escaped_json(&document.to_string()))?;
        return Ok(0);
    }
    writeln!(out, "shard {shard}, {journal}")?;
    writeln!(out, "{:>10} {:>11} {:>9}  {:<24}  REASON", "SEQ", "EPOCH", "BYTES", "SET ASIDE")?;
    each(places.journal, |bytes, dead| {
        out.write_all(line(bytes, dead).as_bytes())?;
        Ok(Fate::Stays)
    })?;
    writeln!(out, "{count} dead jobs; {events} events are or were in them and are not counted")?;
    Ok(0)
}

fn line(bytes: &Bytes, dead: Option<&DeadJob>) -> String {
    let Some(DeadJob { seq, epoch, at, reason, job, .. }) = dead else {
        return format!("{:>10} {:>11} {:>9}  cannot be read itself\n", "?", "?", bytes.len());
    };
    let reason = text::cut(&text::first_line(reason), REASON_WIDTH);
    format!("{:>10} {:>11} {:>9}  {at:<24}  {reason}\n", seq.0, epoch.0, job.len())
}

fn to_json(bytes: &Bytes, dead: Option<&DeadJob>) -> Value {
    let Some(DeadJob { seq, epoch, at, reason, job, .. }) = dead else {
        return json!({ "bytes": bytes.len(), "reason": "cannot be read itself" });
    };
    let read = job::decode(job).ok();
    let lacking = dead.and_then(|dead| Revived::of(dead).ok());
    json!({
        "seq": seq.0,
        "epoch": epoch.0,
        "bytes": job.len(),
        "set_aside": at.to_string(),
        "reason": reason,
        // of one that can be read now
        "events": read.map(|Job { flight, .. }| flight.events()),
        "events_not_counted": lacking.map(|revived| revived.events()),
    })
}

fn cat(places: &mut Places<'_>, seq: Seq, out: &mut impl Write) -> Result<u8, Fault> {
    let chosen = Chosen { seqs: vec![seq.0], all: false };
    let mut is_written = false;
    let is_missing = each_chosen(places.journal, &chosen, |_, dead| {
        if let Some(dead) = dead.filter(|_| !is_written) {
            out.write_all(&dead.job)?;
            is_written = true;
        }
        Ok(Fate::Stays)
    })?;
    Ok(if is_missing { exit::NOT_SO } else { 0 })
}

/// First the tables, in one transaction with a mark, then the journal forgets: after a crash between
/// the two the mark says that the job is counted, and it is only forgotten.
fn redrive(places: &mut Places<'_>, chosen: &Chosen, out: &mut impl Write) -> Result<u8, Fault> {
    let is_counted = places.journal.dead()?.is_counted();
    let (mut done, mut counted, mut stay, mut unknown) = (0_u64, 0_u64, 0_u64, false);
    let (mut backlog, rows) = ((places.backlog)(), &mut *places.rows);
    let is_missing = each_chosen(places.journal, chosen, |bytes, dead| {
        if !is_counted {
            unknown = true;
            return Ok(Fate::Stays);
        }
        let name = dead.map_or_else(|| "?".to_owned(), |dead| dead.seq.to_string());
        match count(rows, dead)? {
            Ok(events) => {
                if backlog.drop_dead(bytes, events)? {
                    done += 1;
                    counted += events;
                } else {
                    writeln!(out, "gone meanwhile: seq {name}")?;
                }
                Ok(Fate::Gone)
            }
            Err(why) => {
                stay += 1;
                let why = text::cut(&text::first_line(&why), REASON_WIDTH);
                writeln!(out, "stays: seq {name}: {why}")?;
                Ok(Fate::Stays)
            }
        }
    })?;
    if unknown {
        output::complain("their events are not known yet: a server must have applied their epoch");
        return Ok(exit::NOT_SO);
    }
    writeln!(out, "{done} dead jobs redriven, {counted} events counted")?;
    if stay > 0 {
        writeln!(out, "{stay} dead jobs stay")?;
    }
    Ok(if stay > 0 || is_missing { exit::NOT_SO } else { 0 })
}

/// Events that are in the tables now; or why none are.
fn count(rows: &mut dyn DeadRows, dead: Option<&DeadJob>) -> Result<Result<u64, String>, Fault> {
    let Some(dead) = dead else { return Ok(Err("cannot be read itself".to_owned())) };
    let revived = match Revived::of(dead) {
        Ok(revived) => revived,
        Err(error) => return Ok(Err(error.to_string())),
    };
    Ok(match patiently(|| rows.redrive_job(&revived))? {
        Redriven::Done | Redriven::Gone => Ok(revived.events()),
        Redriven::Refused(reason) => Err(reason),
    })
}

fn discard(
    places: &mut Places<'_>,
    chosen: &Chosen,
    yes: bool,
    out: &mut impl Write,
) -> Result<u8, Fault> {
    let (mut backlog, mut jobs) = ((places.backlog)(), 0_u64);
    let is_missing = each_chosen(places.journal, chosen, |bytes, _| {
        if !yes {
            jobs += 1;
            return Ok(Fate::Stays);
        }
        jobs += u64::from(backlog.drop_dead(bytes, 0)?);
        Ok(Fate::Gone)
    })?;
    if !yes {
        writeln!(out, "{jobs} dead jobs whose events would never be counted")?;
        writeln!(out, "nothing is dropped without --yes")?;
        return Ok(exit::USAGE);
    }
    writeln!(out, "{jobs} dead jobs dropped, their events will never be counted")?;
    Ok(if is_missing { exit::NOT_SO } else { 0 })
}
