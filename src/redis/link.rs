//! The commit connection: a worker writes, a reader thread hears and completes.

use std::{
    io::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use errsift_pipeline::{
    failpoints,
    ports::journal::{Armed, CommitDone, CommitFault, Fence, FenceDone, JournalFault},
};
use redis::Value;

use super::{
    RedisStore, check, commit, follow,
    stream::Outgoing,
    wire,
    wire::{TICKS_MAX, Wire},
};

/// What is due on the connection, and who hears of it.
pub(super) enum Due {
    /// The answers to a commit.
    Commit(commit::Expected, CommitDone),
    /// The answer to WAIT.
    Waited(Armed, CommitDone),
}

impl Due {
    fn answers(&self) -> usize {
        match self {
            Self::Commit(expected, _) => expected.answers(),
            Self::Waited(..) => 1,
        }
    }

    fn lost(self, reason: String) {
        let (Self::Commit(_, done) | Self::Waited(_, done)) = self;
        done(Err(CommitFault::Unknown { reason }));
    }
}

/// One connection until it breaks. A new one is made instead of mending it.
#[derive(Default)]
pub(super) struct Link {
    writer: Mutex<Option<Outgoing>>,
    /// The fence as last read on this connection, which watches it since.
    watched: Mutex<Option<Fence>>,
    due: Mutex<Option<Due>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    /// A link over a connection whose fence is watched.
    pub(super) fn over(
        wire: Wire,
        watched: Fence,
        store: &RedisStore,
    ) -> Result<Arc<Self>, JournalFault> {
        let link = Arc::new(Self::default());
        *locked(&link.watched) = Some(watched);
        let reader = Arc::clone(&link);
        link.open(&wire)?;
        follow::masters(store, &wire, &link)?;
        spawn(move || reader.read(wire))?;
        Ok(link)
    }

    /// A link that is being made: it connects on a thread of its own, checks what the server's
    /// settings promise, lets `prepare` do its part, watches and reads the fence, and tells `done`.
    pub(super) fn dial(
        store: RedisStore,
        prepare: impl FnOnce(&RedisStore, &mut Wire) -> Result<(), JournalFault> + Send + 'static,
        done: FenceDone,
    ) -> Arc<Self> {
        let link = Arc::new(Self::default());
        let reader = Arc::clone(&link);
        // whoever gets it: the thread, or this one if there is no thread to be had
        let hear = Arc::new(Mutex::new(Some(done)));
        let told = Arc::clone(&hear);
        let spawned = spawn(move || {
            let Some(done) = locked(&hear).take() else { return };
            let armed = Wire::connect(&store).and_then(|mut wire| {
                check::demand(&store, &mut wire)?;
                prepare(&store, &mut wire)?;
                wire.call(redis::cmd("WATCH").arg(&store.keys.fence))?;
                let fence = wire::fence(&wire.call(&wire::read_fence(&store.keys.fence))?)?;
                commit::demand_replicated(&store, &mut wire)?;
                *locked(&reader.watched) = Some(fence);
                reader.open(&wire)?;
                follow::masters(&store, &wire, &reader)?;
                Ok((wire, fence))
            });
            match armed {
                Ok((wire, fence)) => {
                    done(Ok(fence));
                    reader.read(wire);
                }
                Err(fault) => done(Err(fault)),
            }
        });
        if let Err(fault) = spawned
            && let Some(done) = locked(&told).take()
        {
            done(Err(fault));
        }
        link
    }

    fn open(&self, wire: &Wire) -> Result<(), JournalFault> {
        *locked(&self.writer) = Some(wire.writer.try_clone().map_err(JournalFault::new)?);
        Ok(())
    }

    /// Ends the connection: who waits for an answer hears that it is lost, and nothing more is sent.
    pub(super) fn close(&self) {
        if let Some(writer) = locked(&self.writer).take() {
            writer.shutdown();
        }
    }

    /// Whether it may still be sent on.
    pub(super) fn is_open(&self) -> bool {
        locked(&self.writer).is_some()
    }

    /// The fence that the next commit on this connection is guarded by.
    pub(super) fn watched(&self) -> Option<Fence> {
        *locked(&self.watched)
    }

    /// Sends `bytes`, whose answers are `due`. A connection that is gone refuses: nothing was sent.
    pub(super) fn send(&self, bytes: &[u8], due: Due) {
        let mut writer = locked(&self.writer);
        let Some(stream) = writer.as_mut() else {
            drop(writer);
            let (Due::Commit(_, done) | Due::Waited(_, done)) = due;
            let reason = "not connected".to_owned();
            return done(Err(CommitFault::Refused { reason, armed: None }));
        };
        *locked(&self.due) = Some(due);
        if let Err(error) = stream.write_all(bytes) {
            // or the reader would wait for ever: nothing is due any more
            stream.shutdown();
            *writer = None;
            drop(writer);
            self.fail(&error.to_string());
            return;
        }
        failpoints::pass("commit_sent");
    }

    /// Hears answers until the connection breaks.
    fn read(&self, mut wire: Wire) {
        let mut ticks = 0;
        let reason = loop {
            match wire.wait() {
                Ok(false) if locked(&self.due).is_none() => ticks = 0,
                Ok(false) => {
                    ticks += 1;
                    if ticks >= TICKS_MAX {
                        break "no answer in time".to_owned();
                    }
                }
                Ok(true) => {
                    ticks = 0;
                    if let Err(fault) = self.hear(&mut wire) {
                        break fault.reason;
                    }
                }
                Err(error) => break error.to_string(),
            }
        };
        *locked(&self.writer) = None;
        wire.writer.shutdown();
        self.fail(&reason);
    }

    fn hear(&self, wire: &mut Wire) -> Result<(), JournalFault> {
        let Some(due) = locked(&self.due).take() else {
            return Err(JournalFault::new("an answer that nobody asked for"));
        };
        let mut answers = Vec::with_capacity(due.answers());
        for _ in 0..due.answers() {
            match wire.answer() {
                Ok(answer) => answers.push(answer),
                Err(fault) => {
                    // the writer goes first, so that the next flight is refused, not lost as well
                    *locked(&self.writer) = None;
                    due.lost(fault.reason.clone());
                    return Err(fault);
                }
            }
        }
        self.decide(due, &answers);
        Ok(())
    }

    fn decide(&self, due: Due, answers: &[Value]) {
        match (due, answers) {
            (Due::Commit(expected, done), answers) => {
                let result = expected.decide(answers);
                failpoints::pass("commit_heard");
                // each of these has read the fence after the WATCH that guards the next commit
                let watched = match &result {
                    Ok(armed) | Err(CommitFault::NotDurable { armed, .. }) => Some(*armed.fence()),
                    Err(CommitFault::Moved { found }) => Some(*found),
                    Err(_) => None,
                };
                if let Some(watched) = watched {
                    *locked(&self.watched) = Some(watched);
                }
                done(result);
            }
            (Due::Waited(armed, done), [answer, ..]) => done(commit::waited(answer, armed)),
            (Due::Waited(_, done), []) => {
                done(Err(CommitFault::Unknown { reason: "answer is missing".to_owned() }));
            }
        }
    }

    fn fail(&self, reason: &str) {
        let due = locked(&self.due).take();
        if let Some(due) = due {
            due.lost(reason.to_owned());
        }
    }
}

pub(super) fn spawn(run: impl FnOnce() + Send + 'static) -> Result<(), JournalFault> {
    let thread = thread::Builder::new().name("journal".to_owned()).spawn(run);
    thread.map(drop).map_err(JournalFault::new)
}

#[cfg(test)]
mod tests {
    use std::{io::Read, net::TcpListener, time::Duration};

    use errsift_ops::id::Shard;

    use super::*;
    use crate::durability::Durability;

    #[test]
    fn a_failed_write_ends_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let store = RedisStore::new(&url, Shard(0), Durability::Fsync, false).unwrap();
        let fence = Fence::default();
        let link = Link::over(Wire::connect(&store).unwrap(), fence, &store).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let (told, hear) = std::sync::mpsc::channel();
        let done = Box::new(move |outcome| told.send(outcome).unwrap());
        // nobody reads, and this is more than the sockets take
        let bytes = vec![0; 64 << 20];
        link.send(&bytes, Due::Waited(Armed::verify(&fence, fence).unwrap(), done));
        assert!(matches!(hear.recv().unwrap(), Err(CommitFault::Unknown { .. })));
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut read = vec![0; 1 << 20];
        loop {
            match peer.read(&mut read) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("still open: {error}"),
            }
        }
    }
}
