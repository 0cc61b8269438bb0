//! What programs write when they die, in the shapes of their runtimes, and ordinary lines.

/// One crash: who writes it, its whole output, and the type and message of its error.
pub struct Crash {
    pub by: &'static str,
    pub text: &'static str,
    pub kind: Option<&'static str>,
    pub message: &'static str,
}

const fn crash(
    by: &'static str,
    kind: Option<&'static str>,
    message: &'static str,
    text: &'static str,
) -> Crash {
    Crash { by, text, kind, message }
}

/// None of their lines is a line of the next one, so that they can follow each other.
pub const ALL: [Crash; 30] = [
    crash("java", Some("app.Deep"), "outer failed", include_str!("java.txt")),
    crash(
        "java, a message of two lines, no frames known",
        Some("java.lang.IllegalStateException"),
        "broken\nin two",
        "Exception in thread \"worker 1\" java.lang.IllegalStateException: broken\nin two\n\tat A.f(A.java:4)\n",
    ),
    crash(
        "python, chained",
        Some("RuntimeError"),
        "cannot start",
        include_str!("python_chained.txt"),
    ),
    crash(
        "python, a message of two lines",
        Some("app.errors.Invalid"),
        "bad line\n  two of it",
        "Traceback (most recent call last):\n  File \"a.py\", line 2, in <module>\n    load()\napp.errors.Invalid: bad line\n  two of it\n",
    ),
    crash(
        "python, no message",
        Some("KeyboardInterrupt"),
        "",
        "Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\nKeyboardInterrupt\n",
    ),
    crash(
        "python, group",
        Some("ExceptionGroup"),
        "many (2 sub-exceptions)",
        include_str!("python_group.txt"),
    ),
    crash(
        "python, syntax",
        Some("SyntaxError"),
        "invalid syntax",
        "  File \"/app/c.py\", line 1\n    def f(:\n          ^\nSyntaxError: invalid syntax\n",
    ),
    crash(
        "python, thread",
        Some("FileNotFoundError"),
        "[Errno 2] No such file",
        "Exception in thread worker-1:\nTraceback (most recent call last):\n  File \"threading.py\", line 1045, in _bootstrap_inner\n    self.run()\nFileNotFoundError: [Errno 2] No such file\n",
    ),
    crash("node", Some("TypeError"), "cannot read x\nsecond line", include_str!("node.txt")),
    crash("node, cause and fields", Some("MyError"), "async boom", include_str!("node_cause.txt")),
    crash(
        "node, a string",
        None,
        "plain",
        "/app/c.js:1\nthrow \"plain\"\n^\nplain\n(Use `node --trace-uncaught ...` to show where the exception was thrown)\n\nNode.js v20.20.2\n",
    ),
    crash(
        "node, module",
        Some("Error"),
        "Cannot find module 'nope'\nRequire stack:\n- /app/g.js",
        include_str!("node_module.txt"),
    ),
    crash(
        "go",
        Some("panic"),
        "runtime error: index out of range [5] with length 2",
        include_str!("go.txt"),
    ),
    crash(
        "go, all asleep",
        Some("fatal error"),
        "all goroutines are asleep - deadlock!",
        "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/app/a.go:5 +0x34\nexit status 2\n",
    ),
    crash(
        "rust",
        Some("panic"),
        "index out of bounds: the len is 2 but the index is 5",
        include_str!("rust.txt"),
    ),
    crash(
        "rust, short",
        Some("panic"),
        "assertion `left == right` failed\n  left: 1\n right: 2",
        "thread 'worker' (18905) panicked at src/a.rs:2:135:\nassertion `left == right` failed\n  left: 1\n right: 2\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
    ),
    crash(
        "rust, old",
        Some("panic"),
        "no luck",
        "thread 'main' panicked at 'no luck', src/a.rs:2:5\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
    ),
    crash(
        "rust, returned",
        Some("Error"),
        "cannot start",
        "Error: cannot start\n\nCaused by:\n    0: cannot read\n    1: No such file or directory (os error 2)\n",
    ),
    crash(".net", Some("System.InvalidOperationException"), "lost", include_str!("dotnet.txt")),
    crash(
        "ruby",
        Some("RuntimeError"),
        "boom",
        "app.rb:3:in 'Object#work': boom (RuntimeError)\n\tfrom app.rb:7:in 'block in <main>'\n\tfrom app.rb:9:in '<main>'\n",
    ),
    crash(
        "ruby, old",
        Some("ArgumentError"),
        "bad: it",
        "/app/a.rb:3:in `work': bad: it (ArgumentError)\n\tfrom /app/a.rb:9:in `<main>'\n",
    ),
    crash(
        "php",
        Some("App\\Lost"),
        "boom",
        "PHP Fatal error:  Uncaught App\\Lost: boom in /app/a.php:3\nStack trace:\n#0 /app/a.php(5): work()\n#1 {main}\n  thrown in /app/a.php on line 3\n",
    ),
    crash(
        "php, no exception",
        Some("Fatal error"),
        "Allowed memory size of 134217728 bytes exhausted",
        "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted in /app/a.php on line 3\n",
    ),
    crash(
        "c++",
        Some("std::runtime_error"),
        "disk is full",
        "terminate called after throwing an instance of 'std::runtime_error'\n  what():  disk is full\nAborted (core dumped)\n",
    ),
    crash(
        "c++, no message",
        Some("int"),
        "terminate called after throwing an instance of 'int'",
        "terminate called after throwing an instance of 'int'\n",
    ),
    crash(
        "c, assert",
        Some("assertion"),
        "Assertion `x == 4' failed.",
        "app: a.cpp:6: int main(int, char**): Assertion `x == 4' failed.\nAborted\n",
    ),
    crash(
        "sanitizer",
        Some("AddressSanitizer"),
        "SEGV on unknown address 0x0",
        include_str!("sanitizer.txt"),
    ),
    crash("perl", None, "plain death", "plain death at a.pl line 8.\n"),
    crash(
        "perl, confess",
        None,
        "bad thing",
        "bad thing at a.pl line 2.\n\tmain::h(1, \"x\") called at a.pl line 2\n\tmain::g() called at a.pl line 3\n",
    ),
    crash(
        "perl, compiling",
        None,
        "Can't locate X.pm in @INC",
        "Can't locate X.pm in @INC at b.pl line 1.\nBEGIN failed--compilation aborted at b.pl line 1.\n",
    ),
];
