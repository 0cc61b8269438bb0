//! `errsift top` and `errsift show`, against a stub of the query API and a real server.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::{
    command::{Killed, run},
    load::{self, LOG},
    stack::Stack,
    stub::{Stub, fault, success},
    support::ports,
    tables::sha256,
    wait,
};

const LOUD: &str = "25a84382140b11ac6f9e02f767c8af75143f2739b8fcb7130e5c77206b2bd53e";

/// Two errors; the second grows with each look.
fn errors(look: usize) -> String {
    let grown = 100 + 50 * look;
    format!(
        r#"{{"errors":[{{"fingerprint":"{}","rule":1,"message":"quiet","level":"warn","count":900,"first_seen":"2026-11-01T00:00:00.000Z","last_seen":"2026-11-21T23:00:10.000Z"}},{{"fingerprint":"{LOUD}","rule":1,"message":"loud\u001b[31m","service":"shop","count":{grown},"first_seen":"2026-11-01T00:00:00.000Z","last_seen":"2026-11-22T00:00:08.000Z"}}],"next_cursor":null}}"#,
        "ab".repeat(32)
    )
}

fn list() -> Stub {
    // a look by rate asks twice
    Stub::start(|_, number| success(&errors(number / 2)))
}

#[test]
fn top_prints_once_when_not_on_a_terminal() {
    let stub = list();
    let server = stub.url() + "/proxied/";
    let words = ["top", "--server", &server, "--every", "200ms", "--service", "a b", "-n", "7"];
    let ended = run(&words, &[("ERRSIFT_KEY", "s3cret")]);
    ended.assert_says(0, &[]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("    COUNT     RATE LAST SEEN LEVEL   SERVICE        MESSAGE "));
    assert!(lines[0].ends_with("FINGERPRINT"));
    assert!(lines[1].starts_with("      150 "), "{lines:#?}");
    assert!(lines[1].contains(r"2s -       shop           loud\u{1b}[31m "), "{lines:#?}");
    assert!(lines[1].ends_with("25a84382140b"));
    assert!(lines[2].starts_with("      900        0        1h warn    -              quiet "));
    assert_eq!(lines.len(), 3);

    let asked = stub.asked();
    let paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
    let of = |sort: &str| format!("/proxied/errors?sort={sort}&limit=100&service=a+b");
    assert_eq!(paths, [of("last_seen"), of("count"), of("last_seen"), of("count")]);
    assert!(asked[0].headers.contains("authorization: bearer s3cret\r\n"));
}

#[test]
fn other_orders_ask_once_and_json_is_the_servers() {
    let stub = list();
    let words = ["top", "--server", &stub.url(), "--sort", "count", "--json"];
    let ended = run(&words, &[]);
    ended.assert_says(0, &[]);
    let rows: Vec<serde_json::Value> =
        ended.stdout.lines().map(|row| serde_json::from_str(row).expect("JSON")).collect();
    assert_eq!(rows[1]["message"], "loud\u{1b}[31m");
    assert_eq!(rows.len(), 2);
    assert!(!ended.stdout.contains('\u{1b}'));
    assert_eq!(stub.asked()[0].path, "/errors?sort=count&limit=50");
    assert_eq!(stub.asked().len(), 1);
    assert!(!stub.asked()[0].headers.contains("authorization"));
}

#[test]
fn what_the_server_does_not_give_is_said() {
    let nowhere = format!("http://127.0.0.1:{}", ports::free());
    for command in [vec!["top"], vec!["show", LOUD]] {
        let asking = |server: &str, environment: &[(&str, &str)]| {
            run(&[&command[..], &["--server", server]].concat(), environment)
        };
        asking(&nowhere, &[]).assert_says(69, &[&nowhere, "does not answer"]);
        let keyed = Stub::start(|_, _| fault(401, "a key is needed"));
        asking(&keyed.url(), &[]).assert_says(77, &["--key", "ERRSIFT_KEY"]);
        let refused = asking(&keyed.url(), &[("ERRSIFT_KEY", "s3cret")]);
        refused.assert_says(77, &["refuses the key"]);
        assert!(!format!("{refused:?}").contains("s3cret"));
        let strange = Stub::start(|_, _| (200, "<html>".to_owned()));
        asking(&strange.url(), &[]).assert_says(76, &["is --server right?"]);
        asking("http://u:s3cret@x", &[]).assert_says(2, &["--server"]);
    }
    let dir = tempfile::TempDir::new().expect("no temporary directory");
    let file = dir.path().join("key").display().to_string();
    let by_file = [("ERRSIFT_KEY_FILE", file.as_str())];
    run(&["top"], &by_file).assert_says(78, &["ERRSIFT_KEY_FILE", &file]);
    std::fs::write(&file, "from-a-file\n").expect("a file");
    let stub = list();
    let words = ["top", "--once", "--sort", "count", "--server", &stub.url()];
    run(&words, &by_file).assert_says(0, &[]);
    assert!(stub.asked()[0].headers.contains("bearer from-a-file"));
}

#[test]
fn show_prints_an_error_with_its_windows() {
    let stub = Stub::start(|_, _| {
        success(&format!(
            r#"{{"fingerprint":"{LOUD}","rule":1,"message":"loud","stack_trace":"at f\n\tat g","type":null,"level":null,"service":"shop","environment":null,"release":null,"tags":{{"k":"v"}},"count":3,"first_seen":"2026-11-22T00:00:00.000Z","last_seen":"2026-11-22T00:00:09.000Z","windows":{{"since":"2026-11-22T00:00:00.000Z","until":"2026-11-22T00:01:00.000Z","step_s":30,"points":[{{"start":"2026-11-22T00:00:00.000Z","count":3}}]}}}}"#
        ))
    });
    let words = ["show", &LOUD.to_uppercase(), "--server", &stub.url(), "--since", "-15m"];
    let ended = run(&words, &[]);
    let expected = format!(
        "fingerprint  {LOUD}
rule         1
message      loud
service      shop
count        3
first seen   2026-11-22T00:00:00.000Z (10s ago)
last seen    2026-11-22T00:00:09.000Z (1s ago)
tag          k = v

stack trace
  at f
      at g

2026-11-22T00:00:00.000Z to 2026-11-22T00:01:00.000Z, 30 s a step
START                         COUNT
2026-11-22T00:00:00.000Z          3
"
    );
    assert_eq!((ended.code, ended.stdout), (Some(0), expected));
    assert_eq!(stub.asked()[0].path, format!("/errors/{LOUD}?since=-15m"));
    run(&["show", "abc"], &[]).assert_says(2, &["64 hex digits"]);
}

#[test]
fn show_asks_a_real_server() {
    let stack = Stack::embedded(&[]);
    let event = r#"{"message":"boom","service":"shop","stackTrace":"at f"}"#;
    assert_eq!(stack.errsift.client().post(LOG, event).0, 200);
    let fingerprint = sha256("shop\0boom");
    let shown =
        |fingerprint: &str| run(&["show", fingerprint, "--server", &stack.errsift.base_url()], &[]);
    wait::until("the words", wait::SOON, || {
        let ended = shown(&fingerprint);
        if ended.code == Some(0) && ended.stdout.contains("message      boom") {
            ended.assert_says(0, &["service      shop", "  at f"]);
            return Ok(());
        }
        Err(ended.stdout + &ended.stderr)
    });
    shown(&sha256("never sent")).assert_says(1, &["not there"]);
    load::post_all(stack.errsift.address(), &["more".to_owned()], 1);
}

/// What a command has written to its terminal so far.
struct Terminal {
    child: Killed,
    written: Arc<Mutex<String>>,
}

impl Terminal {
    /// Runs errsift on a pseudo terminal, through util-linux' `script`.
    fn run(words: &str) -> Self {
        let mut command = Command::new("script");
        let errsift = env!("CARGO_BIN_EXE_errsift");
        command.args([
            "-qefc",
            &format!("stty cols 100 rows 20; exec {errsift} {words}"),
            "/dev/null",
        ]);
        command.env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = Killed(command.spawn().expect("script of util-linux is there"));
        let mut output = child.0.stdout.take().expect("piped");
        let written = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&written);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..read]);
                heard.lock().expect("no panic while it is held").push_str(&text);
            }
        });
        Self { child, written }
    }

    fn written(&self) -> String {
        self.written.lock().expect("no panic while it is held").clone()
    }

    fn await_text(&self, text: &str) {
        wait::until(text, wait::SOON, || {
            let written = self.written();
            if written.contains(text) { Ok(()) } else { Err(written) }
        });
    }

    fn press(&mut self, key: &[u8]) {
        let stdin = self.child.0.stdin.as_mut().expect("piped");
        stdin.write_all(key).and_then(|()| stdin.flush()).expect("a key");
    }

    fn code(&mut self) -> Option<i32> {
        wait::until("its end", wait::SOON, || {
            let ended = self.child.0.try_wait().map_err(|error| error.to_string())?;
            ended.map(|status| status.code()).ok_or_else(|| "it runs".to_owned())
        })
    }
}

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

#[test]
fn top_on_a_terminal_refreshes_and_gives_it_back() {
    let stub = list();
    let mut terminal = Terminal::run(&format!("top --every 100ms --server {}", stub.url()));
    terminal.await_text("sort rate");
    terminal.await_text(r"loud\u{1b}[31m");
    terminal.press(b"s");
    terminal.await_text("sort count");
    let before = stub.asked().len();
    wait::until_true("another look", || stub.asked().len() > before + 1);
    terminal.press(b"q");
    assert_eq!(terminal.code(), Some(0), "{}", terminal.written());
    wait::until_true("the screen to be left", || terminal.written().contains(LEAVE));
    let written = terminal.written();
    assert!(written.contains(ENTER));
    assert!(written.ends_with(LEAVE), "{written:?}");
    assert!(written.contains("\u{1b}[?25h"), "the cursor is shown again");
}

#[test]
fn top_on_a_terminal_keeps_trying_a_server_that_is_away() {
    let port = ports::free();
    let mut terminal =
        Terminal::run(&format!("top --every 100ms --server http://127.0.0.1:{port}"));
    terminal.await_text("does not answer");
    thread::sleep(Duration::from_millis(300));
    terminal.press(b"\x03");
    assert_eq!(terminal.code(), Some(0));
    wait::until_true("the screen to be left", || terminal.written().ends_with(LEAVE));
}
