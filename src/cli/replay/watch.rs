//! While a replay runs: signals, faults and progress.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, after, bounded, select, tick};
use errsift_ops::recorded::seen::Folded;
use errsift_pipeline::{
    ports::{clock::Clock, recording::Plan},
    replay::Replaying,
    stop::Stop,
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use super::{Running, args::ReplayArgs, rejects::Rejects, show::Show};
use crate::{
    cli::output::complain,
    replay::{
        input::Input,
        logs::{Fault, Listener},
        tables::{Tables, TablesFault},
    },
    schema::{SchemaFault, Stand},
};

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How long building indexes may take before that is said.
const SLOW: Duration = Duration::from_secs(2);

/// How a replay has ended.
pub enum Ended {
    /// All is read and applied.
    All,
    /// It was told to stop, and all that was read is applied.
    Told,
    /// It was told twice.
    AtOnce,
    /// It must not go on.
    Stop(Stop),
    /// All is applied, and the tables lack what they are read by.
    Incomplete(SchemaFault),
}

/// Hears what workers come across.
pub struct Watch {
    names: Vec<String>,
    rejects: Option<Mutex<Rejects>>,
    reject_fault: Mutex<Option<String>>,
    tables: Mutex<Option<TablesFault>>,
    inputs_failed: AtomicBool,
}

impl Watch {
    /// Nothing has happened.
    pub fn new(inputs: &[Input], rejects: Option<Rejects>) -> Self {
        Self {
            names: inputs.iter().map(Input::name).collect(),
            rejects: rejects.map(Mutex::new),
            reject_fault: Mutex::default(),
            tables: Mutex::default(),
            inputs_failed: AtomicBool::new(false),
        }
    }

    /// Why the tables did not take a log.
    pub fn tables(&self) -> Option<TablesFault> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether a log could not be opened.
    pub fn inputs_failed(&self) -> bool {
        self.inputs_failed.load(Ordering::SeqCst)
    }

    /// Completes the file of rejects; says what went wrong with it.
    pub fn settle(&self) -> Option<String> {
        if let Some(rejects) = &self.rejects {
            let flushed = rejects.lock().unwrap_or_else(PoisonError::into_inner).flush();
            self.note(flushed.err());
        }
        self.reject_fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, fault: Option<std::io::Error>) {
        let Some(fault) = fault else { return };
        let mut noted = self.reject_fault.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get_or_insert_with(|| format!("--rejects: {fault}"));
    }
}

impl Listener for Arc<Watch> {
    fn fault(&self, fault: Fault) {
        match fault {
            Fault::Input(reason) => {
                self.inputs_failed.store(true, Ordering::SeqCst);
                complain(&reason);
            }
            Fault::Tables(fault) => {
                *self.tables.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
            }
        }
    }

    fn folded(&self, index: usize, folded: &mut Folded) {
        let Some(rejects) = self.rejects.as_ref().filter(|_| !folded.rejects.is_empty()) else {
            return;
        };
        let mut rejects = rejects.lock().unwrap_or_else(PoisonError::into_inner);
        let written = rejects.write(&self.names[index], &folded.rejects);
        drop(rejects);
        self.note(written.err());
    }

    fn begun(&self, input: &Input, plan: &Plan) {
        let name = input.name();
        let from = plan.stands.iter().map(|stand| stand.0).min().unwrap_or_default();
        tracing::debug!(log = %name, shard = %plan.shard, term = %plan.term, from, "log taken");
    }

    fn done_before(&self, input: &Input) {
        tracing::debug!(log = %input.name(), "log has nothing new");
    }
}

/// Waits until the replay has ended, showing how far it is. Says how it has, and when all that was read
/// was committed: what is then left to do is to complete the tables.
pub fn watch(
    replaying: &Replaying,
    (logs, stand): (&Running, Stand),
    args: &ReplayArgs,
    clock: &dyn Clock,
) -> (Ended, Option<Duration>) {
    let signals = signals();
    let looks = tick(LOOK);
    let mut show = Show::new(args.progress, logs, clock);
    let mut is_told = false;
    let ended = loop {
        select! {
            recv(replaying.stops) -> stop => match stop {
                Ok(stop) => break Ended::Stop(stop),
                Err(_) => break if is_told { Ended::Told } else { Ended::All },
            },
            recv(replaying.ended) -> _ => break if is_told { Ended::Told } else { Ended::All },
            recv(signals) -> _ => {
                // processes that stop at different places would not agree where that is
                if is_told || args.cluster.is_many() {
                    break Ended::AtOnce;
                }
                is_told = true;
                logs.stop();
                complain("stopping: what is read is being counted; once more to stop at once");
            }
            recv(looks) -> _ => show.look(logs, replaying, clock),
        }
    };
    let took = clock.monotonic();
    show.finish();
    // a stop that came with the end
    let ended = match (replaying.stops.try_recv(), ended) {
        (Ok(stop), Ended::All | Ended::Told) => Ended::Stop(stop),
        (_, ended) => ended,
    };
    let committed = matches!(ended, Ended::All | Ended::Told).then_some(took);
    match ended {
        Ended::All if stand == Stand::Behind => (complete(&logs.tables, &signals), committed),
        ended => (ended, committed),
    }
}

/// Has the tables completed, unless it is told to stop: then whoever uses them next does it.
fn complete(tables: &Arc<Tables>, signals: &Receiver<()>) -> Ended {
    let (send, completed) = bounded(1);
    let tables = Arc::clone(tables);
    let thread = std::thread::Builder::new().name("complete".to_owned());
    let spawned = thread.spawn(move || send.send(tables.complete()));
    drop(spawned);
    let slow = after(SLOW);
    loop {
        select! {
            recv(completed) -> completed => return match completed {
                Ok(Err(fault)) => Ended::Incomplete(fault),
                // without room for a thread, as if told to stop
                Err(_) => Ended::AtOnce,
                Ok(Ok(())) => Ended::All,
            },
            recv(signals) -> _ => return Ended::AtOnce,
            recv(slow) -> _ => complain("all is counted; building the tables' indexes"),
        }
    }
}

/// Tells of SIGINT and SIGTERM; never, if the system does not let it.
fn signals() -> Receiver<()> {
    let (send, told) = bounded(2);
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
        return crossbeam_channel::never();
    };
    let thread = std::thread::Builder::new().name("signals".to_owned());
    let spawned = thread.spawn(move || {
        for _ in signals.forever() {
            let _ = send.send(());
        }
    });
    drop(spawned);
    told
}
