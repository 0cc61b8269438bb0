//! The dataflow's operators and workers, as folded from timely's log.

use errsift_pipeline::operators::{Operator, Operators};
use prometheus::proto::MetricFamily;

use super::family::{Sample, levels, number, totals};

const NANOS: f64 = 1e9;

type Read = fn(&Operator) -> f64;

const TOTALS: [(&str, &str, Read); 4] = [
    ("errsift_operator_records_in_total", "Records that an operator received", |o| {
        number(o.records_in.get())
    }),
    ("errsift_operator_records_out_total", "Records that an operator sent", |o| {
        number(o.records_out.get())
    }),
    ("errsift_operator_busy_seconds_total", "Time that an operator ran", |o| {
        number(o.busy_nanos.get()) / NANOS
    }),
    ("errsift_operator_schedules_total", "Times that an operator ran", |o| {
        number(o.schedules.get())
    }),
];

/// All families of operators and workers.
pub fn families(watched: &Operators) -> Vec<MetricFamily> {
    let operators = watched.operators();
    let workers = watched.workers();
    let indexes: Vec<_> = operators.iter().map(|(place, _)| place.worker.to_string()).collect();
    let labels: Vec<_> = operators
        .iter()
        .zip(&indexes)
        .map(|((place, _), worker)| {
            [
                ("dataflow", place.dataflow),
                ("operator", place.operator.as_str()),
                ("worker", worker.as_str()),
            ]
        })
        .collect();
    let samples = |read: Read| {
        let pairs = labels.iter().zip(&operators);
        pairs.map(|(labels, (_, operator))| (&labels[..], read(operator))).collect::<Vec<Sample>>()
    };
    let mut families: Vec<_> =
        TOTALS.iter().map(|(name, help, read)| totals(name, help, samples(*read))).collect();
    families.push(levels(
        "errsift_operator_queue_records",
        "Records sent to an operator that it has not received",
        samples(|operator| number(operator.queue())),
    ));
    let indexes: Vec<_> = workers.iter().map(|((_, worker), _)| worker.to_string()).collect();
    let labels: Vec<_> = workers
        .iter()
        .zip(&indexes)
        .map(|(((dataflow, _), _), worker)| [("dataflow", *dataflow), ("worker", worker.as_str())])
        .collect();
    let times = labels.iter().zip(&workers);
    families.push(totals(
        "errsift_worker_busy_seconds_total",
        "Time that a worker ran its dataflow",
        times
            .clone()
            .map(|(labels, (_, time))| (&labels[..], number(time.busy_nanos.get()) / NANOS)),
    ));
    families.push(totals(
        "errsift_worker_parked_seconds_total",
        "Time that a worker was parked",
        times.map(|(labels, (_, time))| (&labels[..], number(time.parked_nanos.get()) / NANOS)),
    ));
    families
}
