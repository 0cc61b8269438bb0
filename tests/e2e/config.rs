//! Where settings come from, which holds, and what is said about them.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::command::run;

const COMMITTED: &str = include_str!("../../docs/configuration.md");

fn written(dir: &TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    fs::write(&path, text).expect("a temporary file");
    path.display().to_string()
}

/// The line of a setting, with single spaces.
fn line(listing: &str, key: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = listing.lines().map(words);
    lines.find(|line| line.starts_with(&format!("{key} = "))).unwrap_or_default()
}

#[test]
fn a_flag_beats_a_variable_which_beats_the_file() {
    let dir = TempDir::new().expect("no temporary directory");
    let file = written(&dir, "my.toml", "workers = 4\nshard = 4\ndata = \"4.db\"\n");
    let environment =
        [("ERRSIFT_CONFIG", file.as_str()), ("ERRSIFT_WORKERS", "3"), ("ERRSIFT_SHARD", "3")];
    let shown = run(&["config", "--workers", "2"], &environment);
    shown.assert_says(0, &[]);
    assert_eq!(line(&shown.stdout, "workers"), "workers = 2 flag");
    assert_eq!(line(&shown.stdout, "shard"), "shard = 3 ERRSIFT_SHARD");
    assert_eq!(line(&shown.stdout, "data"), format!("data = \"4.db\" {file}:3"));
    assert_eq!(line(&shown.stdout, "flush-interval"), "flush-interval = \"30s\" default");
    assert_eq!(line(&shown.stdout, "config"), format!("config = {file:?} ERRSIFT_CONFIG"));
}

#[test]
fn a_wrong_variable_does_no_harm_beside_a_flag() {
    let wrong = [("ERRSIFT_DURABILITY", "nope"), ("ERRSIFT_WORKERS", "0")];
    run(&["check", "--durability", "fsync"], &wrong).assert_says(0, &["embedded"]);
    run(&["check", "--workers", "2"], &[]).assert_says(2, &["unexpected argument '--workers'"]);
}

#[test]
fn three_wrong_settings_in_three_places_are_three_lines() {
    let dir = TempDir::new().expect("no temporary directory");
    let file = written(&dir, "my.toml", "# mine\nflush-interval = \"0s\"\n");
    let flags = ["--config", &file, "--workers", "0"];
    let refused = run(&flags, &[("ERRSIFT_SHARD", "99999")]);
    refused.assert_says(78, &[]);
    let lines: Vec<&str> = refused.stderr.lines().collect();
    let interval = format!("errsift: --flush-interval \"0s\" ({file}:2): expected a time");
    assert_eq!(lines.len(), 3, "{refused:?}");
    assert!(lines[0].starts_with(&interval), "{refused:?}");
    assert_eq!(lines[1], "errsift: --workers \"0\" (flag): expected a number from 1 to 64");
    assert!(lines[2].contains("--shard \"99999\" (ERRSIFT_SHARD): expected a number from 0"));

    let misspelt = written(&dir, "misspelt.toml", "flush_intervall = \"1s\"\n");
    let environment = [("ERRSIFT_LOG", "verbose"), ("ERRSIFT_MYSQL_URL", "mysql://root@h/db")];
    let refused = run(&["serve", "--config", &misspelt], &environment);
    let near =
        "misspelt.toml:1: \"flush_intervall\" is no setting, did you mean \"flush-interval\"?";
    let words =
        [near, "--log \"verbose\" (ERRSIFT_LOG): expected error, warn", "--redis-url: needed"];
    refused.assert_says(78, &words);
    run(&["--workers", "0", "--shard", "x"], &[]).assert_says(2, &["--workers", "--shard"]);
}

#[test]
fn secrets_come_from_files_and_are_masked() {
    let dir = TempDir::new().expect("no temporary directory");
    let url = written(&dir, "url", "redis://user:s3cret@127.0.0.1:1\n");
    let variables = [("ERRSIFT_REDIS_URL_FILE", url.as_str()), ("ERRSIFT_MYSQL_URL", "s3cret")];
    let shown = run(&["config"], &variables);
    shown.assert_says(
        78,
        &["--mysql-url: ", "\"redis://user:***@127.0.0.1:1\"", "ERRSIFT_REDIS_URL_FILE"],
    );
    assert_eq!(line(&shown.stdout, "mysql-url"), "mysql-url = \"***\" ERRSIFT_MYSQL_URL");
    let refused = run(&["serve"], &variables);
    refused.assert_says(78, &["--mysql-url"]);
    let both = [variables[0], ("ERRSIFT_REDIS_URL", "redis://:s3cret@h")];
    let twice = run(&["check"], &both);
    twice
        .assert_says(78, &["--redis-url (ERRSIFT_REDIS_URL_FILE): ERRSIFT_REDIS_URL is given too"]);
    let typed = run(&["check", "redis://:s3cret@h"], &[]);
    typed.assert_says(2, &["unexpected argument", "***"]);
    for ended in [shown, refused, twice, typed] {
        assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
    }
    let gone = run(&["serve"], &[("ERRSIFT_REDIS_URL_FILE", "/nowhere/at/all")]);
    gone.assert_says(
        78,
        &["--redis-url \"/nowhere/at/all\" (ERRSIFT_REDIS_URL_FILE): cannot be read"],
    );
}

#[test]
fn the_example_loads_and_changes_nothing() {
    let example = run(&["config", "--example"], &[("ERRSIFT_WORKERS", "0")]);
    example.assert_says(0, &["#flush-interval = \"30s\"", "100ms to 1h"]);
    let dir = TempDir::new().expect("no temporary directory");
    let file = written(&dir, "example.toml", &example.stdout);
    let with = run(&["config", "--config", &file], &[]);
    with.assert_says(0, &["default"]);
    let without = run(&["config"], &[]);
    let rest = |listing: &str| {
        listing
            .lines()
            .filter(|line| !line.starts_with("config"))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    assert_eq!(rest(&with.stdout), rest(&without.stdout));
    // each default may also stand there
    let placeholders = ["\"URL\"", "\"FILE\"", "\"ADDRESS\"", "\"KEY\""];
    let stands = |line: &&str| {
        line.starts_with('#')
            && !line.starts_with("# ")
            && !placeholders.iter().any(|name| line.ends_with(name))
    };
    let set: Vec<&str> = example.stdout.lines().filter(stands).map(|line| &line[1..]).collect();
    assert!(set.len() >= 8, "{set:?}");
    let file = written(&dir, "set.toml", &set.join("\n"));
    run(&["config", "--config", &file], &[]).assert_says(0, &["set.toml:1"]);
}

#[test]
fn the_reference_is_the_committed_one() {
    let reference = run(&["config", "--reference"], &[]);
    reference.assert_says(0, &["ERRSIFT_FLUSH_INTERVAL", "_FILE", "errsift.toml"]);
    let remedy = "run: cargo run -- config --reference > docs/configuration.md";
    assert!(reference.stdout == COMMITTED, "docs/configuration.md is not of this code; {remedy}");
}

#[test]
fn shells_and_man_know_the_flags() {
    for shell in ["bash", "zsh", "fish"] {
        run(&["completions", shell], &[]).assert_says(0, &["flush-interval", "check"]);
    }
    run(&["completions", "tcl"], &[]).assert_says(2, &["bash", "zsh"]);
    run(&["man"], &[]).assert_says(0, &[".TH errsift", "flush\\-interval", "ERRSIFT_WORKERS"]);
    let dir = TempDir::new().expect("no temporary directory");
    run(&["man", &dir.path().display().to_string()], &[]).assert_says(0, &[]);
    let page = |name: &str| fs::read_to_string(dir.path().join(name)).expect(name);
    assert!(page("errsift-serve.1").contains("flush\\-interval"));
    assert!(!page("errsift-check.1").contains("flush\\-interval"));
    assert!(Path::new(&dir.path().join("errsift.1")).exists());
    run(&["man", "/dev/null/x"], &[]).assert_says(71, &["/dev/null/x"]);
}

#[test]
fn help_shows_what_a_command_uses() {
    let serve = run(&["serve", "--help"], &[]);
    serve.assert_says(0, &["--workers", "[env: ERRSIFT_WORKERS]", "[default: 1]", "--log"]);
    let check = run(&["check", "--help"], &[]);
    check.assert_says(0, &["--durability", "replicated", "--config"]);
    for ended in [check, run(&["man", "--help"], &[])] {
        assert!(!ended.stdout.contains("--workers"), "{ended:?}");
    }
}
