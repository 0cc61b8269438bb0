//! The same events, however they are written, packed and handed over.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use flate2::{Compression, write::GzEncoder};

use super::place::{Place, SMALL, assert_same, log, summary};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Several members, as rotated logs that were put together have.
fn packed(lines: &str) -> Vec<u8> {
    let middle = lines.floor_char_boundary(lines.len() / 2);
    [gzip(&lines.as_bytes()[..middle]), gzip(&lines.as_bytes()[middle..])].concat()
}

fn array(lines: &str) -> String {
    format!("[\n{}\n]\n", lines.trim_end().replace('\n', " ,\n"))
}

#[test]
fn logs_are_the_same_packed_and_piped() {
    let lines = log(3_000, 150);
    let expected = Place::embedded();
    expected.replay(&[&expected.write("log", &lines)]).assert_says(0, &["3000 counted"]);
    let expected = expected.tables(None);

    let place = Place::embedded();
    let packed = place.write("log.gz", packed(&lines));
    assert_eq!(place.summary(0, &[&SMALL[..], &[packed.as_str()]].concat())["events"], 3_000);
    assert_same(&place.tables(None), &expected);
    // known by what is in it
    let plain = place.write("log", &lines);
    assert_eq!(place.summary(0, &[&plain])["events"], 0);
    let piped = place.replay_input(lines.as_bytes(), &["--json", "-"]);
    assert_eq!(summary(&piped, 0)["events"], 0);
    assert_same(&place.tables(None), &expected);

    let place = Place::embedded();
    let piped = [&SMALL[..], &["--json", "-"]].concat();
    let piped = place.replay_input(lines.as_bytes(), &piped);
    assert_eq!(summary(&piped, 0)["events"], 3_000);
    assert_same(&place.tables(None), &expected);

    let place = Place::embedded();
    let array = place.write("log.json", array(&lines));
    assert_eq!(place.summary(0, &[&SMALL[..], &[array.as_str()]].concat())["events"], 3_000);
    assert_same(&place.tables(None), &expected);
    assert_eq!(place.summary(0, &[&array])["events"], 0);
}

#[test]
fn zstd_is_unpacked() {
    let lines = log(500, 50);
    let place = Place::embedded();
    let plain = place.write("plain", &lines);
    let packed = Command::new("zstd").args(["-q", "-c", &plain]).stderr(Stdio::null()).output();
    let Ok(packed) = packed else {
        eprintln!("SKIPPED: there is no zstd to pack with");
        return;
    };
    let packed = place.write("log.zst", packed.stdout);
    assert_eq!(place.summary(0, &[&packed])["events"], 500);
    assert_eq!(place.summary(0, &[&plain])["events"], 0);
}

#[test]
fn directories_and_patterns_are_replayed_in_order() {
    let lines = log(30, 30);
    let place = Place::embedded();
    fs::create_dir_all(place.path("logs/deep")).expect("a directory");
    for (name, from) in [("logs/a.log", 0), ("logs/deep/b.log", 10), ("logs/.hidden", 20)] {
        let some: Vec<&str> = lines.split_inclusive('\n').skip(from).take(10).collect();
        let some = some.concat();
        place.write(name, some);
    }
    place.write("logs/empty", "");
    let dir = place.path("logs").display().to_string();
    let pattern = format!("{dir}/*.log");
    assert_eq!(place.summary(0, &[&pattern])["events"], 10);
    let all = place.summary(0, &[&dir]);
    assert_eq!((all["events"].as_u64(), all["logs"].as_u64()), (Some(10), Some(1)));
    assert_eq!(place.tables(None).sum(), 20);
    place
        .replay(&[&dir, "not-there", "none-*.log"])
        .assert_says(66, &["not-there: no such file", "none-*.log: nothing matches"]);
}

#[test]
fn what_is_rejected_is_told_and_kept() {
    let place = Place::embedded();
    let good = "{\"message\":\"a\",\"timestamp\":1}\n";
    let lines =
        format!("{good}{{\"message\":\"no time\"}}\n{good}not json\n{{\"message\":\"again\"}}\n");
    let log = place.write("log", &lines);
    let kept = place.path("rejects.ndjson").display().to_string();
    let ended = place.replay(&["--rejects", &kept, "--format", "ndjson", &log]);
    ended.assert_says(
        65,
        &["2 counted", "timestamp: required in a recorded log: at byte 30, 91", "not valid JSON"],
    );
    let kept = fs::read_to_string(kept).expect("the file of rejects");
    let kept: Vec<serde_json::Value> =
        kept.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(kept.len(), 3);
    assert_eq!(kept[0]["offset"], 30);
    assert_eq!(kept[1]["record"], "not json");
    assert_eq!(kept[1]["log"], log.as_str());
    // the same with a time for those without
    let place = Place::embedded();
    let log = place.write("log", &lines);
    let time = ["--default-time", "2024-05-17T09:00:00Z", "--format", "ndjson", &log];
    assert_eq!(place.summary(65, &time)["events"], 4);
    assert_eq!(place.tables(None).count("no time"), 1);
}

#[test]
fn a_dry_run_counts_nothing() {
    let place = Place::embedded();
    let log = place.write("log", log(100, 4));
    let ended = place.replay(&["--dry-run", "--top", "2", &log]);
    ended.assert_says(0, &["100 would be counted in memory", "          25  2023-", "2  others"]);
    assert!(!place.path("errsift.db").exists());
    place.replay(&[&log]).assert_says(0, &["100 counted"]);
}
