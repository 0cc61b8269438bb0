//! What each operator costs by itself, and the decoder:
//!
//! ```sh
//! CARGO_TARGET_DIR=$PWD/target/micro cargo bench --manifest-path load/micro/Cargo.toml
//! ```
//!
//! An operator's figure is that of a batch of [`EVENTS`] through a dataflow that has nothing else in it,
//! so it includes what timely needs to hand them on. Figures "per event" are that divided by the
//! batch, as criterion's throughput shows it.

use std::{cell::RefCell, hint::black_box, num::NonZeroUsize, rc::Rc, sync::Arc};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use errsift_ops::{
    body,
    by_part::ByPart,
    decode::{Decode, Received},
    event::Event,
    fingerprint::{Fingerprint, RULE, WithFingerprint},
    first_seen::FirstSeen,
    flight::{Details, Entry, Flight},
    fold_ids::FoldIds,
    id::{Epoch, Seq, Shard, Term},
    job::{self, Job},
    pending::Pending,
    recent_ids::RecentIds,
    reported::Reported,
    tally::{Tally, TallyByTime},
    timestamp::Timestamp,
    window::Window,
    window_counts::WindowCounts,
};
use timely::dataflow::{
    StreamVec,
    operators::{Probe, ToStream},
};

/// Events of a batch, over [`DISTINCT`] errors.
const EVENTS: usize = 10_000;
const DISTINCT: usize = 200;
const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn body(error: usize) -> String {
    format!(
        concat!(
            r#"{{"message":"Connection to replica {:03} refused after 3 attempts","stackTrace":"#,
            r#""Error: ECONNREFUSED\n    at Socket.connect (/app/db/pool.js:{}:17)\n    at "#,
            r#"Pool.acquire (/app/db/pool.js:88:9)\n    at handle (/app/api.js:41:5)"}}"#
        ),
        error,
        100 + error
    )
}

fn event(error: usize) -> Event {
    body::read(body(error).as_bytes(), AT).expect("it is an event")
}

fn reported(error: usize) -> Reported {
    Reported::read(body(error).into(), AT, None).expect("it is an event")
}

fn events() -> Vec<(Reported, ())> {
    (0..EVENTS).map(|number| (reported(number % DISTINCT), ())).collect()
}

fn named() -> Vec<(Fingerprint, Reported, ())> {
    events().into_iter().map(|(event, ())| (event.fingerprint(), event, ())).collect()
}

fn entries(distinct: usize) -> Vec<Entry> {
    let entry = |number: usize| {
        let event = event(number % distinct);
        let fingerprint = Fingerprint::of(&event);
        let details = Some(Arc::new(Details { rule: RULE, payload: event.into() }));
        Entry { fingerprint, window: Window::of(AT), tally: Tally::one(AT), details }
    };
    (0..EVENTS).map(entry).collect()
}

/// A dataflow that has one batch and one operator, run to its end.
fn through<D: Send + Sync + 'static>(
    batch: Vec<D>,
    operator: impl for<'scope> FnOnce(StreamVec<'scope, u64, D>) + Send + Sync + 'static,
) {
    timely::execute_directly(move |worker| {
        worker.dataflow::<u64, _, _>(|scope| operator(batch.to_stream(scope)));
    });
}

fn pure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pure");
    group.throughput(Throughput::Elements(1));
    let (text, one) = (body(7), event(7));
    group.bench_function("body::read", |bencher| {
        bencher.iter(|| body::read(black_box(text.as_bytes()), AT));
    });
    let received = Bytes::from(body(7));
    group.bench_function("Reported::read", |bencher| {
        bencher.iter(|| Reported::read(black_box(received.clone()), AT, None));
    });
    group.bench_function("Fingerprint::of", |bencher| {
        bencher.iter(|| Fingerprint::of(black_box(&one)));
    });
    let mut entries = entries(DISTINCT);
    entries.truncate(DISTINCT);
    group.throughput(Throughput::Elements(DISTINCT as u64));
    let flight = Flight {
        seq: Seq(7),
        epoch: Epoch(1),
        received_min: AT,
        received_max: AT,
        entries,
        ids: Vec::new(),
    };
    let job = Job { shard: Shard(0), term: Term(1), first: Seq(7), flight };
    let bytes = job::encode(&job);
    group.bench_function("job::encode", |bencher| bencher.iter(|| job::encode(black_box(&job))));
    group.bench_function("job::decode", |bencher| bencher.iter(|| job::decode(black_box(&bytes))));
    group.finish();
}

fn ingest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ingest");
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(30);
    let size = BatchSize::LargeInput;
    let received = || -> Vec<_> {
        let one = |number| Received {
            body: body(number % DISTINCT).into(),
            at: AT,
            service: None,
            waiter: (),
        };
        (0..EVENTS).map(one).collect()
    };
    group.bench_function("nothing", |bencher| {
        bencher.iter_batched(events, |batch| through(batch, |stream| drop(stream.probe())), size);
    });
    group.bench_function("decode", |bencher| {
        let decode = |batch| through(batch, |stream| drop(stream.decode()));
        bencher.iter_batched(received, decode, size);
    });
    group.bench_function("fingerprint", |bencher| {
        let name = |batch| through(batch, |stream| drop(stream.fingerprint()));
        bencher.iter_batched(events, name, size);
    });
    group.bench_function("fold_ids", |bencher| {
        let fold = |batch| {
            through(batch, |stream| {
                drop(stream.fold_ids(Rc::new(RefCell::new(RecentIds::new(EVENTS)))));
            });
        };
        bencher.iter_batched(named, fold, size);
    });
    group.bench_function("tally", |bencher| {
        let tally = |batch| through(batch, |stream| drop(stream.tally(|_| true)));
        bencher.iter_batched(named, tally, size);
    });
    group.finish();
}

fn apply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply");
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(30);
    let size = BatchSize::LargeInput;
    for distinct in [DISTINCT, EVENTS] {
        let made = entries(distinct);
        let batch = || made.clone();
        let name = |operator: &str| format!("{operator} of {distinct} distinct");
        group.bench_function(name("by_part"), |bencher| {
            let route = |batch| through(batch, |stream| drop(stream.by_part()));
            bencher.iter_batched(batch, route, size);
        });
        group.bench_function(name("first_seen"), |bencher| {
            let first = |batch| {
                through(batch, |stream| drop(stream.first_seen(NonZeroUsize::MAX)));
            };
            bencher.iter_batched(batch, first, size);
        });
        group.bench_function(name("pending"), |bencher| {
            let pending = |batch| through(batch, |stream| drop(stream.pending(|| false)));
            bencher.iter_batched(batch, pending, size);
        });
        group.bench_function(name("window_counts"), |bencher| {
            let count = |batch| through(batch, |stream| drop(stream.window_counts()));
            bencher.iter_batched(batch, count, size);
        });
    }
    group.finish();
}

criterion_group!(all, pure, ingest, apply);
criterion_main!(all);
