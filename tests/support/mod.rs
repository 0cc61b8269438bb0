//! What the integration tests stand on: real servers as child processes, each in a directory and
//! on a port of its own, killed by pid when the test lets go of them. No test needs a server that
//! runs already, and none touches one that does.
#![allow(dead_code, reason = "every test file compiles this module and uses its own part of it")]
#![allow(clippy::disallowed_methods, reason = "tests wait for real servers, by the real clock")]

pub mod certificates;
pub mod client;
pub mod errsift;
pub mod gate;
pub mod loghub;
pub mod mariadb;
pub mod mortal;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod random;
pub mod redis;
pub mod sentinel;
