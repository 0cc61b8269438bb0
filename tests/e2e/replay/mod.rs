//! `errsift replay`: recorded logs into both stores, seen from outside.

mod cluster;
#[cfg(feature = "failpoints")]
mod crash;
mod exported;
mod forms;
mod live;
mod place;
mod settings;
mod stop;
mod text;
