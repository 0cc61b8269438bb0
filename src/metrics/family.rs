//! Families of samples, made from plain numbers when they are asked for.

use errsift_pipeline::histogram::Reading;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

/// Labels and a value.
pub type Sample<'a> = (&'a [(&'a str, &'a str)], f64);

/// A number as Prometheus has them; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "the text format has no other numbers")]
pub fn number(value: u64) -> f64 {
    value as f64
}

/// Numbers that only grow.
pub fn totals<'a>(
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample<'a>>,
) -> MetricFamily {
    let metric = |(names, value)| {
        let mut counter = Counter::default();
        counter.set_value(value);
        let mut metric = Metric::from_label(labels(names));
        metric.set_counter(counter);
        metric
    };
    family(name, help, MetricType::COUNTER, samples.into_iter().map(metric).collect())
}

/// Numbers that go up and down.
pub fn levels<'a>(
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample<'a>>,
) -> MetricFamily {
    let metric = |(names, value)| {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::from_label(labels(names));
        metric.set_gauge(gauge);
        metric
    };
    family(name, help, MetricType::GAUGE, samples.into_iter().map(metric).collect())
}

/// Histograms; `unit` is what one of their whole numbers is in the unit of the name.
pub fn histograms<'a>(
    name: &str,
    help: &str,
    unit: f64,
    readings: impl IntoIterator<Item = (&'a [(&'a str, &'a str)], Reading)>,
) -> MetricFamily {
    let metric = |(names, reading): (&[_], Reading)| {
        let bounds = reading.bounds.iter().zip(&reading.cumulative);
        let buckets = bounds.map(|(bound, cumulative)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(scaled(*bound, unit));
            bucket.set_cumulative_count(*cumulative);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(reading.count);
        histogram.set_sample_sum(scaled(reading.sum, unit));
        let mut metric = Metric::from_label(labels(names));
        metric.set_histogram(histogram);
        metric
    };
    family(name, help, MetricType::HISTOGRAM, readings.into_iter().map(metric).collect())
}

/// Divides where the unit is a fraction: 250 µs are 0.00025 s and not 0.00024999999999999995.
fn scaled(value: u64, unit: f64) -> f64 {
    if unit < 1.0 { number(value) / (1.0 / unit).round() } else { number(value) * unit }
}

fn labels(names: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    names.iter().map(pair).collect()
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}
