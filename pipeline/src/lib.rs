//! How operators are connected.
pub mod ack;
pub mod ports;
