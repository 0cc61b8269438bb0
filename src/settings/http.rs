//! Where and how to listen.

use std::net::SocketAddr;

use clap::Args;

/// The front end.
#[derive(Clone, Debug, Args)]
pub struct HttpSettings {
    /// Address and port to listen on, such as 0.0.0.0:9002 or [::]:9002
    #[arg(long, env = "ERRSIFT_LISTEN", default_value = "127.0.0.1:9002", value_parser = address, value_name = "ADDRESS")]
    pub listen: SocketAddr,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let range = "expected an address and a port, such as 127.0.0.1:9002 or [::]:9002";
    text.parse().map_err(|_| range.to_owned())
}
