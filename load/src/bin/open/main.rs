//! An open-loop generator: requests start by the clock, whether or not earlier ones are answered.
//!
//! A closed loop (wrk) asks less of a server that stalls, and so never sees what its users would
//! have waited ("coordinated omission"). Here request `i` is due at `i / rate`, and its latency runs
//! from then, also when no connection was free at that time. Latencies go into an HDR histogram.
//!
//! Each thread has its share of the rate and of the connections, and sleeps in `epoll` until the
//! next request is due or an answer comes; it never spins, because the server needs the cores.
//!
//! Usage: `open --to IP:PORT [--rate 1000] [--seconds 5] [--connections 64] [--threads 1]
//! [--distinct 200] [--run 0] [--path /errors/log]`. Prints one line of JSON: what was sent, answered with
//! 200, otherwise or not at all, and the latencies' percentiles in microseconds.
#![expect(clippy::disallowed_methods, reason = "a load generator measures by the clock")]

mod arguments;
mod connection;
mod thread;

use std::{process::ExitCode, time::Instant};

use hdrhistogram::Histogram;

use self::arguments::Arguments;

/// What a thread has seen.
pub struct Seen {
    /// In microseconds, from when a request was due.
    latencies: Histogram<u64>,
    sent: u64,
    ok: u64,
    other: u64,
    lost: u64,
}

impl Seen {
    fn nothing() -> Self {
        // one minute is beyond any deadline here; three digits
        let latencies = Histogram::new_with_bounds(1, 60_000_000, 3);
        let latencies = latencies.expect("the bounds are in order");
        Self { latencies, sent: 0, ok: 0, other: 0, lost: 0 }
    }

    fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies).expect("both have the same bounds");
        self.sent += other.sent;
        self.ok += other.ok;
        self.other += other.other;
        self.lost += other.lost;
    }

    fn json(&self, seconds: f64) -> String {
        let at = |quantile| self.latencies.value_at_quantile(quantile);
        format!(
            concat!(
                r#"{{"sent":{},"ok":{},"other":{},"lost":{},"seconds":{:.3},"mean_us":{:.1},"#,
                r#""p50_us":{},"p90_us":{},"p99_us":{},"p999_us":{},"max_us":{}}}"#
            ),
            self.sent,
            self.ok,
            self.other,
            self.lost,
            seconds,
            self.latencies.mean(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            self.latencies.max(),
        )
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(fault) => {
            eprintln!("open: {fault}");
            return ExitCode::from(2);
        }
    };
    let begun = Instant::now();
    let seen: std::io::Result<Vec<Seen>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.threads)
            .map(|number| {
                let arguments = &arguments;
                scope.spawn(move || thread::run(arguments, number))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread has no panics")).collect()
    });
    match seen {
        Ok(seen) => {
            let mut all = Seen::nothing();
            for one in &seen {
                all.add(one);
            }
            println!("{}", all.json(begun.elapsed().as_secs_f64()));
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("open: {fault}");
            ExitCode::FAILURE
        }
    }
}
