//! The logs of one replay: found, claimed and opened one after the other.

use std::{
    collections::VecDeque,
    io::Seek,
    num::NonZeroU64,
    sync::{Arc, Mutex, PoisonError},
};

use errsift_ops::{
    id::Epoch,
    log::{Assumed, Format, PatternError, Year},
    recorded::{boundaries::Boundaries, form::Form, rules::Rules, seen::Folded},
    timestamp::Timestamp,
};
use errsift_pipeline::ports::{
    errors::Claim,
    recording::{Opened, Plan, RecordingFault, Recordings},
};
use sha2::{Digest, Sha256};

use super::{
    account::Account,
    claim,
    input::{Content, Input, Opening, Share},
    plain::{self, Plain},
    sources::{Identity, Wanted},
    stream::{Cutting, Stream},
    tables::{Tables, TablesFault},
};

/// A form that people ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An event a line.
    Ndjson,
    /// A JSON array of events.
    Array,
    /// Text, of whatever form.
    Text,
}

/// How logs are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Their form, unless it is to be found out.
    pub form: Option<Asked>,
    /// How the lines of text logs are written, if people say so.
    pub pattern: Option<String>,
    /// The year of dates without one, unless it is to be found out.
    pub year: Option<i32>,
    /// Seconds east of UTC of times without a zone.
    pub utc_offset_seconds: i32,
    /// The time at which the replay started.
    pub now: Timestamp,
    /// Their one name, in place of what they begin with.
    pub source: Option<String>,
    /// Whether the last record of a log is whole whatever it ends with.
    pub is_final: bool,
    /// Bytes between two chunks.
    pub chunk_bytes: NonZeroU64,
    /// Bytes between two ranges.
    pub range_bytes: NonZeroU64,
    /// Which pieces are read here.
    pub share: Share,
}

/// Why a log is left out, or everything ends.
#[derive(Debug)]
pub enum Fault {
    /// This log cannot be read; the others can.
    Input(String),
    /// The tables do not take it: nothing goes on.
    Tables(TablesFault),
}

/// Hears what happens to logs.
pub trait Listener: Send + Sync + 'static {
    /// A log is left out, or all are.
    fn fault(&self, fault: Fault);
    /// A chunk was folded.
    fn folded(&self, index: usize, folded: &mut Folded);
    /// A log is being replayed, from where on.
    fn begun(&self, input: &Input, plan: &Plan);
    /// A log has nothing new.
    fn done_before(&self, input: &Input);
}

/// The logs.
pub struct Logs<L> {
    pub inputs: Vec<Input>,
    pub reading: Reading,
    pub rules: Rules,
    pub tables: Arc<Tables>,
    pub account: Arc<Account>,
    pub listener: L,
    pub state: Mutex<State>,
}

/// Where the logs stand.
#[derive(Default)]
pub struct State {
    /// Inputs still to come, by index.
    pub left: VecDeque<usize>,
    /// The one whose plan was made, with its beginning.
    pub opening: Option<(usize, Opening)>,
    /// The one that is being read.
    pub opened: Option<(usize, Opened)>,
    /// Whether no further one is to be begun.
    pub is_stopped: bool,
}

impl<L: Listener> Logs<L> {
    /// Ends the log that is being read where it was taken up to, and begins no other.
    pub fn stop(&self) {
        let mut state = self.state();
        state.is_stopped = true;
        if let Some((_, opened)) = &state.opened {
            opened.recording.stop();
        }
    }

    /// Bytes of all inputs, if each is a plain file of a form that can be read anywhere.
    pub fn total_bytes(&self) -> Option<u64> {
        let bytes = self.inputs.iter().map(|input| match input {
            Input::Standard => None,
            Input::File(path) => std::fs::metadata(path).ok().map(|file| file.len()),
        });
        bytes.sum()
    }

    /// Whether some of what was asked for was not taken.
    pub fn was_stopped(&self) -> bool {
        self.state().is_stopped
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The form of a log, opened.
    fn form(&self, opening: &Opening) -> Result<Form, PatternError> {
        let until = opening.changed.unwrap_or(self.reading.now);
        let year = self.reading.year.map_or(Year::UpTo(until), Year::Is);
        let assumed = Assumed { year, utc_offset_seconds: self.reading.utc_offset_seconds };
        if let Some(pattern) = &self.reading.pattern {
            return Ok(Form::Text(Arc::new(Format::from_pattern(pattern, &assumed)?)));
        }
        Ok(match self.reading.form {
            None => Form::detect(&opening.head, &assumed),
            Some(Asked::Ndjson) => Form::Ndjson,
            Some(Asked::Array) => Form::Array,
            Some(Asked::Text) => Form::Text(Arc::new(Format::detect(&opening.head, &assumed))),
        })
    }

    /// Claims one log; `None` if there is nothing new in it.
    fn plan(&self, index: usize, opening: &Opening) -> Result<Option<Plan>, Fault> {
        if opening.head.is_empty() {
            return Ok(None);
        }
        let form = self.form(opening).map_err(|fault| Fault::Input(fault.to_string()))?;
        let end = match &opening.content {
            Content::File(file) if form.is_seekable() => {
                let read = |error: std::io::Error| Fault::Input(error.to_string());
                let all = file.metadata().map_err(read)?.len();
                let whole = if self.reading.is_final {
                    all
                } else {
                    plain::last_end(file, &form).map_err(read)?
                };
                Some(whole)
            }
            _ => None,
        };
        if end == Some(0) {
            return Ok(None);
        }
        let (claim, guards) = match self.tables.sources() {
            None => claim::unclaimed(index),
            Some(sources) => {
                let wanted = self.wanted(index, &opening.head, &form, end);
                claim::take(&wanted, sources, self.tables.errors().as_ref())
                    .map_err(Fault::Tables)?
            }
        };
        let stands: Vec<Epoch> = guards.iter().map(|guard| guard.epoch).collect();
        if end.is_some_and(|end| stands.iter().all(|stand| stand.0 >= end)) {
            return Ok(None);
        }
        let Claim { shard, term, nonce } = claim;
        let head = whole_head(&opening.head, end);
        let head = Identity::of_head(head).hash;
        Ok(Some(Plan { index, shard, term, nonce, stands, end, head }))
    }

    fn wanted(&self, index: usize, head: &[u8], form: &Form, end: Option<u64>) -> Wanted {
        let rules = self.rules_of(form);
        if let Some(name) = &self.reading.source {
            let identity = Identity::of_name(name);
            return Wanted { identity, head: Vec::new(), label: name.clone(), rules };
        }
        let head = whole_head(head, end);
        let (identity, label) = (Identity::of_head(head), self.inputs[index].name());
        Wanted { identity, head: head.to_vec(), label, rules }
    }

    /// What decides which events the bytes of a log become.
    fn rules_of(&self, form: &Form) -> [u8; 32] {
        let (Rules { level, service, .. }, pattern) = (&self.rules, &self.reading.pattern);
        Sha256::digest(format!("{} {pattern:?} {level:?} {service:?}", form.name())).into()
    }

    /// Opens what is to be read.
    fn recording(&self, plan: &Plan, opening: Opening) -> Result<Opened, RecordingFault> {
        let name = self.inputs[plan.index].name();
        let fault = |error: std::io::Error| RecordingFault(format!("{name}: {error}"));
        let form =
            self.form(&opening).map_err(|fault| RecordingFault(format!("{name}: {fault}")))?;
        if Identity::of_head(whole_head(&opening.head, plan.end)).hash != plan.head {
            return Err(RecordingFault(format!(
                "{name}: begins otherwise than it did when it was taken"
            )));
        }
        let Reading { chunk_bytes, range_bytes, share, is_final, .. } = self.reading;
        let boundaries = Boundaries::new(&plan.offsets(), plan.end, chunk_bytes, range_bytes);
        let content = match opening.content {
            Content::File(file) if form.is_seekable() => {
                let recording = Plain::new(file, name, form.clone(), boundaries, share);
                return Ok(Opened { recording: Arc::new(recording), form });
            }
            Content::File(mut file) => {
                // its beginning was looked at
                file.rewind().map_err(fault)?;
                Box::new(file) as Box<dyn std::io::Read + Send>
            }
            Content::Stream(content) => content,
        };
        let cutting = Cutting {
            content,
            name: name.clone(),
            form: form.clone(),
            boundaries,
            share,
            is_final,
        };
        Ok(Opened { recording: Arc::new(Stream::start(cutting).map_err(fault)?), form })
    }
}

/// Of a log's beginning, what is whole: a record that is not may be another when it is.
fn whole_head(head: &[u8], end: Option<u64>) -> &[u8] {
    let whole = end.and_then(|end| usize::try_from(end).ok()).unwrap_or(head.len());
    &head[..head.len().min(whole)]
}

impl<L: Listener> Recordings for Logs<L> {
    fn next(&self) -> Option<Plan> {
        loop {
            let index = {
                let mut state = self.state();
                if state.is_stopped {
                    return None;
                }
                state.left.pop_front()?
            };
            let input = &self.inputs[index];
            let planned = Opening::open(input)
                .map_err(|error| Fault::Input(error.to_string()))
                .and_then(|opening| Ok((self.plan(index, &opening)?, opening)));
            match planned {
                Ok((Some(plan), opening)) => {
                    self.listener.begun(input, &plan);
                    self.account.sums().logs += 1;
                    self.state().opening = Some((index, opening));
                    return Some(plan);
                }
                Ok((None, _)) => {
                    self.account.sums().logs_done_before += 1;
                    self.listener.done_before(input);
                }
                Err(Fault::Input(reason)) => {
                    self.listener.fault(Fault::Input(format!("{}: {reason}", input.name())));
                }
                Err(fault @ Fault::Tables(_)) => {
                    self.listener.fault(fault);
                    return None;
                }
            }
        }
    }

    fn open(&self, plan: &Plan) -> Result<Opened, RecordingFault> {
        let mut state = self.state();
        if let Some((_, opened)) = state.opened.as_ref().filter(|(index, _)| *index == plan.index) {
            return Ok(opened.clone());
        }
        let opening = state.opening.take().filter(|(index, _)| *index == plan.index);
        let opening = if let Some((_, opening)) = opening {
            opening
        } else {
            let input = &self.inputs[plan.index];
            Opening::open(input)
                .map_err(|error| RecordingFault(format!("{}: {error}", input.name())))?
        };
        let opened = self.recording(plan, opening)?;
        if state.is_stopped {
            opened.recording.stop();
        }
        state.opened = Some((plan.index, opened.clone()));
        Ok(opened)
    }

    fn folded(&self, index: usize, bytes: u64, folded: &mut Folded) {
        self.account.sums().add(index, bytes, &folded.seen, &folded.rejects);
        self.listener.folded(index, folded);
    }
}
