//! The threads that connections live on.
//!
//! Each has a runtime of its own and keeps its connections to the end: no task moves, nothing is
//! stolen, and a task that wakes another of its thread takes no lock. A new connection goes to
//! the thread that has the fewest, so that no thread is left with all the busy ones by chance of
//! a hash, as with one listener each (`SO_REUSEPORT`).

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use tokio::{runtime, sync::oneshot};

use super::desk::Desk;

/// Where connections run. The threads that were started end when this is dropped, with what is
/// still on them.
pub struct Threads(Vec<Place>);

struct Place {
    runtime: runtime::Handle,
    connections: Arc<AtomicUsize>,
    /// Ends the thread when it is dropped.
    _running: Option<oneshot::Sender<()>>,
}

impl Threads {
    /// The runtime that calls, and no thread of its own.
    pub fn here() -> Self {
        let (runtime, connections) = (runtime::Handle::current(), Arc::default());
        Self(vec![Place { runtime, connections, _running: None }])
    }

    /// So many threads, one at least.
    pub fn start(count: usize) -> io::Result<Self> {
        (0..count.max(1)).map(Place::start).collect::<io::Result<_>>().map(Self)
    }

    /// Runs a connection on the thread that has the fewest.
    pub fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        // there is one at least
        let Some(place) = self.0.iter().min_by_key(|place| place.connections.load(Relaxed)) else {
            return;
        };
        place.connections.fetch_add(1, Relaxed);
        let connections = Arc::clone(&place.connections);
        place.runtime.spawn(async move {
            connection.await;
            connections.fetch_sub(1, Relaxed);
        });
    }
}

impl Place {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel();
        thread::Builder::new().name(format!("http-{number}")).spawn(move || {
            runtime.spawn(Desk::place_here().attend());
            // an error is the word to end
            let _ended = runtime.block_on(ended);
            // what it still does for others must not hold it up
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, connections: Arc::default(), _running: Some(running) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn connections_are_spread_and_each_thread_has_its_desk() {
        let threads = Threads::start(2).unwrap();
        let (told, hear) = mpsc::channel();
        let (held, release) = tokio::sync::watch::channel(());
        for _ in 0..4 {
            let (told, mut release) = (told.clone(), release.clone());
            threads.spawn(async move {
                let name = thread::current().name().map(str::to_owned);
                told.send((name, Desk::here().is_some())).unwrap();
                drop(release.changed().await);
            });
        }
        let mut names: Vec<_> = (0..4).map(|_| hear.recv().unwrap()).collect();
        names.sort();
        let on = |name: &str| (Some(name.to_owned()), true);
        assert_eq!(names, [on("http-0"), on("http-0"), on("http-1"), on("http-1")]);
        drop(held);
    }
}
