//! What happens to Redis and MariaDB themselves.

use std::{thread, time::Instant};

use super::report::Report;
use crate::support::{process::Process, random::Random};

/// Kills and freezes a server until `end`; it is well again when this returns. A frozen one looks
/// to errsift like one that is far away: some are frozen for longer than errsift's patience.
pub fn trouble(
    name: &str,
    process: &mut Process,
    (seed, round): (u64, u32),
    end: Instant,
    report: &Report,
) {
    let mut random = Random::new(seed, &format!("{name} {round}"));
    loop {
        thread::sleep(random.millis(2_000..10_000));
        if Instant::now() >= end {
            return;
        }
        if random.within(0..3) == 0 {
            process.kill_9();
            report.fault(&format!("{name} killed"));
            thread::sleep(random.millis(0..2_500));
            process.restart();
        } else {
            process.signal("STOP");
            report.fault(&format!("{name} frozen"));
            thread::sleep(match random.within(0..6) {
                0 => random.millis(5_500..8_000),
                _ => random.millis(100..2_500),
            });
            process.signal("CONT");
        }
    }
}
