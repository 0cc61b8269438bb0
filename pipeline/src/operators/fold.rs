//! One worker's log events, folded.
//!
//! timely hands over its log in small batches: when a buffer is full, after every step, and before
//! parking. So what is read elsewhere is at most [`PUBLISH_INTERVAL`] old while the worker runs,
//! and complete while it is parked.

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;
use timely::{
    logging::{
        ChannelsEvent, MessagesEvent, OperatesEvent, ParkEvent, ScheduleEvent, StartStop,
        TimelyEvent, TimelyEventBuilder,
    },
    worker::Worker,
};

use super::{Operator, Operators, Place, WorkerTime};

/// How long folded numbers stay with a busy worker before they are published.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);

/// Folds the log of `worker` from now on. To be called before its dataflow is built: operators
/// announce themselves when they are made.
pub(crate) fn watch(worker: &Worker, dataflow: &'static str, operators: &Arc<Operators>) {
    let mut fold = Fold::new(dataflow, worker.index(), Arc::clone(operators));
    // timely's workers have a register unless they are made without a clock
    if let Some(mut register) = worker.log_register() {
        register.insert::<TimelyEventBuilder, _>("timely", move |now, events| match events {
            Some(events) => {
                for (at, event) in events.drain(..) {
                    fold.event(at, event);
                }
            }
            None => fold.flush(*now),
        });
    }
}

/// An operator's numbers since they were last published.
struct Watched {
    shared: Arc<Operator>,
    started: Option<Duration>,
    records_in: u64,
    records_out: u64,
    busy: Duration,
    schedules: u64,
}

/// An operator's address: its dataflow's and its own index.
type Address = (usize, usize);

/// A channel between two operators.
struct Channel {
    source: Address,
    output: usize,
    target: Address,
    /// Whether records sent on it count as sent by the source: another channel of the same output
    /// carries the same records.
    is_first_of_output: bool,
    /// Where the source and the target are among the watched, once looked up.
    ends: Option<(Option<usize>, Option<usize>)>,
    /// Records sent to the target of each worker, and its numbers there.
    sent: Vec<(u64, Option<Arc<Operator>>)>,
}

/// What an identifier in the log stands for.
#[derive(Clone, Copy)]
enum Known {
    Dataflow,
    Operator(usize),
}

struct Fold {
    dataflow: &'static str,
    worker: usize,
    operators: Arc<Operators>,
    time: Arc<WorkerTime>,
    known: FxHashMap<usize, Known>,
    addresses: FxHashMap<Address, usize>,
    watched: Vec<Watched>,
    names: Vec<String>,
    channels: FxHashMap<usize, Channel>,
    running_since: Option<Duration>,
    parked_since: Option<Duration>,
    busy: Duration,
    parked: Duration,
    published: Duration,
}

impl Fold {
    fn new(dataflow: &'static str, worker: usize, operators: Arc<Operators>) -> Self {
        let time = operators.worker(dataflow, worker);
        Self {
            dataflow,
            worker,
            operators,
            time,
            known: FxHashMap::default(),
            addresses: FxHashMap::default(),
            watched: Vec::new(),
            names: Vec::new(),
            channels: FxHashMap::default(),
            running_since: None,
            parked_since: None,
            busy: Duration::ZERO,
            parked: Duration::ZERO,
            published: Duration::ZERO,
        }
    }

    fn event(&mut self, at: Duration, event: TimelyEvent) {
        match event {
            TimelyEvent::Schedule(event) => self.schedule(at, event),
            TimelyEvent::Messages(event) => self.messages(&event),
            TimelyEvent::Park(ParkEvent::Park(_)) => self.parked_since = Some(at),
            TimelyEvent::Park(ParkEvent::Unpark) => {
                if let Some(since) = self.parked_since.take() {
                    self.parked += at.saturating_sub(since);
                }
            }
            TimelyEvent::Operates(event) => self.operates(event),
            TimelyEvent::Channels(event) => self.channel(&event),
            TimelyEvent::PushProgress(_)
            | TimelyEvent::Shutdown(_)
            | TimelyEvent::CommChannels(_)
            | TimelyEvent::Text(_) => {}
        }
    }

    fn operates(&mut self, event: OperatesEvent) {
        match event.addr[..] {
            [_] => drop(self.known.insert(event.id, Known::Dataflow)),
            [dataflow, operator] => {
                let shared = self.place(event.name.clone(), self.worker);
                self.known.insert(event.id, Known::Operator(self.watched.len()));
                self.addresses.insert((dataflow, operator), self.watched.len());
                self.names.push(event.name);
                self.watched.push(Watched {
                    shared,
                    started: None,
                    records_in: 0,
                    records_out: 0,
                    busy: Duration::ZERO,
                    schedules: 0,
                });
            }
            // runs, sends and receives within the scope that is watched
            _ => {}
        }
    }

    fn channel(&mut self, event: &ChannelsEvent) {
        let [dataflow] = event.scope_addr[..] else {
            return;
        };
        let (source, output) = event.source;
        let (source, target) = ((dataflow, source), (dataflow, event.target.0));
        let mut others = self.channels.values();
        let is_first_of_output =
            others.all(|other| (other.source, other.output) != (source, output));
        let (ends, sent) = (None, Vec::new());
        let channel = Channel { source, output, target, is_first_of_output, ends, sent };
        self.channels.insert(event.id, channel);
    }

    fn schedule(&mut self, at: Duration, event: ScheduleEvent) {
        match (self.known.get(&event.id), event.start_stop) {
            (Some(Known::Operator(index)), StartStop::Start) => {
                self.watched[*index].started = Some(at);
            }
            (Some(Known::Operator(index)), StartStop::Stop) => {
                let watched = &mut self.watched[*index];
                if let Some(started) = watched.started.take() {
                    watched.busy += at.saturating_sub(started);
                    watched.schedules += 1;
                }
            }
            (Some(Known::Dataflow), StartStop::Start) => self.running_since = Some(at),
            (Some(Known::Dataflow), StartStop::Stop) => {
                if let Some(since) = self.running_since.take() {
                    self.busy += at.saturating_sub(since);
                }
            }
            (None, _) => {}
        }
    }

    fn messages(&mut self, event: &MessagesEvent) {
        let Some(channel) = self.channels.get_mut(&event.channel) else {
            return;
        };
        let (source, target) = *channel.ends.get_or_insert_with(|| {
            let at = |address| self.addresses.get(address).copied();
            (at(&channel.source), at(&channel.target))
        });
        let records = event.record_count.unsigned_abs();
        if !event.is_send {
            if let Some(target) = target {
                self.watched[target].records_in += records;
            }
            return;
        }
        if let Some(source) = source.filter(|_| channel.is_first_of_output) {
            self.watched[source].records_out += records;
        }
        if channel.sent.len() <= event.target {
            channel.sent.resize(event.target + 1, (0, None));
        }
        channel.sent[event.target].0 += records;
    }

    /// Publishes if the worker is about to park or has not published for a while.
    fn flush(&mut self, now: Duration) {
        if self.parked_since.is_none() && now < self.published + PUBLISH_INTERVAL {
            return;
        }
        self.published = now;
        // what was sent before what was received: a queue is never shown below zero for long
        for channel in self.channels.values_mut() {
            let Some((_, Some(target))) = channel.ends else { continue };
            for (worker, (sent, shared)) in channel.sent.iter_mut().enumerate() {
                if *sent > 0 {
                    let shared = shared.get_or_insert_with(|| {
                        let operator = self.names[target].clone();
                        self.operators.at(Place { dataflow: self.dataflow, operator, worker })
                    });
                    shared.sent_to.add(std::mem::take(sent));
                }
            }
        }
        for watched in &mut self.watched {
            if watched.schedules > 0 || watched.records_out > 0 {
                let shared = &watched.shared;
                shared.records_in.add(std::mem::take(&mut watched.records_in));
                shared.records_out.add(std::mem::take(&mut watched.records_out));
                shared.busy_nanos.add(nanos(std::mem::take(&mut watched.busy)));
                shared.schedules.add(std::mem::take(&mut watched.schedules));
            }
        }
        self.time.busy_nanos.add(nanos(std::mem::take(&mut self.busy)));
        self.time.parked_nanos.add(nanos(std::mem::take(&mut self.parked)));
    }

    fn place(&self, operator: String, worker: usize) -> Arc<Operator> {
        self.operators.at(Place { dataflow: self.dataflow, operator, worker })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
