//! Events sent over many connections, with what became of each.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    support::{client::Client, loghub},
    tables::{Tables, sha256},
    wait,
};

pub const LOG: &str = "/errors/log";
/// So that a server that is away is not asked in a tight loop.
const PAUSE: Duration = Duration::from_millis(20);
/// One in so many attempts repeats one of a few messages, so that folding is under test as well.
const REPEAT_EVERY: u64 = 4;
const REPEATED: u64 = 16;
/// How often a message of a run is sent.
const RUN: u64 = 64;

pub fn body(message: &str) -> String {
    serde_json::json!({ "message": message }).to_string()
}

/// What the client knows of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// 200: stored.
    Acked,
    /// Refused before it was sent, or a 503 that says that it was not stored.
    Not,
    /// No answer, or a 503 that says that it may be stored.
    Maybe,
}

pub struct Attempt {
    pub message: String,
    pub fate: Fate,
}

/// Sends one message and says what is known of it. Any answer but 200 and 503 is a failure.
pub fn attempt(client: &mut Client, message: &str) -> Fate {
    match client.try_post(LOG, &body(message)) {
        Ok((200, answer)) => {
            assert_is_queued(&answer);
            Fate::Acked
        }
        Ok((503, answer)) if answer.contains("may be stored") => Fate::Maybe,
        Ok((503, answer)) if answer.contains("not stored") => Fate::Not,
        Ok((status, answer)) => panic!("answered {status}: {answer}"),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Fate::Not,
        Err(_) => Fate::Maybe,
    }
}

pub fn assert_is_queued(answer: &str) {
    let answer: serde_json::Value = serde_json::from_str(answer).expect("an answer in JSON");
    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(answer["data"]["status"], "queued", "{answer}");
}

/// Posts every message once, over so many connections at once; each must be acked.
pub fn post_all(address: SocketAddr, messages: &[String], connections: usize) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut client = Client::new(address);
                while let Some(message) = messages.get(next.fetch_add(1, SeqCst)) {
                    assert_eq!(attempt(&mut client, message), Fate::Acked, "{message}");
                }
            });
        }
    });
}

/// Which message comes as a thread's `n`th.
type Message = fn(contents: &[String], thread: u64, n: u64) -> String;

/// Most are sent once, by one thread.
fn mixed(contents: &[String], thread: u64, n: u64) -> String {
    if n.is_multiple_of(REPEAT_EVERY) {
        return format!("repeated {}", (n / REPEAT_EVERY + thread) % REPEATED);
    }
    format!("{} #{thread}-{n}", content(contents, n))
}

/// Each is sent many times in succession, by one thread: however fast or slow the server is, what
/// one epoch has of it is mostly the same.
fn in_runs(contents: &[String], thread: u64, n: u64) -> String {
    let run = n / RUN;
    format!("{} #{thread}-run-{run}", content(contents, run))
}

fn content(contents: &[String], n: u64) -> &str {
    let at = n % contents.len() as u64;
    &contents[usize::try_from(at).expect("less than their number")]
}

/// Threads that post without end, whatever happens to the server.
pub struct Barrage {
    stop: Arc<AtomicBool>,
    acked: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Vec<Attempt>>>,
}

impl Barrage {
    /// Most messages are sent once.
    pub fn start(address: SocketAddr, connections: u64) -> Self {
        Self::of(address, connections, mixed)
    }

    /// Each message is sent many times in succession.
    pub fn start_in_runs(address: SocketAddr, connections: u64) -> Self {
        Self::of(address, connections, in_runs)
    }

    fn of(address: SocketAddr, connections: u64, message: Message) -> Self {
        let (stop, acked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let contents = Arc::new(loghub::contents_or_synthetic());
        let threads = (0..connections)
            .map(|thread| {
                let (stop, acked) = (Arc::clone(&stop), Arc::clone(&acked));
                let contents = Arc::clone(&contents);
                let message = move |n| message(&contents, thread, n);
                thread::spawn(move || barrage(address, message, &stop, &acked))
            })
            .collect();
        Self { stop, acked, threads }
    }

    pub fn acked(&self) -> u64 {
        self.acked.load(SeqCst)
    }

    /// Waits until so many more attempts are acked.
    pub fn await_acks(&self, more: u64) {
        let (before, goal) = (self.acked(), self.acked() + more);
        wait::until("acks under load", 2 * wait::SOON, || {
            let acked = self.acked();
            if acked >= goal { Ok(()) } else { Err(format!("{} of {more}", acked - before)) }
        });
    }

    /// Stops after the attempts that are out, and hands over all of them.
    pub fn stop(self) -> Vec<Attempt> {
        self.stop.store(true, SeqCst);
        let ended = self.threads.into_iter().map(|thread| thread.join().expect("a client fails"));
        ended.flatten().collect()
    }
}

fn barrage(
    address: SocketAddr,
    message: impl Fn(u64) -> String,
    stop: &AtomicBool,
    acked: &AtomicU64,
) -> Vec<Attempt> {
    let mut client = Client::new(address);
    let mut attempts = Vec::new();
    for n in 0.. {
        if stop.load(SeqCst) {
            break;
        }
        let message = message(n);
        let fate = attempt(&mut client, &message);
        attempts.push(Attempt { message, fate });
        match fate {
            Fate::Acked => drop(acked.fetch_add(1, SeqCst)),
            Fate::Not | Fate::Maybe => thread::sleep(PAUSE),
        }
    }
    attempts
}

/// The oracle: what was acked is counted exactly as often as it was acked, what got no certain
/// answer at most as often as it was sent, and there is nothing else.
pub fn assert_exactly_once(tables: &Tables, attempts: &[Attempt]) {
    let mut sent: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for Attempt { message, fate } in attempts {
        let (acked, maybe) = sent.entry(message).or_default();
        match fate {
            Fate::Acked => *acked += 1,
            Fate::Maybe => *maybe += 1,
            Fate::Not => {}
        }
    }
    let mut wrong = Vec::new();
    let mut foreign = tables.errors.clone();
    for (message, (acked, maybe)) in &sent {
        let row = foreign.remove(&sha256(message));
        let count = row.as_ref().map_or(0, |row| row.count);
        if count < *acked || count > acked + maybe {
            wrong.push(format!("counted {count}, {acked} acked, {maybe} maybe: {message}"));
        }
        if row.is_some_and(|row| row.message != **message) {
            wrong.push(format!("stored with other words: {message}"));
        }
    }
    wrong.extend(foreign.values().map(|row| format!("never sent: {row:?}")));
    let shown: Vec<&String> = wrong.iter().take(10).collect();
    assert!(wrong.is_empty(), "{} wrong of {}: {shown:#?}", wrong.len(), sent.len());
    tables.assert_windows_sum_to_counts();
}
