//! `errsift replay`: counts the events of recorded logs, each once however often it is replayed.

mod args;
mod cluster;
mod rejects;
mod show;
mod summary;
mod top;
mod watch;

use std::{
    num::NonZeroUsize,
    process::ExitCode,
    sync::{Arc, Mutex},
    thread,
};

use errsift_ops::recorded::rules::Rules;
use errsift_pipeline::{
    memory::MemoryErrors,
    ports::clock::Clock,
    replay::{self, Replay, Workers},
    stop::Stop,
};

pub use self::args::ReplayArgs;
use self::{
    args::DefaultTime,
    rejects::Rejects,
    summary::Summary,
    watch::{Ended, Watch},
};
use super::{
    exit,
    output::{self, complain, fail},
    serve::runtime,
};
use crate::{
    clock::SystemClock,
    replay::{
        account::Account,
        input::{Input, Share, inputs},
        logs::{Logs, Reading, State},
        peers::{Peers, PeersFault},
        tables::{Tables, TablesFault},
    },
    schema::{SchemaFault, Stand},
};

type Running = Logs<Arc<Watch>>;

/// Exits 0 when all records of all logs are counted, else with the first of these that applies: 75
/// if another process replays one of the logs, 69 if the tables do not answer, 79 if it was told to
/// stop, 74 if a log cannot be read on, 66 if one cannot be opened, 65 if records were rejected.
/// 78 if the settings are wrong.
pub fn run(args: &ReplayArgs) -> ExitCode {
    match prepare(args) {
        Ok(prepared) => prepared.run(args),
        Err((code, reason)) => fail(code, &reason),
    }
}

/// Everything that can be wrong before anything is read is not.
struct Prepared {
    _runtime: tokio::runtime::Runtime,
    logs: Arc<Running>,
    /// How the tables stand before anything is read.
    stand: Stand,
    watch: Arc<Watch>,
    clock: Arc<dyn Clock>,
    rules: Rules,
    memory: Option<MemoryErrors>,
    faults: Vec<String>,
    /// The other processes, if there are any.
    peers: Option<Peers>,
}

fn prepare(args: &ReplayArgs) -> Result<Prepared, (u8, String)> {
    let config = |reason: String| (exit::CONFIG, reason);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let (found, faults) = found(args);
    if args.source.is_some() && found.len() != 1 {
        return Err(config("--source: names one log, and there is not one FILE".to_owned()));
    }
    let share = args.cluster.share().map_err(config)?;
    if args.cluster.is_many() {
        if args.dry_run {
            return Err(config("--dry-run: is for one process".to_owned()));
        }
        if found.contains(&Input::Standard) {
            return Err(config("-: standard input is for one process".to_owned()));
        }
    }
    let rejects = args.rejects.as_deref().map(Rejects::open).transpose().map_err(config)?;
    let peers = peers(args, &found).map_err(config)?;
    let runtime = runtime().map_err(|_| (exit::OS, "the async runtime cannot start".to_owned()))?;
    let memory = args.dry_run.then(MemoryErrors::default);
    let tables = match &memory {
        Some(memory) => Tables::Memory(memory.clone()),
        None => Tables::new(&args.tables, runtime.handle()).map_err(config)?,
    };
    // of several processes, none knows when all have ended
    let begun = if args.cluster.is_many() {
        tables.migrate().map(|()| Stand::UpToDate)
    } else {
        tables.begin()
    };
    let stand = begun.map_err(|fault| match fault {
        SchemaFault::Store(_) | SchemaFault::Busy { .. } => {
            (exit::UNAVAILABLE, format!("{}: {fault}", tables.describe()))
        }
        _ => config(fault.to_string()),
    })?;
    let rules = rules(args, &*clock);
    let account = Arc::<Account>::default();
    let watch = Arc::new(Watch::new(&found, rejects));
    let logs = Running {
        reading: reading(args, &*clock, share),
        rules: rules.clone(),
        tables: Arc::new(tables),
        account,
        listener: Arc::clone(&watch),
        state: Mutex::new(State { left: (0..found.len()).collect(), ..State::default() }),
        inputs: found,
    };
    let logs = Arc::new(logs);
    Ok(Prepared { _runtime: runtime, logs, stand, watch, clock, rules, memory, faults, peers })
}

/// The processes of this replay, if there are several.
fn peers(args: &ReplayArgs, found: &[Input]) -> Result<Option<Peers>, String> {
    if !args.cluster.is_many() {
        return Ok(None);
    }
    let addresses = args.cluster.addresses()?;
    let digest = args.digest(found, workers(args));
    Ok(Some(Peers { process: args.cluster.process, addresses, digest }))
}

fn rules(args: &ReplayArgs, clock: &dyn Clock) -> Rules {
    Rules {
        level: args.level,
        default_time: args.default_time.map(|time| match time {
            DefaultTime::Now => clock.wall(),
            DefaultTime::At(at) => at,
        }),
        service: args.service.clone(),
        environment: args.environment.clone(),
        release: args.release.clone(),
    }
}

fn reading(args: &ReplayArgs, clock: &dyn Clock, share: Share) -> Reading {
    Reading {
        form: args.format.form(),
        pattern: args.pattern.clone(),
        year: args.year,
        utc_offset_seconds: args.utc_offset,
        now: clock.wall(),
        source: args.source.clone(),
        is_final: args.is_final,
        chunk_bytes: args.chunk_bytes,
        range_bytes: args.range_bytes,
        share,
    }
}

fn workers(args: &ReplayArgs) -> NonZeroUsize {
    let cores = || thread::available_parallelism().ok();
    let most = NonZeroUsize::new(64).unwrap_or(NonZeroUsize::MIN);
    args.workers.or_else(cores).unwrap_or(NonZeroUsize::MIN).min(most)
}

/// The inputs, and what is wrong with those that are none.
fn found(args: &ReplayArgs) -> (Vec<Input>, Vec<String>) {
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for input in inputs(&args.files) {
        match input {
            Ok(input) => found.push(input),
            Err(reason) => faults.push(reason),
        }
    }
    (found, faults)
}

impl Prepared {
    fn run(self, args: &ReplayArgs) -> ExitCode {
        for fault in &self.faults {
            complain(fault);
        }
        let replay = Replay {
            rules: self.rules.clone(),
            recordings: Arc::clone(&self.logs) as _,
            errors: self.logs.tables.errors(),
            clock: Arc::clone(&self.clock),
        };
        let workers = match self.workers(args) {
            Ok(workers) => workers,
            Err((code, reason)) => return fail(code, &reason),
        };
        let replaying = match replay::start(workers, replay) {
            Ok(replaying) => replaying,
            Err(reason) => return fail(exit::OS, &reason),
        };
        let (ended, committed) =
            watch::watch(&replaying, (&self.logs, self.stand), args, &*self.clock);
        // the clock started with the process
        let took = self.clock.monotonic();
        if let Some(reason) = self.watch.settle() {
            complain(&reason);
        }
        let code = self.code(&ended);
        let names: Vec<String> = self.logs.inputs.iter().map(Input::name).collect();
        let sums = self.logs.account.sums().clone();
        let summary = Summary {
            sums: &sums,
            names: &names,
            distinct: replaying.distinct.get(),
            new: replaying.counters.new_errors.get(),
            dead: (replaying.counters.set_aside_rows.get(), replaying.counters.set_aside.get()),
            committed,
            took,
            place: self.logs.tables.describe(),
            is_dry: args.dry_run,
            is_complete: matches!(ended, Ended::All | Ended::Incomplete(_)),
        };
        let mut out = output::stdout();
        let printed = match &self.memory {
            Some(memory) if !args.json => top::print(memory, args.top.get(), &mut out),
            _ => Ok(()),
        };
        let printed = printed.and_then(|()| summary.print(args.json, &mut out));
        output::printed(printed.map(|()| code))
    }

    /// The workers, once all processes are there.
    fn workers(&self, args: &ReplayArgs) -> Result<Workers, (u8, String)> {
        let threads = workers(args);
        let Some(peers) = &self.peers else {
            return Workers::alone(threads).map_err(|reason| (exit::OS, reason));
        };
        let sockets = peers.connect(complain).map_err(|fault| match fault {
            PeersFault::Arguments(_) => (exit::CONFIG, fault.to_string()),
            PeersFault::Io(..) => (exit::OS, fault.to_string()),
        })?;
        Workers::connected(threads, peers.process, sockets)
            .map_err(|error| (exit::OS, error.to_string()))
    }

    /// What the process ends with.
    fn code(&self, ended: &Ended) -> u8 {
        match ended {
            Ended::Stop(stop) => {
                complain(&stop.to_string());
                return stop.exit_code();
            }
            Ended::AtOnce => {
                complain("stopped at once; run the same again to go on");
                return exit::UNDRAINED;
            }
            Ended::Incomplete(fault) => {
                complain(&format!(
                    "{}: {fault}; all is counted, run the same again to build the indexes",
                    self.logs.tables.describe()
                ));
                return exit::UNAVAILABLE;
            }
            Ended::Told | Ended::All => {}
        }
        if let Some(fault) = self.watch.tables() {
            complain(&format!("{}: {fault}", self.logs.tables.describe()));
            return match fault {
                TablesFault::Claimed(_) => Stop::Fenced(String::new()).exit_code(),
                TablesFault::OtherRules(_) | TablesFault::Full(_) => exit::CONFIG,
                TablesFault::Errors(_) => exit::UNAVAILABLE,
            };
        }
        if matches!(ended, Ended::Told) {
            complain("stopped, all that was read is counted; run the same again to go on");
            return exit::UNDRAINED;
        }
        if self.watch.inputs_failed() || !self.faults.is_empty() {
            return exit::NO_INPUT;
        }
        if self.logs.account.sums().rejected > 0 { exit::DATA } else { 0 }
    }
}
