//! The embedded store.

use std::{path::Path, sync::mpsc};

use bytes::Bytes;
use errsift::{
    embedded::{EmbeddedErrors, JournalFile},
    migrated::Migrate,
    schema::{SchemaFault, SchemaVersion},
};
use errsift_ops::id::{Epoch, Seq, Shard, Term};
use errsift_pipeline::{
    conformance::{
        self,
        errors::{claim, row},
        fingerprint,
        journal::{Store, acquire, commit, job},
    },
    ports::{
        errors::{Errors, ErrorsFault},
        journal::{Backlog, CommitFault, Journal},
    },
};
use rusqlite::Connection;
use tempfile::TempDir;

fn errors_in(dir: &TempDir) -> EmbeddedErrors {
    let errors = EmbeddedErrors::new(dir.path().join("errsift.db"));
    assert_eq!(errors.migrate().unwrap(), SchemaVersion(4));
    errors
}

fn journal_in(dir: &TempDir) -> JournalFile {
    let file = JournalFile::new(dir.path().join("errsift.journal.db"), Shard(7));
    assert_eq!(file.migrate().unwrap(), SchemaVersion(4));
    file
}

struct Fresh {
    file: JournalFile,
    _dir: TempDir,
}

impl Store for Fresh {
    fn journal(&self) -> Box<dyn Journal> {
        self.file.journal().unwrap()
    }

    fn backlog(&self) -> Box<dyn Backlog> {
        self.file.backlog()
    }
}

#[test]
fn embedded_tables_keep_the_contract() {
    let dir = TempDir::new().unwrap();
    let errors = errors_in(&dir);
    conformance::errors::every(&errors);
    let view = Connection::open(dir.path().join("errsift.db")).unwrap();
    let select = "SELECT message, count, first_seen, last_seen FROM errors WHERE fingerprint = ?1";
    let row: (String, u32, String, String) =
        view.query_row(select, [fingerprint(25, 1).to_string()], |row| row.try_into()).unwrap();
    let (first, last) = ("2023-11-14T22:13:20.001Z", "2023-11-14T22:13:20.999Z");
    assert_eq!(row, ("all".into(), 3, first.into(), last.into()));
}

#[test]
fn an_embedded_journal_keeps_the_contract() {
    conformance::journal::every(&|| {
        let dir = TempDir::new().unwrap();
        Box::new(Fresh { file: journal_in(&dir), _dir: dir })
    });
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let dir = TempDir::new().unwrap();
    {
        let mut journal = journal_in(&dir).journal().unwrap();
        let armed = acquire(&mut *journal, 1).armed;
        commit(&mut *journal, armed, 5, &job(1)).unwrap();
        let errors = errors_in(&dir);
        let rows = [row(fingerprint(1, 1), 3, 0, 0)];
        errors.writer().take_guards(&claim(1, 1)).unwrap();
        let mut writer = errors.writer();
        let applied = conformance::errors::apply(&mut *writer, &claim(1, 1), (0, 1), &rows);
        assert!(applied.is_whole());
    }
    let page = journal_in(&dir).backlog().page(Seq(1), 9).unwrap();
    assert_eq!((page.base, page.jobs), (Seq(1), vec![job(1)]));
    let read = errors_in(&dir).reader().read(Shard(1), &fingerprint(1, 1)).unwrap();
    assert_eq!((read.count, read.epoch), (3, Epoch(1)));
}

fn edit(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_schema_that_is_not_ours_is_refused() {
    let dir = TempDir::new().unwrap();
    let (errors, file) = (errors_in(&dir), journal_in(&dir));
    errors_in(&dir);
    let (tables, journal) = (dir.path().join("errsift.db"), dir.path().join("errsift.journal.db"));

    let other = JournalFile::new(&journal, Shard(8)).migrate();
    assert!(matches!(other, Err(SchemaFault::Setting { name: "shard", .. })), "{other:?}");
    edit(&tables, "UPDATE errsift_settings SET value = '32' WHERE name = 'parts'");
    let refused = errors.migrate().unwrap_err().to_string();
    assert!(refused.contains("parts=32") && refused.contains("parts=64"), "{refused}");
    for path in [&tables, &journal] {
        edit(path, "PRAGMA user_version = 99");
    }
    for (refused, known) in
        [(errors.migrate().unwrap_err(), "up to 4"), (file.migrate().unwrap_err(), "up to 4")]
    {
        let text = refused.to_string();
        assert!(text.contains("version 99") && text.contains(known), "{text}");
    }
}

/// Another process that sits on the files is waited for, and then it is a fault that says that
/// nothing was written.
#[test]
fn a_file_held_by_another_is_refused_in_time() {
    let dir = TempDir::new().unwrap();
    let (errors, file) = (errors_in(&dir), journal_in(&dir));
    let (mut writer, mut journal) = (errors.writer(), file.journal().unwrap());
    writer.take_guards(&claim(1, 1)).unwrap();
    let armed = acquire(&mut *journal, 1).armed;
    let holders = ["errsift.db", "errsift.journal.db"].map(|name| {
        let holder = Connection::open(dir.path().join(name)).unwrap();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        holder
    });
    let held = writer.insert_details(Shard(1), &[]);
    assert!(matches!(held, Err(ErrorsFault::Transient(_))), "{held:?}");
    let armed = match commit(&mut *journal, armed, 5, &Bytes::from("held")) {
        Err(CommitFault::Refused { armed: Some(armed), .. }) => armed,
        other => panic!("{other:?}"),
    };
    // what only looks is not held up: no fault, and the rows as they were
    assert!(writer.guards(Shard(1)).unwrap().iter().all(|guard| guard.term == Term(1)));
    assert_eq!(writer.settled(Shard(1)).unwrap().events(), 0);
    drop(holders);
    writer.insert_details(Shard(1), &[]).unwrap();
    commit(&mut *journal, armed, 5, &Bytes::from("free")).unwrap();
    assert_eq!(file.backlog().page(Seq(1), 9).unwrap().jobs, ["free"]);
}

/// A commit does not wait for a range that is being applied: they are in different files.
#[test]
fn applying_does_not_hold_up_commits() {
    let dir = TempDir::new().unwrap();
    let (errors, file) = (errors_in(&dir), journal_in(&dir));
    let mut journal = file.journal().unwrap();
    let armed = acquire(&mut *journal, 1).armed;
    let applying = Connection::open(dir.path().join("errsift.db")).unwrap();
    applying.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (done, ended) = mpsc::channel();
    let armed = commit(&mut *journal, armed, 5, &job(1)).unwrap();
    journal.rearm(Box::new(move |fence| done.send(fence).unwrap()));
    assert_eq!(&ended.recv().unwrap().unwrap(), armed.fence());
    assert_eq!(armed.fence().term, Term(1));
    // and readers see the last state while somebody writes
    assert_eq!(errors.reader().read(Shard(1), &fingerprint(1, 1)).unwrap().count, 0);
}

#[test]
fn embedded_tables_answer_questions() {
    let dir = TempDir::new().unwrap();
    crate::queries::every(&errors_in(&dir));
}

/// A file of the first version, with errors in it, is brought up to date.
#[test]
fn a_file_of_the_first_version_is_upgraded() {
    let dir = TempDir::new().unwrap();
    let errors = errors_in(&dir);
    crate::queries::fill(&errors);
    let path = dir.path().join("errsift.db");
    edit(
        &path,
        "DROP INDEX counts_by_count; DROP INDEX counts_by_last_seen; \
         DROP INDEX counts_by_first_seen; DROP INDEX details_by_service; \
         DROP INDEX details_by_level; DROP INDEX details_by_environment; \
         DROP INDEX details_by_message; ALTER TABLE error_details DROP COLUMN stored_at; \
         ALTER TABLE applied_epochs DROP COLUMN dropped; DROP TABLE replay_sources; \
         PRAGMA user_version = 1",
    );
    assert_eq!(errors.migrate().unwrap(), SchemaVersion(4));
    crate::queries::answers(&errors);
}
