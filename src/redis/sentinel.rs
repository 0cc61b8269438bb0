//! Which node is the master, as the sentinels have it.
//!
//! All sentinels are asked at once, and the answer of the highest configuration epoch counts: that
//! is how they settle among themselves which of two is newer, so one that was cut off and is
//! behind misleads nobody. An answer older than one heard before does not count either, until the
//! node of that one has turned out not to be the master.

use std::{
    collections::BTreeMap,
    fmt, iter,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use errsift_pipeline::ports::journal::JournalFault;
use redis::{Connection, IntoConnectionInfo, RedisConnectionInfo, RedisResult, TlsCertificates};

use super::address;
use crate::tls;

/// How long a sentinel may take to be connected to, and again for its answer.
const SENTINEL_MAX: Duration = Duration::from_millis(500);

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// What one sentinel says.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    /// The node that it calls the master.
    pub(super) node: Node,
    /// Grows with each failover.
    pub(super) epoch: u64,
    /// Replicas that it knows.
    pub(super) replicas: u64,
    /// Other sentinels that it knows.
    pub(super) others: u64,
    /// Sentinels that must miss the master before it is failed over.
    pub(super) quorum: u64,
}

/// How sentinels are spoken to.
#[derive(Clone)]
pub(super) struct Way {
    /// Their own credentials.
    pub(super) own: RedisConnectionInfo,
    /// What TLS is made with; `None` for plain text.
    pub(super) certificates: Option<TlsCertificates>,
}

/// One sentinel, and the connection to it while it answers.
struct Sentinel {
    node: Node,
    connection: Option<Connection>,
}

/// The sentinels of a master.
pub(super) struct Sentinels {
    master: String,
    way: Way,
    all: Mutex<Vec<Sentinel>>,
    /// The newest answer ever heard.
    known: Mutex<Option<(u64, Node)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sentinels {
    /// Of the `master` of that name.
    pub(super) fn new(nodes: Vec<Node>, master: String, way: Way) -> Self {
        let all = nodes.into_iter().map(|node| Sentinel { node, connection: None }).collect();
        Self { master, way, all: Mutex::new(all), known: Mutex::new(None) }
    }

    /// The same, not asked yet, with these certificates if they are spoken to by TLS.
    pub(super) fn trusting(&self, certificates: &TlsCertificates) -> Self {
        let nodes = locked(&self.all).iter().map(|sentinel| sentinel.node.clone()).collect();
        let mut way = self.way.clone();
        way.certificates = way.certificates.map(|_| certificates.clone());
        Self::new(nodes, self.master.clone(), way)
    }

    /// The master's name.
    pub(super) fn name(&self) -> &str {
        &self.master
    }

    /// How they are spoken to.
    #[cfg(test)]
    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    /// What each sentinel says, or why it says nothing. Blocks for about a second at most.
    pub(super) fn ask(&self) -> Vec<(Node, Result<Sighting, String>)> {
        let mut sentinels = locked(&self.all);
        thread::scope(|scope| {
            let asked: Vec<_> = sentinels
                .iter_mut()
                .map(|sentinel| {
                    let node = sentinel.node.clone();
                    let ask = || sentinel.ask(&self.way, &self.master);
                    (
                        node,
                        thread::Builder::new().name("sentinel".to_owned()).spawn_scoped(scope, ask),
                    )
                })
                .collect();
            let heard = asked.into_iter().map(|(node, thread)| {
                let answer = match thread.map(thread::ScopedJoinHandle::join) {
                    Ok(Ok(answer)) => answer.map_err(|error| tls::explain(&error)),
                    Ok(Err(_)) => Err("the thread that asked has panicked".to_owned()),
                    Err(error) => Err(error.to_string()),
                };
                (node, answer)
            });
            heard.collect()
        })
    }

    /// The master, asked for anew. Blocks for about a second at most.
    pub(super) fn master(&self) -> Result<Node, JournalFault> {
        let mut newest: Option<Sighting> = None;
        let mut silent = Vec::new();
        for (sentinel, answer) in self.ask() {
            match answer {
                Ok(found) if newest.as_ref().is_none_or(|newest| newest.epoch < found.epoch) => {
                    newest = Some(found);
                }
                Ok(_) => {}
                Err(reason) => silent.push(format!("{sentinel}: {reason}")),
            }
        }
        let Some(Sighting { node, epoch, .. }) = newest else {
            let (master, silent) = (&self.master, silent.join("; "));
            return Err(JournalFault::new(format!("no sentinel names master {master}: {silent}")));
        };
        let mut known = locked(&self.known);
        match &*known {
            Some((heard, node)) if *heard > epoch => return Ok(node.clone()),
            Some((_, before)) if *before == node => {}
            _ => tracing::info!(master = %self.master, %node, epoch, "sentinels name the master"),
        }
        *known = Some((epoch, node.clone()));
        Ok(node)
    }

    /// The master as last heard of; `None` if nobody was asked yet.
    pub(super) fn known(&self) -> Option<Node> {
        locked(&self.known).as_ref().map(|(_, node)| node.clone())
    }

    /// Takes the next answer, whatever its epoch: `node` does not do.
    pub(super) fn doubt(&self, node: &Node) {
        if let Some((epoch, known)) = &mut *locked(&self.known)
            && known == node
        {
            *epoch = 0;
        }
    }
}

/// For people.
impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let master = &self.master;
        if let Some(node) = self.known() {
            return write!(f, "master {master}, now {node}");
        }
        let sentinels = locked(&self.all);
        write!(f, "master {master} of sentinels ")?;
        for (comma, sentinel) in iter::once("").chain(iter::repeat(", ")).zip(sentinels.iter()) {
            write!(f, "{comma}{}", sentinel.node)?;
        }
        Ok(())
    }
}

impl Sentinel {
    /// Asks, if need be on a new connection.
    fn ask(&mut self, way: &Way, master: &str) -> RedisResult<Sighting> {
        if let Some(mut connection) = self.connection.take()
            && let Ok(found) = sighting(&mut connection, master)
        {
            self.connection = Some(connection);
            return Ok(found);
        }
        let mut connection = connect(&self.node, way)?;
        let found = sighting(&mut connection, master)?;
        self.connection = Some(connection);
        Ok(found)
    }
}

fn connect(node: &Node, way: &Way) -> RedisResult<Connection> {
    let info = (node.host.as_str(), node.port).into_connection_info()?;
    let info = info.set_redis_settings(way.own.clone());
    let client = match &way.certificates {
        Some(certificates) => {
            let info = info.set_addr(address::encrypted(node.clone()));
            redis::Client::build_with_tls(info, certificates.clone())?
        }
        None => redis::Client::open(info)?,
    };
    let connection = client.get_connection_with_timeout(SENTINEL_MAX)?;
    connection.set_read_timeout(Some(SENTINEL_MAX))?;
    connection.set_write_timeout(Some(SENTINEL_MAX))?;
    Ok(connection)
}

/// Two commands in one write: during a failover only the first names the new master already, and
/// only the second tells how new that is.
fn sighting(connection: &mut Connection, master: &str) -> RedisResult<Sighting> {
    let mut pipe = redis::pipe();
    pipe.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    pipe.cmd("SENTINEL").arg("MASTER").arg(master);
    let ((host, port), fields): ((String, u16), BTreeMap<String, String>) =
        pipe.query(connection)?;
    let number = |name: &str| fields.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Sighting {
        node: Node { host, port },
        epoch: number("config-epoch"),
        replicas: number("num-slaves"),
        others: number("num-other-sentinels"),
        quorum: number("quorum"),
    })
}
