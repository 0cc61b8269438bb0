//! The process: adapters to the outside around the pipeline.
pub mod embedded;
pub mod mysql;
pub mod schema;
pub mod tags;
mod totals;
