//! The type and the message of the error that a trace is of.

use memchr::memmem;

use super::{
    crash::{self, Sort},
    lines::{self, Shape, shape, unindented},
};

/// What a trace says of its error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fault<'a> {
    pub(super) kind: Option<&'a [u8]>,
    pub(super) message: &'a [u8],
}

/// Reads `trace`, whose first line is that of a crash of this sort, or whose head is missing.
pub(super) fn of(trace: &[u8], sort: Sort) -> Fault<'_> {
    match sort {
        Sort::Java => {
            let named = memmem::find(trace, b"\" ").map_or(trace, |quote| &trace[quote + 2..]);
            typed(up_to_frames(named))
        }
        Sort::Printed => typed(up_to_frames(trace)),
        Sort::DotNet => {
            typed(up_to_frames(&trace[b"Unhandled exception. ".len().min(trace.len())..]))
        }
        Sort::Returned => {
            let first = first_line(trace);
            Fault {
                kind: Some(b"Error"),
                message: trim(first.strip_prefix(b"Error: ").unwrap_or(first)),
            }
        }
        Sort::Python => python(trace),
        Sort::Node => node(trace),
        Sort::Go => go(trace),
        Sort::Rust => rust(trace),
        Sort::Ruby => ruby(trace),
        Sort::Php => php(trace),
        Sort::Cpp => cpp(trace),
        Sort::Assertion => {
            let at = memmem::find(trace, b"Assertion `").unwrap_or(0);
            Fault { kind: Some(b"assertion"), message: trim(first_line(&trace[at..])) }
        }
        Sort::Sanitizer => sanitizer(trace),
        Sort::Perl => {
            let first = first_line(trace);
            Fault {
                kind: None,
                message: trim(&first[..crash::perl_place(first).unwrap_or(first.len())]),
            }
        }
        Sort::Native => Fault { kind: None, message: trim(first_line(trace)) },
    }
}

/// `Type: message`, or a type alone, or a message alone.
pub(super) fn typed(text: &[u8]) -> Fault<'_> {
    let first = first_line(text);
    let message_only = Fault { kind: None, message: trim(text) };
    let Some(length) = crash::type_bytes(first) else { return message_only };
    // a word alone is a type if it is written as types are
    if length == first.len() && !first[0].is_ascii_uppercase() && !first.contains(&b'.') {
        return message_only;
    }
    let rest = &text[length..];
    let message = memmem::find(&rest[..first.len() - length], b": ")
        .map_or(&rest[first.len() - length..], |at| &rest[at + 2..]);
    Fault {
        kind: Some(&first[..length]),
        message: trim(message.strip_prefix(b":").unwrap_or(message)),
    }
}

/// All before the first frame, or before what caused it.
fn up_to_frames(text: &[u8]) -> &[u8] {
    let end = lines::from(text, 0).skip(1).find(|line| {
        let line = line.text(text);
        crash::is_frame(line)
            || line.starts_with(b"Caused by:")
            || unindented(line).starts_with(b"---> ")
            || line.starts_with(b"\tSuppressed: ")
    });
    &text[..end.map_or(text.len(), |line| line.start)]
}

/// The error is behind the last frames.
fn python(trace: &[u8]) -> Fault<'_> {
    let mut error = None;
    let mut framed = false;
    for line in lines::from(trace, 0) {
        let text = line.text(trace);
        let bare = text.trim_ascii_start();
        let grouped = bare.strip_prefix(b"| ").unwrap_or_default();
        match shape(text) {
            Shape::Indented if bare.starts_with(b"File \"") => framed = true,
            Shape::Indented if grouped.starts_with(b"  File \"") => framed = true,
            Shape::Indented if framed && crash::names_type(grouped) => {
                error = Some((line.start + text.len() - grouped.len(), true));
                framed = false;
            }
            // a group's members come behind its own error
            Shape::Indented if bare.starts_with(b"+-") => break,
            Shape::Flat if framed => {
                error = Some((line.start, false));
                framed = false;
            }
            _ => {}
        }
    }
    match error {
        Some((at, true)) => typed(first_line(&trace[at..])),
        Some((at, false)) if crash::ruby_method(first_line(&trace[at..])).is_some() => {
            ruby(&trace[at..])
        }
        Some((at, false)) => typed(&trace[at..]),
        None => Fault { kind: None, message: trim(first_line(trace)) },
    }
}

/// What was thrown comes behind the caret.
fn node(trace: &[u8]) -> Fault<'_> {
    let mut lines = lines::from(trace, 0);
    lines.find(|line| {
        let text = unindented(line.text(trace));
        !text.is_empty() && text.iter().all(|byte| *byte == b'^')
    });
    let thrown = lines.find(|line| shape(line.text(trace)) != Shape::Blank);
    let Some(thrown) = thrown else { return Fault::default() };
    let text = &trace[thrown.start..];
    let framed = lines::from(text, 0).any(|line| crash::is_frame(line.text(text)));
    typed(if framed { up_to_frames(text) } else { first_line(text) })
}

fn go(trace: &[u8]) -> Fault<'_> {
    let starts = |with: &'static [u8]| move |line: &lines::Line| line.text(trace).starts_with(with);
    for first in [&b"panic: "[..], b"fatal error: "] {
        if let Some(line) = lines::from(trace, 0).find(starts(first)) {
            let text = &trace[line.start + first.len()..];
            let end = lines::from(text, 0)
                .skip(1)
                .find(|line| {
                    let line = line.text(text);
                    shape(line) != Shape::Flat || crash::continues(line)
                })
                .map_or(text.len(), |line| line.start);
            let message = trim(&text[..end]);
            let message = message.strip_suffix(b" [recovered]").unwrap_or(message);
            return Fault { kind: Some(&first[..first.len() - 2]), message };
        }
    }
    Fault { kind: Some(b"panic"), message: trim(first_line(trace)) }
}

fn rust(trace: &[u8]) -> Fault<'_> {
    let first = first_line(trace);
    let panic = |message| Fault { kind: Some(b"panic"), message: trim(message) };
    // until 1.73 the message stood before the place: `panicked at 'message', file.rs:1:2`
    if let Some(at) = memmem::find(first, b" panicked at '")
        && let Some(end) = memmem::rfind(first, b"', ")
    {
        return panic(&first[at + b" panicked at '".len()..end.max(at + b" panicked at '".len())]);
    }
    let Some(message) = lines::Line::at(trace, 0).map(|first| &trace[first.next..]) else {
        return panic(first);
    };
    let end = lines::from(message, 0)
        .find(|line| crash::continues(line.text(message)))
        .map_or(message.len(), |line| line.start);
    panic(&message[..end])
}

/// `file.rb:3:in 'method': message (Type)`, where the message may go on behind the type.
fn ruby(trace: &[u8]) -> Fault<'_> {
    let first = first_line(trace);
    let Some((_, message)) = crash::ruby_method(first) else { return typed(first) };
    let Some(open) = memmem::rfind(first, b" (") else { return typed(&first[message..]) };
    let kind = first.get(open + 2..first.len() - 1).filter(|kind| !kind.is_empty());
    Fault { kind, message: trim(&first[message..open.max(message)]) }
}

/// `PHP Fatal error:  Uncaught Type: message in file:3`, with or without what comes before `Uncaught`.
pub(super) fn php(trace: &[u8]) -> Fault<'_> {
    let end = memmem::find(trace, b"\nStack trace:").unwrap_or(first_line(trace).len());
    let mut text = trim(&trace[..end]);
    let mut kind = None;
    let named = text.strip_prefix(b"PHP ").unwrap_or(text);
    if let Some(colon) = memmem::find(named, b":  ").filter(|_| named.len() < text.len()) {
        kind = Some(&named[..colon]);
        text = &named[colon + 3..];
    }
    text = text.strip_prefix(b"Fatal error: ").unwrap_or(text);
    // the place: ` in /file.php:3`, ` in /file.php on line 3`
    if let Some(place) = memmem::rfind(text, b" in ")
        && text.last().is_some_and(u8::is_ascii_digit)
    {
        text = &text[..place];
    }
    match text.strip_prefix(b"Uncaught ") {
        Some(uncaught) => typed(uncaught),
        None => Fault { kind, message: trim(text) },
    }
}

fn cpp(trace: &[u8]) -> Fault<'_> {
    let first = first_line(trace);
    let quoted =
        memmem::find(first, b"instance of '").map(|at| &first[at + b"instance of '".len()..]);
    let kind = quoted.map(|quoted| quoted.strip_suffix(b"'").unwrap_or(quoted)).or_else(|| {
        memmem::find(first, b"exception of type ").map(|at| {
            let named = &first[at + b"exception of type ".len()..];
            &named[..memmem::find(named, b": ").unwrap_or(named.len())]
        })
    });
    let what =
        memmem::find(trace, b"\n  what():  ").map(|at| &trace[at + b"\n  what():  ".len()..]);
    let message = match what {
        Some(what) => {
            let end = lines::from(what, 0)
                .find(|line| crash::continues(line.text(what)))
                .map_or(what.len(), |line| line.start);
            &what[..end]
        }
        None => match memmem::find(first, b"exception of type ").and(memmem::rfind(first, b": ")) {
            Some(colon) => &first[colon + 2..],
            None => first,
        },
    };
    Fault { kind, message: trim(message) }
}

/// `==7==ERROR: AddressSanitizer: SEGV on unknown address …`
fn sanitizer(trace: &[u8]) -> Fault<'_> {
    let at = memmem::find(trace, b"==ERROR: ").map_or(0, |at| at + b"==ERROR: ".len());
    typed(first_line(&trace[at..]))
}

fn first_line(text: &[u8]) -> &[u8] {
    lines::Line::at(text, 0).map_or(text, |line| line.text(text))
}

pub(super) fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}
