//! The stores in memory, held to the contract that every store is held to.

use errsift_pipeline::{
    conformance::{self, journal::Store},
    memory::{MemoryErrors, MemoryJournal},
    ports::journal::{Backlog, Journal},
};

struct Fresh(MemoryJournal);

impl Store for Fresh {
    fn journal(&self) -> Box<dyn Journal> {
        Box::new(self.0.clone())
    }

    fn backlog(&self) -> Box<dyn Backlog> {
        Box::new(self.0.clone())
    }
}

#[test]
fn memory_journal_keeps_the_contract() {
    conformance::journal::every(&|| Box::new(Fresh(MemoryJournal::default())));
}

#[test]
fn memory_tables_keep_the_contract() {
    conformance::errors::every(&MemoryErrors::default());
}

#[test]
fn memory_tables_set_aside_what_they_refuse() {
    let errors = MemoryErrors::default();
    conformance::dead::every(&errors, &|fingerprint| errors.refuse(fingerprint));
}
