//! Which stores are used, and opening them.

use std::{path::Path, sync::Arc};

use errsift_ops::{id::Shard, timestamp::Timestamp};
use errsift_pipeline::{
    ports::{
        errors::{Errors, ErrorsFault},
        journal::{Backlog, Journal, JournalFault},
    },
    start::Stores,
};
use tokio::runtime::Handle;

use crate::{
    check::{Check, Demand, Verdict},
    dead::DeadRows,
    durability::Durability,
    embedded::{EmbeddedErrors, JournalFile},
    export::ExportRows,
    inspect::{InspectGuards, InspectJournal},
    migrated::Migrated,
    mysql::MysqlErrors,
    query::Queries,
    redis::RedisStore,
    schema::SchemaFault,
    settings::{StoreSettings, TlsSettings},
    tls::Tls,
};

/// Settings that cannot be used, all of them, each line naming one.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct WrongSettings(pub Vec<String>);

/// The stores that a process uses; handles are made from it.
pub enum Backend {
    /// Redis for the journal, `MySQL` for the tables.
    Servers {
        /// The journal's server.
        journal: RedisStore,
        /// The tables' server.
        errors: Migrated<MysqlErrors>,
        /// That server, for people.
        errors_address: String,
    },
    /// Two files.
    Embedded {
        /// The journal's file.
        journal: JournalFile,
        /// The tables' file.
        errors: Migrated<EmbeddedErrors>,
        /// The tables' path, for people.
        path: String,
    },
}

impl Backend {
    /// Chooses by the settings; connects nothing and makes no file yet.
    pub fn new(settings: &StoreSettings, handle: &Handle) -> Result<Self, WrongSettings> {
        let shard = Shard(settings.shard);
        let (redis, mysql) = match (&settings.redis_url, &settings.mysql_url) {
            (Some(redis), Some(mysql)) => (redis, mysql),
            (None, None) => return Self::embedded(settings, shard),
            (Some(_), None) => {
                let missing = "--mysql-url: needed when --redis-url is given";
                return Err(WrongSettings(vec![missing.to_owned()]));
            }
            (None, Some(_)) => {
                let missing = "--redis-url: needed when --mysql-url is given";
                return Err(WrongSettings(vec![missing.to_owned()]));
            }
        };
        let tls = Tls::read(&settings.tls);
        let trusted = tls.as_ref().ok().cloned().unwrap_or_default();
        let StoreSettings { durability, allow_weaker, .. } = *settings;
        let journal = RedisStore::new(redis, shard, durability, allow_weaker)
            .and_then(|journal| journal.trusting(&trusted))
            .map_err(|reason| format!("--redis-url: {reason}"));
        let errors = MysqlErrors::new(mysql, handle.clone())
            .map(|errors| errors.trusting(&trusted).demanding(Demand { durability, allow_weaker }))
            .map_err(|reason| format!("--mysql-url: {reason}"));
        match (journal, errors, tls) {
            (Ok(journal), Ok(errors), Ok(_)) => {
                if !journal.is_encrypted() && !errors.is_encrypted() {
                    refuse_tls(&settings.tls, "neither URL has rediss:// or ?ssl-mode=")?;
                }
                let errors_address = errors.address();
                Ok(Self::Servers { journal, errors: Migrated::new(errors), errors_address })
            }
            (journal, errors, tls) => {
                let mut wrong: Vec<_> = journal.err().into_iter().chain(errors.err()).collect();
                wrong.extend(tls.err().into_iter().flatten());
                Err(WrongSettings(wrong))
            }
        }
    }

    fn embedded(settings: &StoreSettings, shard: Shard) -> Result<Self, WrongSettings> {
        if settings.durability == Durability::Replicated {
            let wrong = "--durability: replicated needs --redis-url; the embedded store has fsync";
            return Err(WrongSettings(vec![wrong.to_owned()]));
        }
        refuse_tls(
            &settings.tls,
            "neither --redis-url nor --mysql-url is given, and the embedded store has no connections",
        )?;
        let path = &settings.data;
        Ok(Self::Embedded {
            journal: JournalFile::new(beside(path), shard),
            errors: Migrated::new(EmbeddedErrors::new(path)),
            path: path.display().to_string(),
        })
    }

    /// Makes the schema, or begins to bring it up to date. One that this binary must not touch is
    /// an error; tables that do not answer, or are not ready yet, are not.
    pub fn migrate(&self) -> Result<(), SchemaFault> {
        let migrated = match self {
            Self::Servers { errors, .. } => errors.migrate(),
            Self::Embedded { journal, errors, path } => {
                let checks = crate::embedded::check(Path::new(path), &beside(Path::new(path)));
                if let Some(wrong) = checks.iter().find(|check| check.verdict == Verdict::Wrong) {
                    return Err(SchemaFault::Denied { line: wrong.line("embedded") });
                }
                journal.migrate()?;
                return errors.migrate();
            }
        };
        match migrated {
            Err(SchemaFault::Underway) => Ok(()),
            Err(
                fault @ (SchemaFault::Store(ErrorsFault::Transient(_)) | SchemaFault::Busy { .. }),
            ) => {
                tracing::warn!(%fault, "schema not checked yet");
                Ok(())
            }
            other => other,
        }
    }

    /// Handles for the pipeline.
    pub fn open(&self) -> Result<Stores, JournalFault> {
        let journal: Box<dyn Journal> = match self {
            Self::Servers { journal, .. } => Box::new(journal.journal()),
            Self::Embedded { journal, .. } => journal.journal().map_err(JournalFault::new)?,
        };
        Ok(Stores { journal, backlog: self.backlog(), errors: self.errors() })
    }

    /// A reading end of the journal.
    pub fn backlog(&self) -> Box<dyn Backlog> {
        match self {
            Self::Servers { journal, .. } => Box::new(journal.backlog()),
            Self::Embedded { journal, .. } => journal.backlog(),
        }
    }

    /// The tables.
    pub fn errors(&self) -> Arc<dyn Errors> {
        match self {
            Self::Servers { errors, .. } => Arc::new(errors.clone()),
            Self::Embedded { errors, .. } => Arc::new(errors.clone()),
        }
    }

    /// A handle that asks the tables.
    pub fn queries(&self) -> Result<Box<dyn Queries>, ErrorsFault> {
        match self {
            Self::Servers { errors, .. } => errors.queries(),
            Self::Embedded { errors, .. } => errors.queries(),
        }
    }

    /// The journal and its guard rows, to be looked at beside a running server.
    pub fn inspect(&self, shard: Shard) -> (Box<dyn InspectJournal>, Box<dyn InspectGuards>) {
        match self {
            Self::Servers { journal, errors, .. } => {
                (Box::new(journal.backlog()), errors.store().inspect(shard))
            }
            Self::Embedded { journal, errors, .. } => {
                (journal.inspect(), errors.store().inspect(shard))
            }
        }
    }

    /// The dead letters in the tables, to be looked at and redriven beside a running server.
    pub fn dead_rows(&self, shard: Shard) -> Box<dyn DeadRows> {
        match self {
            Self::Servers { errors, .. } => errors.store().dead_rows(shard),
            Self::Embedded { errors, .. } => errors.store().dead_rows(shard),
        }
    }

    /// All rows of the tables, to be read beside a running server.
    pub fn export(&self) -> Box<dyn ExportRows> {
        match self {
            Self::Servers { errors, .. } => errors.store().export(),
            Self::Embedded { errors, .. } => errors.store().export(),
        }
    }

    /// Journal and tables, in a few words for people, without secrets.
    pub fn describe(&self) -> (String, String) {
        match self {
            Self::Servers { journal, errors_address, .. } => {
                (format!("redis at {}", journal.address()), format!("mysql at {errors_address}"))
            }
            Self::Embedded { path, .. } => {
                let journal = beside(Path::new(path)).display().to_string();
                (format!("embedded in {journal}"), format!("embedded in {path}"))
            }
        }
    }

    /// Leaves the embedded store's files complete by themselves, when the pipeline has ended.
    pub fn settle(&self) {
        let Self::Embedded { path, .. } = self else { return };
        let path = Path::new(path);
        for file in [path.to_owned(), beside(path)] {
            if let Err(fault) = crate::embedded::settle(&file) {
                tracing::warn!(file = %file.display(), %fault, "the log beside the file stays");
            }
        }
    }

    /// What people set on the servers and durability depends on, judged. Blocks; empty for a store
    /// that does not answer.
    pub fn settings(&self) -> Vec<Check> {
        match self {
            Self::Servers { journal, errors, .. } => {
                let mut checks = crate::redis::settings(journal).unwrap_or_default();
                checks.extend(errors.store().settings().unwrap_or_default());
                checks
            }
            Self::Embedded { .. } => Vec::new(),
        }
    }

    /// The settings of both stores that matter; an `Err` says which store does not answer.
    pub fn check(&self, now: Timestamp) -> Vec<(&'static str, Result<Vec<Check>, String>)> {
        match self {
            Self::Servers { journal, errors, .. } => vec![
                ("redis", crate::redis::check(journal).map_err(|fault| fault.to_string())),
                ("mysql", errors.store().check(now).map_err(|fault| fault.to_string())),
            ],
            Self::Embedded { path, .. } => {
                let (errors, journal) = (Path::new(path), beside(Path::new(path)));
                vec![("embedded", Ok(crate::embedded::check(errors, &journal)))]
            }
        }
    }
}

/// A certificate that nothing would use was meant to do something.
fn refuse_tls(settings: &TlsSettings, reason: &str) -> Result<(), WrongSettings> {
    let TlsSettings { tls_ca, tls_cert, tls_key } = settings;
    let given = [("--tls-ca", tls_ca), ("--tls-cert", tls_cert), ("--tls-key", tls_key)];
    let wrong: Vec<_> = given
        .into_iter()
        .filter(|(_, file)| file.is_some())
        .map(|(name, _)| format!("{name}: without use, {reason}"))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(WrongSettings(wrong)) }
}

/// The journal's file for the tables' file `path`: `errsift.db` has `errsift.journal.db`.
fn beside(path: &Path) -> std::path::PathBuf {
    let extension = path.extension().map_or_else(String::new, |e| format!(".{}", e.display()));
    path.with_extension(format!("journal{extension}"))
}
