//! Small programs that fail, run here, and their output among ordinary lines: each crash one
//! record with its whole trace, type and message. A language that is not installed is skipped, and
//! that is said aloud.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use errsift_ops::log::{Assumed, Format, Record, Year};

const ASSUMED: Assumed = Assumed { year: Year::Is(2024), utc_offset_seconds: 0 };

/// What a program wrote when it died, and what its record must say.
struct Crash {
    output: String,
    kind: Option<&'static str>,
    message: &'static str,
}

/// A directory for the programs of one language.
fn dir(language: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crashes-{language}"));
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

/// Whether `program` is there; if not, says that its crashes are skipped.
fn is_there(program: &str) -> bool {
    let there =
        Command::new(program).arg("--version").output().is_ok_and(|run| run.status.success());
    if !there {
        eprintln!("SKIPPED: no {program} on this machine");
    }
    there
}

fn run(dir: &Path, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir).env("RUST_BACKTRACE", "1").env_remove("NODE_OPTIONS");
    let run = command.output().expect("the program runs");
    assert!(!run.status.success(), "{program} {arguments:?} did not fail");
    String::from_utf8(run.stderr).expect("text")
}

/// Runs the sources of one language, each with what its record must say, and holds their output.
fn hold(
    language: &str,
    ending: &str,
    program: &str,
    sources: &[(&str, Option<&'static str>, &'static str)],
) {
    if !is_there(program) {
        return;
    }
    let dir = dir(language);
    let mut crashes = Vec::new();
    for (n, (source, kind, message)) in sources.iter().enumerate() {
        let file = format!("program{n}.{ending}");
        fs::write(dir.join(&file), source).expect("a program");
        let output = match program {
            "rustc" | "g++" => {
                let built = format!("./program{n}");
                let compiled = Command::new(program)
                    .args(["-g", &file, "-o", &built])
                    .current_dir(&dir)
                    .output();
                assert!(compiled.is_ok_and(|run| run.status.success()), "{file} builds");
                run(&dir, &built, &[])
            }
            _ => run(&dir, program, &[&file]),
        };
        crashes.push(Crash { output, kind: *kind, message });
    }
    among_lines(&crashes);
    behind_one_another(&crashes);
}

#[track_caller]
fn is(record: &Record, crash: &Crash) {
    let lines = |text: &str| text.trim().lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(record.stack_trace.as_deref().unwrap_or("nothing")), lines(&crash.output));
    assert_eq!(record.kind.as_deref(), crash.kind, "{}", crash.output);
    assert_eq!(record.message, crash.message, "{}", crash.output);
}

fn among_lines(crashes: &[Crash]) {
    for (line, form) in [
        ("2024-01-02 03:04:05,678 INFO [main] app.Main: fine", "iso"),
        ("Jan  2 03:04:05 host app[7]: fine", "syslog"),
        ("240102 030405 17 INFO dfs.Node: fine", "yymmdd"),
        ("fine", "plain"),
    ] {
        let mut log = String::new();
        for crash in crashes {
            log.extend([line, "\n", line, "\n", &crash.output, line, "\n"]);
        }
        let format = Format::detect(log.as_bytes(), &ASSUMED);
        assert_eq!(format.name(), form);
        let records: Vec<Record> = format.records(log.as_bytes()).collect();
        assert_eq!(records.len(), 4 * crashes.len(), "{log}");
        for (records, crash) in records.chunks(4).zip(crashes) {
            for fine in [&records[0], &records[1], &records[3]] {
                assert_eq!((&*fine.message, &fine.stack_trace), ("fine", &None));
            }
            is(&records[2], crash);
            assert_eq!(records[2].timestamp, records[1].timestamp);
        }
    }
}

fn behind_one_another(crashes: &[Crash]) {
    let log: String = crashes.iter().map(|crash| crash.output.as_str()).collect();
    let format = Format::detect(log.as_bytes(), &ASSUMED);
    let records: Vec<Record> = format.records(log.as_bytes()).collect();
    assert_eq!(records.len(), crashes.len(), "{log}");
    for (record, crash) in records.iter().zip(crashes) {
        is(record, crash);
    }
}

#[test]
fn python() {
    hold(
        "python",
        "py",
        "python3",
        &[
            (
                "def load(x):\n    raise ValueError('bad: ' + x)\nload('line')\n",
                Some("ValueError"),
                "bad: line",
            ),
            (
                "try:\n    {}['k']\nexcept KeyError as e:\n    raise RuntimeError('cannot start') from e\n",
                Some("RuntimeError"),
                "cannot start",
            ),
            (
                "try:\n    1/0\nexcept ZeroDivisionError:\n    [][1]\n",
                Some("IndexError"),
                "list index out of range",
            ),
            ("def f(:\n", Some("SyntaxError"), "invalid syntax"),
            (
                "def f():\n    f()\nf()\n",
                Some("RecursionError"),
                "maximum recursion depth exceeded",
            ),
            ("raise KeyboardInterrupt\n", Some("KeyboardInterrupt"), ""),
            ("assert 1 == 2, 'sums'\n", Some("AssertionError"), "sums"),
        ],
    );
}

#[test]
fn node() {
    hold(
        "node",
        "js",
        "node",
        &[
            (
                "function load(p) { throw new TypeError('cannot read ' + p + '\\nsecond line'); }\nload('x');\n",
                Some("TypeError"),
                "cannot read x\nsecond line",
            ),
            (
                "Promise.reject(new Error('later', {cause: new RangeError('inner')}));\n",
                Some("Error"),
                "later",
            ),
            ("throw 'plain';\n", None, "plain"),
            ("const e = new Error('coded'); e.code = 'E_X'; throw e;\n", Some("Error"), "coded"),
            ("let x = ;\n", Some("SyntaxError"), "Unexpected token ';'"),
            ("throw new Error();\n", Some("Error"), ""),
        ],
    );
}

#[test]
fn java() {
    hold(
        "java",
        "java",
        "java",
        &[
            (
                "public class Program {\n static void f() { throw new IllegalStateException(\"state\"); }\n \
             public static void main(String[] a) {\n try { f(); } catch (RuntimeException e) {\n \
             throw new RuntimeException(\"outer\\nfailed\", e); } } }\n",
                Some("java.lang.RuntimeException"),
                "outer\nfailed",
            ),
            (
                "public class Program { public static void main(String[] a) { int[] x = {}; x[2] = 1; } }\n",
                Some("java.lang.ArrayIndexOutOfBoundsException"),
                "Index 2 out of bounds for length 0",
            ),
        ],
    );
}

#[test]
fn rust() {
    hold(
        "rust",
        "rs",
        "rustc",
        &[
            (
                "fn main() { let v = vec![1]; let i = std::env::args().count() + 4; println!(\"{}\", v[i]); }\n",
                Some("panic"),
                "index out of bounds: the len is 1 but the index is 5",
            ),
            (
                "fn main() { assert_eq!(1, 2); }\n",
                Some("panic"),
                "assertion `left == right` failed\n  left: 1\n right: 2",
            ),
            (
                "fn main() -> Result<(), std::num::ParseIntError> { \"x\".parse::<i32>().map(drop) }\n",
                Some("Error"),
                "ParseIntError { kind: InvalidDigit }",
            ),
        ],
    );
}

#[test]
fn cpp() {
    hold(
        "cpp",
        "cpp",
        "g++",
        &[
            (
                "#include <stdexcept>\nint main() { throw std::runtime_error(\"disk is full\"); }\n",
                Some("std::runtime_error"),
                "disk is full",
            ),
            (
                "int main() { throw 3; }\n",
                Some("int"),
                "terminate called after throwing an instance of 'int'",
            ),
            (
                "#include <cassert>\nint main() { assert(1 == 2); }\n",
                Some("assertion"),
                "Assertion `1 == 2' failed.",
            ),
        ],
    );
}

#[test]
fn perl() {
    hold(
        "perl",
        "pl",
        "perl",
        &[
            ("sub f { die 'no such file' } f();\n", None, "no such file"),
            (
                "use Carp; sub f { Carp::confess('bad thing') } sub g { f(1) } g();\n",
                None,
                "bad thing",
            ),
            (
                "my $x = 'None'; $x->work();\n",
                None,
                "Can't locate object method \"work\" via package \"None\" (perhaps you forgot to load \"None\"?)",
            ),
        ],
    );
}
