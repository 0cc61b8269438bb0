//! `errsift fingerprint` says what the server stores.

use crate::{
    command::{run, run_on},
    load::LOG,
    stack::Stack,
    tables::{sha256, sha256_of},
};

const EVENTS: [&str; 4] = [
    r#"{"message":"plain"}"#,
    r#"{"message":"in a service\n","service":"shop","level":"error"}"#,
    r#"{"message":"anything","service":"shop","fingerprint":["db","timeout"]}"#,
    r#"{"message":"","service":"","environment":"prod","timestamp":1700000000}"#,
];

#[test]
fn fingerprints_are_the_servers() {
    let input = EVENTS.join("\n") + "\n";
    let ended = run_on(input.as_bytes(), &["fingerprint"]);
    ended.assert_says(0, &[]);
    let length = |text: &str| (text.len() as u64).to_le_bytes();
    let expected = [
        sha256("plain"),
        sha256("shop\0in a service\n"),
        sha256_of(&[b"shop\0", &length("db"), b"db", &length("timeout"), b"timeout"]),
        sha256(""),
    ];
    let printed: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(printed, expected);

    let stack = Stack::embedded(&["--flush-interval", "100ms"]);
    let mut client = stack.errsift.client();
    for event in EVENTS {
        assert_eq!(client.post(LOG, event).0, 200);
    }
    stack.settle();
    let stored: Vec<String> = stack.tables().errors.into_keys().collect();
    let mut printed: Vec<String> = expected.to_vec();
    printed.sort();
    assert_eq!(stored, printed);
}

#[test]
fn lines_that_are_no_events_are_named_and_keep_their_place() {
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(256 * 1024));
    let input = format!(
        "{}\n{{\"mesage\":\"\\u001b[31m\"}}\n\n{long}\n{}",
        r#"{"message":"a"}"#, r#"{"message":"b"}"#
    );
    let ended = run_on(input.as_bytes(), &["fingerprint", "-"]);
    assert_eq!(ended.code, Some(65));
    let expected = [sha256("a"), "-".into(), "-".into(), "-".into(), sha256("b")];
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), expected);
    let said: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(
        said,
        [
            "errsift: line 2: field mesage: unknown field",
            "errsift: line 3: the JSON ends early at line 1 column 0",
            "errsift: line 4: longer than 262144 bytes",
        ]
    );
}

#[test]
fn an_explanation_shows_what_was_hashed() {
    let ended = run_on(EVENTS[1].as_bytes(), &["fingerprint", "--explain"]);
    let expected = format!(
        "{}\n  rule      1, SHA-256 of 18 bytes:\n  service   \"shop\"\n  zero byte 00\n  \
         message   \"in a service\\n\"\n",
        sha256("shop\0in a service\n")
    );
    assert_eq!((ended.code, ended.stdout), (Some(0), expected));
    run(&["fingerprint", "not-there.ndjson"], &[]).assert_says(66, &["not-there.ndjson"]);
}
