//! How a command ends whose server did not give what it was asked for.

use std::process::ExitCode;

use super::{exit, output};
use crate::client::ClientFault;

/// Says why, and exits with the code for it.
pub fn failed(server: &str, fault: &ClientFault) -> ExitCode {
    let code = match fault {
        ClientFault::Away(_) | ClientFault::Unavailable(_) => exit::UNAVAILABLE,
        ClientFault::KeyMissing | ClientFault::KeyRefused(_) => exit::NO_PERMISSION,
        ClientFault::NotFound(_) => exit::NOT_SO,
        ClientFault::Refused(_) => exit::REFUSED,
        ClientFault::Answer(_) => exit::PROTOCOL,
    };
    output::fail(code, &format!("{server}: {fault}"))
}
