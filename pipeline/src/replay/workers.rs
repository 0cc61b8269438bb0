//! The workers of a replay: one process's, or several processes'.

use std::{any::Any, io, net::TcpStream, num::NonZeroUsize};

use timely::{
    CommunicationConfig,
    communication::{
        AllocatorBuilder, Hooks,
        allocator::{ProcessBuilder, zero_copy::initialize::initialize_networking_from_sockets},
    },
};

/// Workers that are not started yet.
pub struct Workers {
    pub(super) builders: Vec<AllocatorBuilder>,
    /// Holds the threads that speak to other processes.
    pub(super) others: Box<dyn Any + Send>,
}

impl Workers {
    /// So many within this process.
    pub fn alone(threads: NonZeroUsize) -> Result<Self, String> {
        let config = match threads.get() {
            1 => CommunicationConfig::Thread,
            threads => CommunicationConfig::Process(threads),
        };
        let (builders, others) = config.try_build()?;
        Ok(Self { builders, others })
    }

    /// So many within this process, and as many in each of those at the other end of `sockets`: one
    /// for each process in order, none for this one. An error is a socket's.
    pub fn connected(
        threads: NonZeroUsize,
        process: usize,
        sockets: Vec<Option<TcpStream>>,
    ) -> io::Result<Self> {
        let Hooks { refill, spill, .. } = Hooks::default();
        let within = ProcessBuilder::new_typed_vector(threads.get(), refill, spill);
        let (builders, guard) = initialize_networking_from_sockets(
            within,
            sockets,
            process,
            threads.get(),
            Hooks::default(),
        )?;
        let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
        Ok(Self { builders, others: Box::new(guard) })
    }
}
