//! What fuzzing has found worth keeping, tried again; `tests/fuzz/run` looks for more.

use std::{fs, path::Path};

#[path = "../../tests/fuzz/properties.rs"]
mod properties;

fn replay(target: &str, property: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let mut files = 0;
    for entry in fs::read_dir(&corpus).expect("a corpus") {
        let path = entry.expect("a file of the corpus").path();
        property(&fs::read(&path).expect("a file of the corpus"));
        files += 1;
    }
    assert!(files > 10, "{} files in {}", files, corpus.display());
}

#[test]
fn jobs() {
    replay("job", properties::job);
}

#[test]
fn events() {
    replay("event", properties::event);
}
