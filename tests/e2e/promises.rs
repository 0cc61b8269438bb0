//! Each promise of the README has a row in the documentation that names the tests which show it.

use std::{fs, path::Path};

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The first cell and the rest of each row below a heading.
fn rows(page: &str, heading: &str) -> Vec<(String, String)> {
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).expect("a heading");
    let section = section.split("\n## ").next().unwrap_or(section);
    let lines = section.lines().filter_map(|line| line.strip_prefix("| "));
    let rows = lines.filter_map(|line| line.split_once(" | ")).skip(1);
    rows.map(|(fault, rest)| (fault.to_owned(), rest.to_owned())).collect()
}

/// What stands in code quotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_promise_names_tests_that_exist() {
    let promised = rows(&read("README.md"), "What is promised");
    let shown = rows(&read("docs/exactness.md"), "What is tried where");
    let faults = |rows: &[(String, String)]| -> Vec<String> {
        rows.iter().map(|(fault, _)| fault.clone()).collect()
    };
    assert_eq!(faults(&promised), faults(&shown));
    assert!(shown.len() > 20, "{} rows", shown.len());
    for (fault, tests) in &shown {
        let (mut source, mut named) = (String::new(), 0);
        for name in quoted(tests) {
            if name.contains('/') {
                source = read(name);
                continue;
            }
            // a property's test is a function within a macro, and indented
            let is_there = source.contains(&format!("fn {name}("));
            assert!(is_there, "{name}, which shows \u{201c}{fault}\u{201d}, is not there");
            named += 1;
        }
        assert!(named > 0, "nothing shows \u{201c}{fault}\u{201d}");
    }
}
