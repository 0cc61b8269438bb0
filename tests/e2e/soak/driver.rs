//! Clients that post without pause, whatever happens, to whoever serves.

use std::{
    sync::atomic::{AtomicBool, AtomicU16, Ordering::SeqCst},
    thread,
    time::Duration,
};

use crate::{
    load::{self, Attempt, Fate},
    support::client::Client,
};

pub const CONNECTIONS: u64 = 8;
/// Keeps an hour's rows countable, and leaves the machine to the faults.
const PAUSE: Duration = Duration::from_millis(6);
/// So that a server that is away is not asked in a tight loop.
const AWAY: Duration = Duration::from_millis(30);
/// One in so many attempts repeats one of a few messages.
const REPEAT_EVERY: u64 = 4;
const REPEATED: u64 = 16;

/// Who is posted to, and whether to go on.
pub struct Target {
    port: AtomicU16,
    stopped: AtomicBool,
}

impl Target {
    pub fn new(port: u16) -> Self {
        Self { port: AtomicU16::new(port), stopped: AtomicBool::new(false) }
    }

    pub fn set(&self, port: u16) {
        self.port.store(port, SeqCst);
    }

    pub fn stop(&self) {
        self.stopped.store(true, SeqCst);
    }
}

/// Whether a message is one that many attempts share.
pub fn is_repeated(message: &str) -> bool {
    message.starts_with("repeated ")
}

/// Posts until told to stop; every attempt, with what became of it.
pub fn post(target: &Target, driver: u64, (seed, round): (u64, u32)) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let mut port = target.port.load(SeqCst);
    let mut client = client(port);
    for n in 0.. {
        if target.stopped.load(SeqCst) {
            break;
        }
        let now = target.port.load(SeqCst);
        if now != port {
            (port, client) = (now, self::client(now));
        }
        let message = match n % REPEAT_EVERY {
            0 => format!("repeated {}", (n / REPEAT_EVERY + driver) % REPEATED),
            _ => format!("soak {seed}, round {round}, driver {driver}, attempt {n}"),
        };
        let fate = load::attempt(&mut client, &message);
        attempts.push(Attempt { message, fate });
        thread::sleep(if fate == Fate::Acked { PAUSE } else { AWAY });
    }
    attempts
}

fn client(port: u16) -> Client {
    Client::new(([127, 0, 0, 1], port).into())
}
