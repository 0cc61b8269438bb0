//! What happens between errsift and a store.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::report::Report;
use crate::support::{
    proxy::{Proxy, Way},
    random::Random,
};

#[derive(Clone, Copy)]
enum Fault {
    Cut,
    CutWithin(Way),
    Refuse,
    Delay(Way),
    Swallow,
    Hold,
    DeliverLate,
}

impl Fault {
    const ALL: [Self; 10] = [
        Self::Cut,
        Self::CutWithin(Way::Requests),
        Self::CutWithin(Way::Answers),
        Self::Refuse,
        Self::Delay(Way::Requests),
        Self::Delay(Way::Answers),
        Self::Swallow,
        Self::Hold,
        Self::DeliverLate,
        Self::DeliverLate,
    ];

    fn says(self) -> &'static str {
        match self {
            Self::Cut => "connections cut",
            Self::CutWithin(Way::Requests) => "requests cut in the middle",
            Self::CutWithin(Way::Answers) => "answers cut in the middle",
            Self::Refuse => "connections refused",
            Self::Delay(Way::Requests) => "requests delayed",
            Self::Delay(Way::Answers) => "answers delayed",
            Self::Swallow => "answers swallowed",
            Self::Hold => "requests held",
            Self::DeliverLate => "requests delivered after the client came back",
        }
    }
}

/// A way that faults are made on.
pub struct Network<'soak> {
    pub name: &'static str,
    pub proxy: &'soak Proxy,
    pub report: &'soak Report,
}

impl Network<'_> {
    /// Makes fault after fault until `end`; none is left when this returns.
    pub fn trouble(&self, (seed, round): (u64, u32), end: Instant) {
        let mut random = Random::new(seed, &format!("to {} {round}", self.name));
        loop {
            thread::sleep(random.millis(200..3_000));
            if Instant::now() >= end {
                return;
            }
            let fault = random.one_of(&Fault::ALL);
            self.report.fault(&format!("{}: {}", self.name, fault.says()));
            self.make(fault, &mut random);
        }
    }

    fn make(&self, fault: Fault, random: &mut Random) {
        let proxy = self.proxy;
        match fault {
            Fault::Cut => proxy.cut(),
            Fault::CutWithin(way) => {
                let bytes = u32::try_from(random.within(0..2_000)).expect("small");
                proxy.cut_after(way, bytes);
            }
            Fault::Refuse => {
                proxy.refuse(true);
                proxy.cut();
                thread::sleep(random.millis(100..2_500));
                proxy.refuse(false);
            }
            Fault::Delay(way) => {
                proxy.delay(way, random.millis(20..400));
                thread::sleep(random.millis(300..3_000));
                proxy.delay(way, Duration::ZERO);
            }
            Fault::Swallow => {
                let swallowed = proxy.swallow_answers();
                thread::sleep(patience(random));
                drop(swallowed);
            }
            Fault::Hold => {
                let held = proxy.hold_requests();
                thread::sleep(patience(random));
                drop(held);
            }
            Fault::DeliverLate => {
                let held = proxy.hold_requests();
                thread::sleep(random.millis(20..500));
                held.lose_clients();
                thread::sleep(random.millis(100..4_000));
                drop(held);
            }
        }
    }
}

/// Mostly shorter than the five seconds that errsift waits for Redis's answer, sometimes longer.
fn patience(random: &mut Random) -> Duration {
    match random.within(0..5) {
        0 => random.millis(5_200..7_000),
        _ => random.millis(100..2_500),
    }
}
