//! Lines of crashes and stack traces, each known by itself.
//!
//! What runtimes write when a program dies by an error that nobody caught has no time and no level,
//! but a first line that nothing else writes.

use memchr::memmem;

use super::{
    fields::names_error,
    lines::{Shape, shape, unindented},
};

/// Who wrote a trace, which says how it goes on and where its error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Java's `Exception in thread "main" Type: message`.
    Java,
    /// `Traceback (most recent call last):`, and what may stand before it.
    Python,
    /// Node's `/path/file.js:3`, the source line and a caret.
    Node,
    /// `panic: message` and `fatal error: message`.
    Go,
    /// `thread 'main' panicked at file.rs:1:2:`
    Rust,
    /// `Error: message`, from a Rust `main` that returned an error.
    Returned,
    /// `Unhandled exception. Type: message`
    DotNet,
    /// `file.rb:3:in 'method': message (Type)`
    Ruby,
    /// `PHP Fatal error:  Uncaught Type: message in file:3`
    Php,
    /// `terminate called after throwing an instance of 'Type'`
    Cpp,
    /// `program: file.c:3: function: Assertion '…' failed.`
    Assertion,
    /// `==7==ERROR: AddressSanitizer: …`, of all sanitizers.
    Sanitizer,
    /// `message at file line 3.`
    Perl,
    /// `Segmentation fault` and other words of the C library and the shell.
    Native,
    /// `Type: message` in front of frames, of Java, Node and .NET, when a program prints an error.
    Printed,
}

impl Sort {
    /// Whether loggers write such traces behind their own lines too, so that the record before
    /// decides whose it is.
    pub(super) const fn is_logged_too(self) -> bool {
        matches!(self, Self::Python | Self::Printed | Self::Perl | Self::Returned)
    }
}

const PYTHON_FIRST: [&[u8]; 7] = [
    b"Traceback (most recent call last):",
    b"Fatal Python error: ",
    b"Exception ignored in: ",
    b"Exception in thread ",
    b"Task exception was never retrieved",
    b"Future exception was never retrieved",
    b"Unhandled exception in thread",
];

const NATIVE: [&[u8]; 7] = [
    b"Segmentation fault",
    b"Bus error",
    b"Illegal instruction",
    b"*** stack smashing detected ***",
    b"double free or corruption",
    b"free(): ",
    b"malloc(): ",
];

/// Lines longer than this are nobody's first.
const FIRST_LINE_BYTES_MAX: usize = 16 * 1024;
/// Where a file's name and a line number may stand at a long line's end.
const TAIL_BYTES: usize = 512;

/// The sort of crash whose first line this is, if it can be told from the line alone.
pub(super) fn begins(text: &[u8]) -> Option<Sort> {
    if text.len() > FIRST_LINE_BYTES_MAX {
        return None;
    }
    let starts = |with: &[u8]| text.starts_with(with);
    match *text.first()? {
        b' ' => return begins_indented(text),
        b'E' if starts(b"Exception in thread \"") => return Some(Sort::Java),
        b'T' | b'F' | b'E' | b'U' if PYTHON_FIRST.iter().any(|first| starts(first)) => {
            return Some(Sort::Python);
        }
        b'E' if starts(b"Error: ") => return Some(Sort::Returned),
        b'U' if starts(b"Unhandled exception. ") || starts(b"Unhandled Exception: ") => {
            return Some(Sort::DotNet);
        }
        b'p' if starts(b"panic: ") => return Some(Sort::Go),
        b'f' if starts(b"fatal error: ") => return Some(Sort::Go),
        b'r' if starts(b"runtime: goroutine stack exceeds") => return Some(Sort::Go),
        b't' if starts(b"thread ") && memmem::find(text, b" panicked at ").is_some() => {
            return Some(Sort::Rust);
        }
        b't' if starts(b"terminate called ") => return Some(Sort::Cpp),
        b'l' if starts(b"libc++abi: terminating") => return Some(Sort::Cpp),
        b'P' if starts(b"PHP ") && php_severity(&text[4..]) => return Some(Sort::Php),
        b'F' | b'P'
            if starts(b"Fatal error: Uncaught ") || starts(b"Parse error: syntax error") =>
        {
            return Some(Sort::Php);
        }
        b'A' if starts(b"AddressSanitizer:DEADLYSIGNAL") => return Some(Sort::Sanitizer),
        b'=' if starts(b"==") && memmem::find(text, b"==ERROR: ").is_some() => {
            return Some(Sort::Sanitizer);
        }
        _ if NATIVE.iter().any(|first| starts(first)) => return Some(Sort::Native),
        _ => {}
    }
    begins_with_place(text)
}

/// Python's syntax errors have no first line of their own, its exception groups an indented one.
fn begins_indented(text: &[u8]) -> Option<Sort> {
    let syntax_error = text.starts_with(b"  File \"")
        && memmem::find(text, b"\", line ")
            .is_some_and(|at| text[at + 8..].iter().all(u8::is_ascii_digit));
    (syntax_error || text.starts_with(b"  + Exception Group Traceback")).then_some(Sort::Python)
}

/// First lines that are known by the place in a file that they name.
fn begins_with_place(text: &[u8]) -> Option<Sort> {
    if is_node_place(text) {
        return Some(Sort::Node);
    }
    if text.ends_with(b"' failed.") && memmem::find(text, b": Assertion `").is_some() {
        return Some(Sort::Assertion);
    }
    if text.ends_with(b")") && ruby_method(text).is_some() {
        return Some(Sort::Ruby);
    }
    // `BEGIN failed--compilation aborted at file line 3.` is the end of another
    perl_place(text).filter(|_| !continues(text)).map(|_| Sort::Perl)
}

/// `/path/file.js:3`, `file:///path/file.mjs:3`, `node:internal/x:3`, `C:\file.js:3`, `[eval]:1`.
fn is_node_place(text: &[u8]) -> bool {
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(path) = text[..text.len() - digits].strip_suffix(b":") else { return false };
    let rooted = path.starts_with(b"/")
        || path.starts_with(b"file://")
        || path.starts_with(b"node:")
        || path.starts_with(b"[eval")
        || path.get(1..3) == Some(b":\\");
    digits > 0 && rooted && memmem::find(path, b": ").is_none()
}

/// Where `:in 'method': ` of a Ruby error's first line is, and where the message behind it begins.
pub(super) fn ruby_method(text: &[u8]) -> Option<(usize, usize)> {
    let place = memmem::find(text, b":in ")?;
    let quote = text.get(place + 4)?;
    if !matches!(quote, b'`' | b'\'') || !text[..place].last().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let end = memmem::find(&text[place..], b"': ")?;
    Some((place, place + end + 3))
}

/// Where ` at file line 3.` begins at the line's end.
pub(super) fn perl_place(text: &[u8]) -> Option<usize> {
    let tail = text.len().saturating_sub(TAIL_BYTES);
    // `…, <STDIN> line 5.` and `…, near "x"` may follow
    let line = memmem::rfind(&text[tail..], b" line ")? + tail;
    if text.ends_with(b".") || text.starts_with(b"syntax error at ") {
        let at = memmem::rfind(&text[tail..line], b" at ")? + tail;
        let number = &text[at..][memmem::find(&text[at..], b" line ")? + 6..];
        let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let file = &text[at + 4..line];
        let ends = matches!(number.get(digits), Some(b'.' | b','));
        return (digits > 0 && ends && !file.is_empty() && at > 0).then_some(at);
    }
    None
}

fn php_severity(text: &[u8]) -> bool {
    [&b"Fatal error:  "[..], b"Parse error:  ", b"Warning:  ", b"Notice:  ", b"Deprecated:  "]
        .iter()
        .any(|severity| text.starts_with(severity))
}

/// Lines that go on with a crash and begin nothing, though they are not indented.
const CONTINUES: [&[u8]; 37] = [
    b"Caused by:",
    b"Suppressed: ",
    b"During handling of the above exception",
    b"The above exception was the direct cause",
    b"stack backtrace:",
    b"Stack backtrace:",
    b"note: ",
    b"goroutine ",
    b"created by ",
    b"exit status ",
    b"[signal ",
    b"Stack trace:",
    b"[stacktrace]",
    b"PHP Stack trace:",
    b"PHP   ",
    b"thrown in ",
    b"Node.js v",
    b"(Use `node --trace",
    b"Require stack:",
    b"thread caused non-unwinding panic",
    b"Aborted",
    b"--- End of ",
    b"SUMMARY: ",
    b"BEGIN failed--",
    b"Execution of ",
    b"Current thread 0x",
    b"Thread 0x",
    b"Extension modules: ",
    b"Python runtime state: ",
    b"object address  :",
    b"-- Async stack trace",
    b"Compilation failed in require",
    b"==ABORTING",
    b"... ",
    b"AddressSanitizer can not provide",
    b"runtime stack:",
    b"[originating from goroutine",
];

/// Whether a flat line belongs to what is before it, whatever that is.
pub(super) fn continues(text: &[u8]) -> bool {
    let numbered = text.len() > 2
        && text[0] == b'#'
        && text[1].is_ascii_digit()
        && text.iter().skip(1).find(|byte| !byte.is_ascii_digit()) == Some(&b' ');
    let closes = matches!(text, [b'}' | b']' | b')'] | [b'}' | b']' | b')', b',' | b';']);
    let sanitizer = text.starts_with(b"==")
        && text.get(2).is_some_and(u8::is_ascii_digit)
        && memmem::find(text, b"==ERROR: ").is_none();
    let bracketed = text.starts_with(b"(Background on this error at");
    numbered
        || closes
        || sanitizer
        || bracketed
        || CONTINUES.iter().any(|with| text.starts_with(with))
}

/// Whether an indented line is a frame, or what stands among frames.
pub(super) fn is_frame(text: &[u8]) -> bool {
    let inner = unindented(text);
    inner.len() < text.len()
        && (inner.starts_with(b"at ")
            || inner.starts_with(b"from ")
            || inner.starts_with(b"... ") && memmem::find(inner, b" more").is_some())
}

/// Whether an indented line is one of Python's, of a frame.
pub(super) fn is_python_frame(text: &[u8]) -> bool {
    let inner = unindented(text);
    inner.len() < text.len() && inner.starts_with(b"File \"")
}

/// Whether a line's first word is an error's name by its form: `Type: message`, `a.b.Type` or
/// `Type [CODE]: message`.
pub(super) fn names_type(text: &[u8]) -> bool {
    type_bytes(text).is_some()
}

/// Bytes of the error's name that a line begins with.
pub(super) fn type_bytes(text: &[u8]) -> Option<usize> {
    let part =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b'\\');
    let length = text.iter().take(256).take_while(|byte| part(byte)).count();
    let first = text.first()?;
    if length == 0 || first.is_ascii_digit() || *first == b'.' {
        return None;
    }
    let rest = &text[length..];
    let coded = rest.starts_with(b" [") && memmem::find(rest, b"]: ").is_some();
    let generic = rest.starts_with(b"`");
    (rest.is_empty() || rest.starts_with(b": ") || rest == b":" || coded || generic)
        .then_some(length)
}

/// Whether the name that [`type_bytes`] found is an error's beyond its form.
pub(super) fn is_error_name(name: &[u8]) -> bool {
    names_error(name) || name.contains(&b'.') && name.last() != Some(&b'.')
}

/// Whether a line stands by itself where no line has a time: it is flat, begins no crash and goes
/// on with none. Told from the line alone.
pub(super) fn is_ordinary(text: &[u8]) -> bool {
    shape(text) == Shape::Flat && begins(text).is_none() && !continues(text)
}
