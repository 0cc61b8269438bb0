//! The tables of errors in `MySQL` 8 or `MariaDB` 10.11 and later.
//!
//! Each writer and each reader owns one connection, made when first used and made anew after
//! anything that leaves its state in doubt. Nothing is retried in here: a fault says what is
//! certain, and the caller decides.
//!
//! Statements are text. Binary values and users' text stand in them as hex literals, so that no
//! byte of theirs can be read as SQL under any `sql_mode`, and a range needs no prepared
//! statement per number of rows.

mod check;
mod faults;
mod guards;
mod reader;
mod rows;
mod schema;
mod session;
mod writer;

use errsift_ops::id::Shard;
use errsift_pipeline::ports::errors::{Errors, ErrorsFault, ErrorsReader, ErrorsWriter};
use mysql_async::{Opts, OptsBuilder, UrlError};
use tokio::runtime::Handle;

use self::session::Session;
use crate::{
    check::Check,
    inspect::InspectGuards,
    migrated::Migrate,
    schema::{SchemaFault, SchemaVersion},
};

/// A `mysql://` URL that cannot be used. It never repeats the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum MysqlUrlFault {
    /// Not a URL of this kind.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Without a database.
    #[error("the URL names no database (mysql://user:password@host:3306/database)")]
    NoDatabase,
}

/// Errors in `MySQL`.
///
/// All methods block their thread: call them from threads of their own, never from a task. The
/// runtime must be a multi-threaded one with time and I/O enabled.
#[derive(Clone, Debug)]
pub struct MysqlErrors {
    opts: Opts,
    handle: Handle,
}

impl MysqlErrors {
    /// A store behind `url`; nothing is connected yet.
    pub fn new(url: &str, handle: Handle) -> Result<Self, MysqlUrlFault> {
        let opts = Opts::from_url(url)?;
        if opts.db_name().is_none_or(str::is_empty) {
            return Err(MysqlUrlFault::NoDatabase);
        }
        let opts = OptsBuilder::from_opts(opts)
            // the guard counts the rows that it matched, whether or not a value changed
            .client_found_rows(true)
            // a socket path reported by a server in a container is not ours
            .prefer_socket(Some(false))
            .tcp_keepalive(Some(session::KEEPALIVE))
            .into();
        Ok(Self { opts, handle })
    }

    /// The server as `host:port/database`, for people.
    pub fn address(&self) -> String {
        let (host, port) = (self.opts.ip_or_hostname(), self.opts.tcp_port());
        format!("{host}:{port}/{}", self.opts.db_name().unwrap_or_default())
    }

    /// The server's settings that durability and correctness depend on, judged.
    pub fn settings(&self) -> Result<Vec<Check>, ErrorsFault> {
        self.session().run(async |live| check::settings(live).await)
    }

    /// Reads the guard rows of `shard` from tables as they are.
    pub fn inspect(&self, shard: Shard) -> Box<dyn InspectGuards> {
        Box::new(guards::Inspector { session: self.session(), shard })
    }

    fn session(&self) -> Session {
        Session::new(self.opts.clone(), self.handle.clone())
    }
}

impl Errors for MysqlErrors {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(writer::Writer::new(self.session()))
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        Box::new(reader::Reader::new(self.session()))
    }
}

impl Migrate for MysqlErrors {
    /// Brings the schema up to this binary's version and checks what must never change. Two
    /// servers that start at once take turns. A schema that is newer, or was made with another
    /// number of parts, is refused.
    fn migrate(&self) -> Result<SchemaVersion, SchemaFault> {
        self.session().run(async |live| schema::migrate(live).await)?
    }
}
