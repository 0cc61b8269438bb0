//! A TCP proxy that does what networks do: it cuts, refuses, delays, swallows answers, and delivers
//! requests after their sender has given up and come back.
//!
//! One thread for each direction of a connection. A direction takes in what it can get and lets it
//! go when nothing forbids it, so that bytes whose sender is gone are still delivered. Faults of
//! one kind apply to connections that are open (cuts, held requests, swallowed answers), those of
//! the other to the proxy as a whole (refusals, delays).

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

/// How soon a direction that gets nothing looks at what it is told.
const LOOK: Duration = Duration::from_millis(15);
const READ_BYTES: usize = 64 * 1024;
/// Told to a direction that may carry any number of bytes.
const ENDLESS: i64 = i64::MAX;

/// A way through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Requests,
    Answers,
}

/// What is true of one connection.
struct Told {
    client: TcpStream,
    server: TcpStream,
    /// Requests are taken in and not let go.
    held: AtomicBool,
    /// Answers are taken in and thrown away.
    deaf: AtomicBool,
    cut: AtomicBool,
    /// Bytes each way until the connection is cut.
    left: [AtomicI64; 2],
    ways_open: AtomicU64,
}

impl Told {
    fn cut(&self) {
        self.cut.store(true, SeqCst);
        // either may be closed already
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

#[derive(Default)]
struct Whole {
    refuses: AtomicBool,
    /// Milliseconds, each way.
    delays: [AtomicU64; 2],
    ended: AtomicBool,
    open: Mutex<Vec<Arc<Told>>>,
}

impl Whole {
    fn open(&self) -> MutexGuard<'_, Vec<Arc<Told>>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|told| told.ways_open.load(SeqCst) > 0);
        open
    }
}

/// A running proxy; dropping it cuts everything.
pub struct Proxy {
    address: SocketAddr,
    whole: Arc<Whole>,
}

impl Proxy {
    /// One on a port of its own, in front of `target`.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let whole = Arc::new(Whole::default());
        let accepting = Arc::clone(&whole);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.ended.load(SeqCst) {
                    return;
                }
                // a connection that cannot be made is closed, as by a server that is away
                let _ = connect(client, target, &accepting);
            }
        });
        Self { address, whole }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.whole.open().len()
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        for told in self.whole.open().iter() {
            told.cut();
        }
    }

    /// Cuts every connection once `bytes` more have gone one way, in the middle of a message or not.
    pub fn cut_after(&self, way: Way, bytes: u32) {
        for told in self.whole.open().iter() {
            told.left[way as usize].store(i64::from(bytes), SeqCst);
        }
    }

    /// Closes new connections at once, or lets them through again.
    pub fn refuse(&self, refuses: bool) {
        self.whole.refuses.store(refuses, SeqCst);
    }

    /// Has everything take so much longer one way.
    pub fn delay(&self, way: Way, by: Duration) {
        let millis = u64::try_from(by.as_millis()).expect("a short time");
        self.whole.delays[way as usize].store(millis, SeqCst);
    }

    /// Throws the answers on every connection away, while requests go through.
    pub fn swallow_answers(&self) -> Swallowed {
        let of = self.whole.open().clone();
        for told in &of {
            told.deaf.store(true, SeqCst);
        }
        Swallowed(of)
    }

    /// Holds the requests on every connection.
    pub fn hold_requests(&self) -> Held {
        let of = self.whole.open().clone();
        for told in &of {
            told.held.store(true, SeqCst);
        }
        Held(of)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.whole.ended.store(true, SeqCst);
        self.cut();
        // so that the listener sees it
        let _ = TcpStream::connect(self.address);
    }
}

/// Connections whose answers are thrown away. They miss some then, and are cut when this goes.
pub struct Swallowed(Vec<Arc<Told>>);

impl Drop for Swallowed {
    fn drop(&mut self) {
        for told in &self.0 {
            told.cut();
        }
    }
}

/// Connections whose requests are held until this goes.
pub struct Held(Vec<Arc<Told>>);

impl Held {
    /// Ends the clients' halves: they see the connection lost and make a new one, and what is
    /// held still goes to the server later.
    pub fn lose_clients(&self) {
        for told in &self.0 {
            // it may be gone already
            let _ = told.client.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for told in &self.0 {
            told.held.store(false, SeqCst);
        }
    }
}

fn connect(client: TcpStream, target: SocketAddr, whole: &Arc<Whole>) -> std::io::Result<()> {
    if whole.refuses.load(SeqCst) {
        return client.shutdown(Shutdown::Both);
    }
    let server = TcpStream::connect(target)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
    }
    let told = Arc::new(Told {
        client,
        server,
        held: AtomicBool::new(false),
        deaf: AtomicBool::new(false),
        cut: AtomicBool::new(false),
        left: [AtomicI64::new(ENDLESS), AtomicI64::new(ENDLESS)],
        ways_open: AtomicU64::new(2),
    });
    whole.open().push(Arc::clone(&told));
    for way in [Way::Requests, Way::Answers] {
        let (told, whole) = (Arc::clone(&told), Arc::clone(whole));
        thread::spawn(move || {
            carry(way, &told, &whole);
            told.ways_open.fetch_sub(1, SeqCst);
        });
    }
    Ok(())
}

/// Carries bytes one way until they end or the connection is cut.
fn carry(way: Way, told: &Told, whole: &Whole) {
    let (mut from, mut to) = match way {
        Way::Requests => (&told.client, &told.server),
        Way::Answers => (&told.server, &told.client),
    };
    let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut bytes = vec![0; READ_BYTES];
    let mut ended = false;
    while !told.cut.load(SeqCst) {
        if ended {
            thread::sleep(LOOK);
        } else {
            match from.read(&mut bytes) {
                Ok(0) => ended = true,
                Ok(read) => {
                    let delay = Duration::from_millis(whole.delays[way as usize].load(SeqCst));
                    waiting.push_back((Instant::now() + delay, bytes[..read].to_vec()));
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => ended = true,
            }
        }
        if way == Way::Requests && told.held.load(SeqCst) {
            continue;
        }
        while let Some((_, chunk)) = waiting.pop_front_if(|(due, _)| *due <= Instant::now()) {
            if way == Way::Answers && told.deaf.load(SeqCst) {
                continue;
            }
            if !deliver(&chunk, &mut to, &told.left[way as usize]) {
                // answers that nobody takes must not keep requests from the server
                return if way == Way::Requests || told.left[way as usize].load(SeqCst) <= 0 {
                    told.cut();
                };
            }
        }
        if ended && waiting.is_empty() {
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
    }
}

/// Writes as much as may go; whether that was all.
fn deliver(chunk: &[u8], to: &mut &TcpStream, left: &AtomicI64) -> bool {
    let length = i64::try_from(chunk.len()).expect("a chunk");
    let before = left.fetch_sub(length, SeqCst);
    if before == ENDLESS {
        left.store(ENDLESS, SeqCst);
        return to.write_all(chunk).is_ok();
    }
    let may_go = usize::try_from(before.clamp(0, length)).expect("not negative");
    to.write_all(&chunk[..may_go]).is_ok() && may_go == chunk.len()
}
