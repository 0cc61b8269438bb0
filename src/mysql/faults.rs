//! What a failed statement means, by type and number, never by text.

use std::time::Duration;

use errsift_pipeline::ports::errors::ErrorsFault;
use mysql_async::{DriverError, Error, IoError, ServerError};

use crate::tls;

/// Lock wait took too long; the transaction is still open.
pub const LOCK_WAIT: u16 = 1205;
/// Deadlock; the transaction is rolled back.
pub const DEADLOCK: u16 = 1213;
/// No more prepared statements, none of this kind, or one that somebody in between has forgotten.
const UNPREPARED: [u16; 3] = [1461, 1295, 1243];
/// A statement took longer than it was given: `MariaDB`'s number and `MySQL`'s.
pub const TOO_LONG: [u16; 2] = [1969, 3024];
/// A column, or an index, of this name is there already.
pub const THERE_ALREADY: [u16; 2] = [1060, 1061];
/// No such table.
pub const NO_TABLE: u16 = 1146;
/// A group replication or cluster certification refused the commit: rolled back.
const ROLLED_BACK_DURING_COMMIT: u16 = 3101;

/// Server errors that pass by themselves. Any other needs a person.
const TRANSIENT: &[u16] = &[
    LOCK_WAIT,
    DEADLOCK,
    ROLLED_BACK_DURING_COMMIT,
    1020, // record changed since it was read
    1021,
    1026,
    1030,
    1114, // disk or table full, write error, storage engine's error
    1037,
    1038,
    1041,
    1206,
    1637, // out of memory, locks or transactions
    1040,
    1203,
    1226,
    1461, // too many connections or statements
    1047,
    1053,
    3168, // node not ready, shutting down, not available
    1158,
    1159,
    1160,
    1161, // the server could not read from or write to us
    1180, // error during commit
    1290,
    1792,
    1836, // read-only, as after a failover
    1317,
    1927,
    1969,
    3024,
    4031, // interrupted, killed, timed out, disconnected
    1412,
    1615, // table changed underneath
];

/// Server errors about a row's values, which another row may not have: the row is set aside and the
/// others go on. An error that would meet every row alike (no such table or column, a column without
/// a default, no privilege) is none of these: setting aside would empty the journal into the dead
/// letters, and a person has to act anyway.
const OF_DATA: &[u16] = &[
    1048, // NULL where none is allowed, as from a trigger
    1062, 1586, // an index that somebody made unique
    1118, // a row too large for its page
    1216, 1217, 1451, 1452, // a foreign key
    1264, 1265, 1406, 1690, // out of range, cut, too long, or a sum that does not fit
    1292, 1300, 1366, 1411, 1441, 1916,
    1918, // a value or character that the column's type does not have
    1365, // division by zero in a generated column or trigger
    1526, 1748, // no partition for the row's time
    1644, // SIGNAL of a trigger
    3819, 4025, // a CHECK constraint: MySQL's number and MariaDB's
];

/// Why a statement, or a step between two, failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server answered with an error.
    #[error(transparent)]
    Server(ServerError),
    /// The connection could not be made, or broke.
    #[error("{}", tls::explain(.0))]
    Connection(Error),
    /// No answer came.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// COMMIT was sent, and failed.
    #[error("COMMIT: {0}")]
    Commit(Box<Failure>),
    /// A value that cannot be sent, or was not expected.
    #[error("{0}")]
    Value(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Server(error) => Self::Server(error),
            error => Self::Connection(error),
        }
    }
}

impl Failure {
    /// The server's error number, if it answered with one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Server(error) => Some(error.code),
            _ => None,
        }
    }

    /// Whether the server refused a row for what is in it.
    pub fn is_of_data(&self) -> bool {
        self.code().is_some_and(|code| OF_DATA.contains(&code))
    }

    /// Whether the server, or who stands before it, does not take prepared statements now.
    pub fn is_of_preparing(&self) -> bool {
        self.code().is_some_and(|code| UNPREPARED.contains(&code))
    }

    /// Whether the connection is as good as before. All but waits and deadlocks drop it: a
    /// reconnect is cheap, and the way out of a demoted primary.
    pub fn keeps_connection(&self) -> bool {
        matches!(self.code(), Some(LOCK_WAIT | DEADLOCK))
    }
}

impl From<Failure> for ErrorsFault {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        match failure {
            Failure::Server(error) if TRANSIENT.contains(&error.code) => Self::Transient(text),
            // the next try is text
            Failure::Server(error) if UNPREPARED.contains(&error.code) => Self::Transient(text),
            Failure::Server(_) | Failure::Value(_) => Self::Denied(text),
            Failure::Connection(error) => connection(&error, text),
            Failure::TimedOut(_) => Self::Transient(text),
            Failure::Commit(failure) => match failure.code() {
                Some(DEADLOCK | ROLLED_BACK_DURING_COMMIT) => Self::Transient(text),
                _ => Self::Unknown(text),
            },
        }
    }
}

fn connection(error: &Error, text: String) -> ErrorsFault {
    // certificates and their names stay wrong until somebody mends them
    if tls::is_lasting(error) {
        return ErrorsFault::Denied(text);
    }
    if tls::remedy(error).is_some() {
        return ErrorsFault::Transient(text);
    }
    match error {
        Error::Io(IoError::Io(_))
        | Error::Driver(
            DriverError::ConnectionClosed
            | DriverError::PacketOutOfOrder
            | DriverError::UnexpectedPacket { .. },
        ) => ErrorsFault::Transient(text),
        // a packet too large, an unknown plug-in, a wrong URL: the same next time
        _ => ErrorsFault::Denied(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16) -> Failure {
        Failure::Server(ServerError { code, message: String::new(), state: String::new() })
    }

    #[test]
    fn a_fault_says_what_is_certain() {
        for code in [1205, 1213, 1040, 1053, 1290, 1836] {
            assert!(matches!(server(code).into(), ErrorsFault::Transient(_)), "{code}");
        }
        for code in [1044, 1045, 1049, 1054, 1064, 1142, 1146, 1153, 1264, 1366, 1406, 1690] {
            assert!(matches!(server(code).into(), ErrorsFault::Denied(_)), "{code}");
        }
        let reset = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let broken = || Failure::from(Error::from(reset()));
        assert!(matches!(broken().into(), ErrorsFault::Transient(_)));
        let commit = |failure| ErrorsFault::from(Failure::Commit(Box::new(failure)));
        assert!(matches!(commit(broken()), ErrorsFault::Unknown(_)));
        assert!(matches!(commit(Failure::TimedOut(Duration::ZERO)), ErrorsFault::Unknown(_)));
        assert!(matches!(commit(server(1053)), ErrorsFault::Unknown(_)));
        assert!(matches!(commit(server(1213)), ErrorsFault::Transient(_)));
    }

    #[test]
    fn what_is_wrong_with_every_row_is_not_of_data() {
        for code in [1048, 1264, 1292, 1366, 1406, 1452, 1526, 1644, 1690, 3819, 4025] {
            assert!(server(code).is_of_data(), "{code}");
        }
        for code in [1044, 1054, 1064, 1142, 1146, 1153, 1205, 1213, 1290, 1364] {
            assert!(!server(code).is_of_data(), "{code}");
        }
        assert!(OF_DATA.iter().all(|code| !TRANSIENT.contains(code)));
        assert!(!Failure::Commit(Box::new(server(4025))).is_of_data());
    }

    #[test]
    fn only_certificates_deny_an_encrypted_connection() {
        use rustls::{AlertDescription, CertificateError, InvalidMessage};
        let fault = |error: rustls::Error| {
            let io = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
            ErrorsFault::from(Failure::from(Error::from(io)))
        };
        for denied in [
            rustls::Error::InvalidCertificate(CertificateError::Revoked),
            rustls::Error::NoCertificatesPresented,
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired),
        ] {
            assert!(matches!(fault(denied.clone()), ErrorsFault::Denied(_)), "{denied}");
        }
        for transient in [
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
            rustls::Error::AlertReceived(AlertDescription::InternalError),
            rustls::Error::HandshakeNotComplete,
        ] {
            assert!(matches!(fault(transient.clone()), ErrorsFault::Transient(_)), "{transient}");
        }
    }

    #[test]
    fn only_waits_keep_the_connection() {
        assert!(server(1205).keeps_connection() && server(1213).keeps_connection());
        assert!(!server(1290).keeps_connection());
        assert!(!Failure::TimedOut(Duration::ZERO).keeps_connection());
        assert!(!Failure::Commit(Box::new(server(1205))).keeps_connection());
    }
}
