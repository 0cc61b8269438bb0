//! How operators are connected.
pub mod ack;
pub mod conformance;
pub mod ports;
