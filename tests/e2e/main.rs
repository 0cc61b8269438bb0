//! The whole server over its real stores, seen only from outside: HTTP, signals, exit codes, and
//! the tables read with plain SQL. Nothing here uses errsift's own crates, so a mistake in them
//! cannot be in the expectation as well. Each test has servers of its own.
#![expect(clippy::disallowed_methods, reason = "tests wait for real servers, by the real clock")]

mod again;
mod ask;
mod away;
mod batch;
mod check;
mod claims;
mod command;
mod config;
#[cfg(feature = "failpoints")]
mod crash;
mod dashboards;
mod dead;
mod deadly;
mod drain;
mod export;
mod exporters;
mod failover;
mod fingerprint;
mod heal;
mod hostile;
mod http;
mod https;
mod journal;
mod kill;
mod lists;
mod live;
mod load;
mod locked;
mod loghub;
mod metrics;
mod openapi;
mod outage;
mod panels;
mod poison;
mod prometheus;
mod promises;
mod proxy;
mod redriven;
mod refuse;
mod replay;
mod secrets;
mod sentinel;
mod soak;
mod stack;
mod stub;
#[path = "../support/mod.rs"]
mod support;
mod surface;
mod tables;
mod tls;
mod upgrade;
mod wait;
