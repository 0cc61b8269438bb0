//! Where and how to listen.

use std::net::SocketAddr;

use clap::Args;

/// The front end.
#[derive(Clone, Debug, Args)]
pub struct HttpSettings {
    /// Address to listen on
    #[arg(
        long,
        global = true,
        env = "ERRSIFT_LISTEN",
        default_value = "127.0.0.1:9002",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,
}
