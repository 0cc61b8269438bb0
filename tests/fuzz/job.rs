//! Bytes as a job of the journal.
#![no_main]

mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::job(bytes));
