//! How fast text logs are read on one core: repeats a file to 256 MiB in memory, and prints for each
//! of some passes the MB/s and ns per record that `Format::records` needs.
//!
//! ```sh
//! cargo run --release -p errsift-ops --example log_speed -- FILE…
//! ```
//! Without a file it makes up lines like HDFS'.

#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::{env, fmt::Write, fs, time::Instant};

use errsift_ops::log::{Assumed, Format, Year};

const BYTES: usize = 256 << 20;
const PASSES: usize = 5;

fn made_up() -> Vec<u8> {
    let mut log = String::new();
    for n in 0..20_000_u64 {
        let _ = writeln!(
            log,
            "081109 20{:02}{:02} {} INFO dfs.DataNode$PacketResponder: PacketResponder {} for block \
             blk_{} of size 67108864 from /10.251.{}.{} terminating",
            n / 60 % 60,
            n % 60,
            n % 400,
            n % 3,
            n * 7_919_000_000_007,
            n % 250,
            n % 249
        );
    }
    log.into_bytes()
}

fn measure(name: &str, sample: &[u8]) {
    let assumed = Assumed { year: Year::Is(2024), utc_offset_seconds: 0 };
    let log = sample.repeat(BYTES / sample.len().max(1));
    let format = Format::detect(&log, &assumed);
    for pass in 1..=PASSES {
        let begun = Instant::now();
        let (mut records, mut bytes) = (0_u32, 0_usize);
        for record in format.records(&log) {
            records += 1;
            bytes += record.message.len() + usize::from(record.timestamp.is_some());
        }
        let seconds = begun.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let megabytes = log.len() as f64 / 1e6;
        println!(
            "{name} ({}) pass {pass}: {:.0} MB/s, {:.0} ns a record, {records} records, {bytes} bytes of messages",
            format.name(),
            megabytes / seconds,
            seconds * 1e9 / f64::from(records),
        );
    }
}

fn main() {
    let files: Vec<String> = env::args().skip(1).collect();
    if files.is_empty() {
        measure("made-up lines", &made_up());
    }
    for file in files {
        match fs::read(&file) {
            Ok(sample) => measure(&file, &sample),
            Err(error) => eprintln!("{file}: {error}"),
        }
    }
}
