//! Exit codes, after `sysexits.h`.

/// A setting is wrong.
pub const CONFIG: u8 = 78;
/// A store that is needed does not answer.
pub const UNAVAILABLE: u8 = 69;
/// A store's settings are weaker than asked, or wrong (`check`).
pub const WEAKER: u8 = 1;
/// What was asked for is not there, or what was verified is not as it should be.
pub const NOT_SO: u8 = 1;
/// The server does not take what was asked.
pub const REFUSED: u8 = 64;
/// The server's answer cannot be read.
pub const PROTOCOL: u8 = 76;
/// Input, or a job, cannot be read.
pub const DATA: u8 = 65;
/// A file of input cannot be opened.
pub const NO_INPUT: u8 = 66;
/// Reading or writing failed.
pub const IO: u8 = 74;
/// The server refuses the key, or wants one.
pub const NO_PERMISSION: u8 = 77;
/// A thread panicked, the pipeline is stuck, or a store broke its own transaction.
pub const BROKEN: u8 = 70;
/// The system refused something, such as the address to listen on.
pub const OS: u8 = 71;
/// Told to stop, but not drained: the journal holds the rest. The first number behind `sysexits.h`.
pub const UNDRAINED: u8 = 79;
/// The command line cannot be read.
pub const USAGE: u8 = 2;
