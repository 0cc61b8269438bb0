//! Free ports, and whose a listening port is.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

/// A port of 127.0.0.1 that nobody listened on a moment ago. Another process may take it before
/// its server binds, so what is started on it must be checked with [`listens`].
pub fn free() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("127.0.0.1 has no free port")
        .port()
}

/// Whether the process listens on the port. Read from Linux's socket tables; where there are none,
/// the answer is always yes.
pub fn listens(pid: u32, port: u16) -> bool {
    if !Path::new("/proc/net/tcp").exists() {
        return true;
    }
    let inodes = listening_inodes(port);
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok())
        .any(|link| inodes.iter().any(|socket| link == Path::new(socket)))
}

/// The sockets in state LISTEN (`0A`) on the port, as `/proc/PID/fd` names them. Columns:
/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`
fn listening_inodes(port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines() {
            let columns: Vec<&str> = line.split_whitespace().collect();
            if columns.len() > 9 && columns[1].ends_with(&suffix) && columns[3] == "0A" {
                inodes.push(format!("socket:[{}]", columns[9]));
            }
        }
    }
    inodes
}
