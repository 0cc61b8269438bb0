//! What timely's operators do: records in and out, time, queues, by operator and worker.
//!
//! Each worker folds its own log of events into plain numbers and adds them to the shared ones
//! some times a second and whenever it parks: see [`fold`]. Nothing is logged or sent anywhere.
//!
//! Operators go by their runtime name. Two of the same name in one dataflow are summed; what is
//! in a nested scope counts as the scope. So there are as many series as the graphs have names.

mod fold;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::counters::Counter;

pub(crate) use self::fold::watch;

/// One operator on one worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// `ingest` or `apply`.
    pub dataflow: &'static str,
    /// The operator's runtime name.
    pub operator: String,
    /// The worker's index within its dataflow.
    pub worker: usize,
}

/// What one operator has done on one worker.
#[derive(Debug, Default)]
pub struct Operator {
    /// Records received, on all inputs.
    pub records_in: Counter,
    /// Records sent, once for each output however many read it.
    pub records_out: Counter,
    /// Records sent to it by any worker.
    pub sent_to: Counter,
    /// Nanoseconds that it ran.
    pub busy_nanos: Counter,
    /// Times that it ran.
    pub schedules: Counter,
}

impl Operator {
    /// Records sent to it and not received yet, as last published.
    pub fn queue(&self) -> u64 {
        // in this order: what is received was sent before
        let received = self.records_in.get();
        self.sent_to.get().saturating_sub(received)
    }
}

/// What one worker has done.
#[derive(Debug, Default)]
pub struct WorkerTime {
    /// Nanoseconds in its dataflow's operators.
    pub busy_nanos: Counter,
    /// Nanoseconds parked.
    pub parked_nanos: Counter,
}

/// All operators and workers of a process.
#[derive(Debug, Default)]
pub struct Operators {
    operators: Mutex<BTreeMap<Place, Arc<Operator>>>,
    workers: Mutex<BTreeMap<(&'static str, usize), Arc<WorkerTime>>>,
}

impl Operators {
    /// The numbers of the operator at `place`.
    pub(crate) fn at(&self, place: Place) -> Arc<Operator> {
        Arc::clone(lock(&self.operators).entry(place).or_default())
    }

    /// The numbers of a worker of `dataflow`.
    pub(crate) fn worker(&self, dataflow: &'static str, worker: usize) -> Arc<WorkerTime> {
        Arc::clone(lock(&self.workers).entry((dataflow, worker)).or_default())
    }

    /// All operators, in order.
    pub fn operators(&self) -> Vec<(Place, Arc<Operator>)> {
        let operators = lock(&self.operators);
        operators.iter().map(|(place, operator)| (place.clone(), Arc::clone(operator))).collect()
    }

    /// All workers, by dataflow and index, in order.
    pub fn workers(&self) -> Vec<((&'static str, usize), Arc<WorkerTime>)> {
        let workers = lock(&self.workers);
        workers.iter().map(|(place, worker)| (*place, Arc::clone(worker))).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use timely::dataflow::operators::{Exchange, Input, Probe, vec::Map};

    use super::*;

    /// Two workers, each of which sends ten numbers, the even ones to worker 0.
    fn watched() -> Arc<Operators> {
        let operators = Arc::<Operators>::default();
        let shared = Arc::clone(&operators);
        let guards = timely::execute(timely::Config::process(2), move |worker| {
            watch(worker, "test", &shared);
            let (mut input, probe) = worker.dataflow::<u64, _, _>(|scope| {
                let (input, numbers) = scope.new_input::<Vec<u64>>();
                let routed = numbers.exchange(|number| *number);
                let _also_read = routed.clone().map(|number| number);
                let (probe, _) = routed.map(|number| number).probe();
                (input, probe)
            });
            (0..10).for_each(|number| input.send(number));
            input.close();
            while !probe.done() {
                worker.step_or_park(None);
            }
            while worker.has_dataflows() {
                worker.step_or_park(Some(Duration::from_millis(1)));
            }
            // a park publishes
            worker.step_or_park(Some(Duration::from_millis(1)));
        });
        drop(guards.map(timely::communication::WorkerGuards::join));
        operators
    }

    #[test]
    fn records_are_counted_by_operator_and_worker() {
        let operators = watched().operators();
        let find = |operator: &str, worker: usize| {
            let place = Place { dataflow: "test", operator: operator.to_owned(), worker };
            let found = operators.iter().find(|(at, _)| *at == place);
            let (_, numbers) = found.unwrap_or_else(|| panic!("{place:?} in {operators:?}"));
            (numbers.records_in.get(), numbers.records_out.get(), numbers.queue())
        };
        for worker in [0, 1] {
            assert_eq!(find("Input", worker), (0, 10, 0));
            // what both sent to it, sent on once although two read it
            assert_eq!(find("Exchange", worker), (10, 10, 0));
            // two of one name are summed
            assert_eq!(find("FlatMap", worker), (20, 10, 0));
            assert_eq!(find("Probe", worker), (10, 0, 0));
        }
        assert_eq!(operators.len(), 8);
    }

    #[test]
    fn time_is_split_between_work_and_rest() {
        let operators = watched();
        for ((_, worker), time) in operators.workers() {
            assert!(time.busy_nanos.get() > 0, "worker {worker}: {time:?}");
        }
        let ran = |(_, operator): &(Place, Arc<Operator>)| operator.schedules.get() > 0;
        assert!(operators.operators().iter().all(ran));
    }
}
