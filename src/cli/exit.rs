//! Exit codes, after `sysexits.h`.

/// A setting is wrong.
pub const CONFIG: u8 = 78;
/// A store that is needed does not answer.
pub const UNAVAILABLE: u8 = 69;
/// A store's settings are weaker than asked, or wrong (`check`).
pub const WEAKER: u8 = 1;
/// The system refused something, such as the address to listen on.
pub const OS: u8 = 71;
/// The command line cannot be read.
pub const USAGE: u8 = 2;
