//! The tables of errors in `MySQL` 8 or `MariaDB` 10.11 and later.
//!
//! Each writer and each reader owns one connection, made when first used and made anew after
//! anything that leaves its state in doubt. Nothing is retried in here: a fault says what is
//! certain, and the caller decides.
//!
//! Statements are text, but for [rows that `MariaDB` takes many of at once](bulk). Binary values and
//! users' text stand in them as hex literals, so that no
//! byte of theirs can be read as SQL under any `sql_mode`, and a range needs no prepared
//! statement per number of rows.

mod address;
mod bulk;
mod check;
mod dead;
mod export;
mod faults;
mod guards;
mod privileges;
mod queries;
mod reader;
mod rows;
mod schema;
mod select;
mod session;
mod set_aside;
mod sources;
mod writer;

use std::{panic::resume_unwind, thread};

use errsift_ops::{id::Shard, timestamp::Timestamp};
use errsift_pipeline::ports::errors::{Errors, ErrorsFault, ErrorsReader, ErrorsWriter};
use mysql_async::{Opts, OptsBuilder};
use tokio::runtime::Handle;

pub use self::address::MysqlUrlFault;
use self::{
    faults::Failure,
    session::{Live, Session},
};
use crate::{
    check::{Check, Demand},
    dead::DeadRows,
    export::ExportRows,
    inspect::InspectGuards,
    migrated::Migrate,
    query::Queries,
    replay::sources::Sources,
    schema::{SchemaFault, SchemaVersion, Stand},
    tls::Tls,
};

/// Errors in `MySQL`.
///
/// All methods block their thread: call them from threads of their own, never from a task. The
/// runtime must be a multi-threaded one with time and I/O enabled.
#[derive(Clone, Debug)]
pub struct MysqlErrors {
    opts: Opts,
    demand: Option<Demand>,
    is_text: bool,
    handle: Handle,
}

impl MysqlErrors {
    /// A store behind `url`; nothing is connected yet, and nothing asked of its settings.
    pub fn new(url: &str, handle: Handle) -> Result<Self, MysqlUrlFault> {
        let opts = OptsBuilder::from_opts(address::opts(url)?)
            // the guard counts the rows that it matched, whether or not a value changed
            .client_found_rows(true)
            // a socket path reported by a server in a container is not ours
            .prefer_socket(Some(false))
            .tcp_keepalive(Some(session::KEEPALIVE))
            .into();
        Ok(Self { opts, demand: None, is_text: false, handle })
    }

    /// The same, refusing each connection to a server whose settings are not as asked.
    #[must_use]
    pub fn demanding(self, demand: Demand) -> Self {
        Self { demand: Some(demand), ..self }
    }

    /// The same, writing rows as text to whatever server, as to those that are not `MariaDB`.
    #[must_use]
    pub fn in_text(self) -> Self {
        Self { is_text: true, ..self }
    }

    /// The same, trusting whom `tls` says and showing its certificate, if it is encrypted.
    #[must_use]
    pub fn trusting(self, tls: &Tls) -> Self {
        Self { opts: address::trusting(self.opts, tls), ..self }
    }

    /// Whether the URL asks for TLS.
    pub fn is_encrypted(&self) -> bool {
        self.opts.ssl_opts().is_some()
    }

    /// The server as `host:port/database`, for people.
    pub fn address(&self) -> String {
        let (host, port) = (self.opts.ip_or_hostname(), self.opts.tcp_port());
        format!("{host}:{port}/{}", self.opts.db_name().unwrap_or_default())
    }

    /// The server's settings that durability and correctness depend on, judged.
    pub fn settings(&self) -> Result<Vec<Check>, ErrorsFault> {
        let durability = self.demand.map(|demand| demand.durability).unwrap_or_default();
        self.session(None).run(async |live| check::settings(live, durability).await)
    }

    /// All that can be said of the server: its settings, privileges, schema and clock, judged at
    /// the moment `now`.
    pub fn check(&self, now: Timestamp) -> Result<Vec<Check>, ErrorsFault> {
        let durability = self.demand.map(|demand| demand.durability).unwrap_or_default();
        self.session(None).run(async |live| check::all(live, durability, now).await)
    }

    /// Reads the guard rows of `shard` from tables as they are.
    pub fn inspect(&self, shard: Shard) -> Box<dyn InspectGuards> {
        Box::new(guards::Inspector { session: self.session(None), shard })
    }

    /// The dead letters of `shard`, in tables as they are.
    pub fn dead_rows(&self, shard: Shard) -> Box<dyn DeadRows> {
        Box::new(dead::Letters { session: self.session(None), shard })
    }

    /// All rows of tables as they are.
    pub fn export(&self) -> Box<dyn ExportRows> {
        Box::new(export::Export { session: self.session(None) })
    }

    /// The recorded logs that the tables know, in tables that are up to date.
    pub fn sources(&self) -> Box<dyn Sources> {
        Box::new(sources::KnownSources { session: self.session(self.demand) })
    }

    /// Does something with the schema, if the user has the privileges that errsift takes.
    fn entitled<T>(
        &self,
        work: impl AsyncFnOnce(&mut Live) -> Result<Result<T, SchemaFault>, Failure>,
    ) -> Result<T, SchemaFault> {
        self.session(self.demand).run(async |live| {
            if let Err(fault) = privileges::demand(live).await? {
                return Ok(Err(fault));
            }
            work(live).await
        })?
    }

    fn session(&self, demand: Option<Demand>) -> Session {
        Session::new(self.opts.clone(), demand, self.is_text, self.handle.clone())
    }
}

impl Errors for MysqlErrors {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(writer::Writer::new(self.session(self.demand)))
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        Box::new(reader::Reader::new(self.session(self.demand)))
    }
}

impl Migrate for MysqlErrors {
    /// Brings the schema up to this binary's version and checks what must never change. Two
    /// servers that start at once take turns. A schema that is newer, or was made with another
    /// number of parts, is refused; a user without the privileges that it takes also.
    fn migrate(&self) -> Result<SchemaVersion, SchemaFault> {
        self.entitled(schema::migrate)
    }

    fn begin(&self) -> Result<Stand, SchemaFault> {
        self.session(self.demand).run(schema::begin)?
    }

    fn complete(&self) -> Result<SchemaVersion, SchemaFault> {
        let build = |session: &mut Session, indexes| {
            session.run(async |live| schema::build(live, indexes).await)
        };
        let (mut first, mut second) = (self.session(self.demand), self.session(self.demand));
        // two tables, side by side
        thread::scope(|scope| {
            let words = scope.spawn(|| build(&mut second, schema::DETAILS_INDEXES));
            let counts = build(&mut first, schema::COUNTS_INDEXES);
            words.join().unwrap_or_else(|panic| resume_unwind(panic)).and(counts)
        })?;
        // it may have waited for the second for longer than the server keeps who is idle
        first.run(schema::complete).or_else(|_lost| first.run(schema::complete))?
    }

    fn look(&self) -> Result<Stand, SchemaFault> {
        self.entitled(schema::look)
    }

    fn queries(&self) -> Box<dyn Queries> {
        Box::new(queries::MysqlQueries::new(self.session(self.demand)))
    }
}
