//! What a failed statement means, by its code.

use errsift_pipeline::ports::errors::ErrorsFault;
use rusqlite::{Error, ErrorCode};

/// A statement before COMMIT failed: certainly not applied.
pub fn refused(error: &Error) -> ErrorsFault {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::SchemaChanged,
        ) => ErrorsFault::Transient(text),
        _ => ErrorsFault::Denied(text),
    }
}

/// Whether a row was refused for what is in it: a constraint, also one of a trigger, or a value that
/// its column does not take, such as a sum beyond 2^63. The statement is undone, and nothing else.
pub fn is_of_data(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
    )
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn only_what_is_in_a_row_is_of_data() {
        let of_data = |code| is_of_data(&Error::SqliteFailure(ffi::Error::new(code), None));
        for code in [ffi::SQLITE_CONSTRAINT_CHECK, ffi::SQLITE_CONSTRAINT_TRIGGER] {
            assert!(of_data(code), "{code}");
        }
        for code in [ffi::SQLITE_ERROR, ffi::SQLITE_FULL, ffi::SQLITE_READONLY] {
            assert!(!of_data(code), "{code}");
        }
    }

    #[test]
    fn a_fault_says_what_is_certain() {
        let fault = |code| refused(&Error::SqliteFailure(ffi::Error::new(code), None));
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_FULL, ffi::SQLITE_IOERR, ffi::SQLITE_CANTOPEN] {
            assert!(matches!(fault(code), ErrorsFault::Transient(_)), "{code}");
        }
        for code in
            [ffi::SQLITE_ERROR, ffi::SQLITE_CORRUPT, ffi::SQLITE_READONLY, ffi::SQLITE_TOOBIG]
        {
            assert!(matches!(fault(code), ErrorsFault::Denied(_)), "{code}");
        }
    }
}
