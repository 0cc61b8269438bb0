//! One thread's share: its connections, and its requests by the clock.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fd::OwnedFd,
};

use super::{Seen, arguments::Arguments, connection::Connection};

/// How long answers are waited for after the last request.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// Events taken from `epoll` at once.
const EVENTS: usize = 256;

/// The requests that are due, one after the other.
struct Schedule {
    begun: Instant,
    interval: Duration,
    /// Number of the next.
    next: u32,
    count: u32,
}

impl Schedule {
    fn due(&self) -> Option<Instant> {
        (self.next < self.count).then(|| self.begun + self.interval * self.next)
    }

    fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.due().filter(|due| *due <= now)?;
        self.next += 1;
        Some(due)
    }
}

/// Sends its share of the requests and hears their answers.
pub fn run(arguments: &Arguments, number: usize) -> io::Result<Seen> {
    let connections = share(arguments.connections, arguments.threads, number);
    let mut thread = Thread::open(arguments, number, connections)?;
    let interval = Duration::from_secs_f64(1.0 / arguments.rate);
    let threads = u32::try_from(arguments.threads).map_err(io::Error::other)?;
    let offset = interval * u32::try_from(number).map_err(io::Error::other)?;
    let interval = interval * threads;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let count = (arguments.length.as_secs_f64() / interval.as_secs_f64()) as u32;
    thread.run(Schedule { begun: Instant::now() + offset, interval, next: 0, count })?;
    Ok(thread.seen)
}

fn share(all: usize, threads: usize, number: usize) -> usize {
    all / threads + usize::from(number < all % threads)
}

struct Thread<'a> {
    arguments: &'a Arguments,
    number: u64,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// When the request on each connection was due, if there is one.
    busy: Vec<Option<Instant>>,
    /// The one that was used longest ago comes first, or a server would close those never used.
    idle: VecDeque<usize>,
    /// Requests that are due and find no connection.
    waiting: VecDeque<Instant>,
    seen: Seen,
}

impl<'a> Thread<'a> {
    fn open(arguments: &'a Arguments, number: usize, connections: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let connections: Vec<_> =
            (0..connections).map(|_| Connection::open(arguments.to)).collect::<io::Result<_>>()?;
        for (at, connection) in connections.iter().enumerate() {
            epoll::add(&epoll, connection.stream(), EventData::new_u64(at as u64), EventFlags::IN)?;
        }
        let (busy, idle) = (vec![None; connections.len()], (0..connections.len()).collect());
        let (waiting, seen, number) = (VecDeque::new(), Seen::nothing(), number as u64);
        Ok(Self { arguments, number, epoll, connections, busy, idle, waiting, seen })
    }

    fn run(&mut self, mut schedule: Schedule) -> io::Result<()> {
        let end = schedule.begun + schedule.interval * schedule.count + LAST_ANSWERS;
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let now = Instant::now();
            while let Some(due) = schedule.take(now) {
                self.waiting.push_back(due);
            }
            while let (Some(at), Some(due)) = (self.idle.front().copied(), self.waiting.front()) {
                let due = *due;
                self.idle.pop_front();
                self.waiting.pop_front();
                self.send(at, due)?;
            }
            let all_idle = self.idle.len() == self.connections.len();
            if (schedule.due().is_none() && self.waiting.is_empty() && all_idle) || now > end {
                let out = self.busy.iter().flatten().count() + self.waiting.len();
                self.seen.lost += out as u64;
                return Ok(());
            }
            let until = schedule.due().unwrap_or(end).saturating_duration_since(now);
            let timeout = Timespec::try_from(until).map_err(io::Error::other)?;
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
            for event in events.drain(..) {
                self.hear(&event)?;
            }
        }
    }

    fn send(&mut self, at: usize, due: Instant) -> io::Result<()> {
        let request = request(self.arguments, self.number, self.seen.sent);
        self.connections[at].send(request.as_bytes())?;
        self.busy[at] = Some(due);
        self.seen.sent += 1;
        Ok(())
    }

    fn hear(&mut self, event: &Event) -> io::Result<()> {
        let data = event.data;
        let at = usize::try_from(data.u64()).map_err(io::Error::other)?;
        let Some(status) = self.connections[at].hear()? else { return Ok(()) };
        if let Some(due) = self.busy[at].take() {
            let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.seen.latencies.saturating_record(micros.max(1));
            if status == 200 {
                self.seen.ok += 1;
            } else {
                self.seen.other += 1;
            }
            self.idle.push_back(at);
        }
        Ok(())
    }
}

/// An event of some 200 bytes, as load/wrk/errors.lua makes them.
fn request(arguments: &Arguments, thread: u64, number: u64) -> String {
    let replica = match number.checked_rem(arguments.distinct) {
        Some(error) => format!("{error:03}"),
        None => format!("{}-{thread}-{number}", arguments.run),
    };
    let message = format!("Connection to replica {replica} refused after 3 attempts");
    let body = format!(
        concat!(
            r#"{{"message":"{}","stackTrace":"Error: ECONNREFUSED\n    at Socket.connect "#,
            r#"(/app/db/pool.js:121:17)\n    at Pool.acquire (/app/db/pool.js:88:9)"}}"#
        ),
        message
    );
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        arguments.path,
        arguments.to,
        body.len()
    )
}
