//! Which lines make one record.
//!
//! A block is a line with a time and all lines behind it up to the next such line. Most of them go
//! with that line: the further lines of a message, a logged stack trace. But a crash among them
//! that begins by itself is a record of its own, and so is each line where no line has a time.

use memchr::memmem;

use super::{
    crash::{self, Sort, begins, continues, is_frame, is_python_frame},
    level::Level,
    lines::{self, Line, Shape, shape, unindented},
};

/// Lines that a crash's message may have, the first not counted. What a line is depends on no more
/// than so many lines before it where no line has a time.
pub(super) const MESSAGE_LINES_MAX: usize = 8;

/// What the first line of a piece is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) level: Option<Level>,
    /// Whether the message says that something follows: it ends in a colon, or is empty.
    pub(super) announces: bool,
    /// Lines that are read already.
    pub(super) lines: usize,
}

impl Opening {
    /// Whether a trace that loggers write too is this line's.
    fn takes_traces(&self) -> bool {
        self.level.map_or(self.announces, |level| level >= Level::Warning)
    }
}

/// One record's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where the next record's first line starts.
    pub(super) end: usize,
    /// Where the trace starts, and whose it is.
    pub(super) trace: Option<(usize, Sort)>,
    /// Whether the whole piece is a crash.
    pub(super) is_crash: bool,
}

/// The piece of `block` that begins at `start`. `opening` is what its first line says, if that is
/// not a crash's; `timeless` whether no line of this file has a time.
pub(super) fn piece(block: &[u8], start: usize, opening: Option<Opening>, timeless: bool) -> Piece {
    let mut piece = Piece { end: block.len(), trace: None, is_crash: false };
    let mut settled = start;
    let first_sort = Line::at(block, start).filter(|_| opening.is_none()).and_then(|first| {
        settled = first.next;
        sort_of(block, first, timeless).map(|sort| (first, sort))
    });
    if let Some((first, sort)) = first_sort {
        piece.trace = Some((start, sort));
        piece.is_crash = true;
        settled = extent(block, first, sort);
    } else if let Some(last) = lines::from(block, start).take(opening.map_or(1, |o| o.lines)).last()
    {
        settled = last.next;
    }
    let opening = opening.unwrap_or(Opening { level: None, announces: false, lines: 1 });
    let lines = lines::from(block, settled);
    for line in lines {
        let text = line.text(block);
        let shape = shape(text);
        if line.start < settled || shape == Shape::Blank {
            continue;
        }
        if let Some(sort) = sort_of(block, line, timeless) {
            let logged = sort.is_logged_too() && piece.trace.is_none() && opening.takes_traces();
            if !logged {
                piece.end = line.start;
                break;
            }
            piece.trace = Some((line.start, sort));
            settled = extent(block, line, sort);
            continue;
        }
        let goes_on = shape == Shape::Indented || goes_on(block, line, piece.trace);
        if !goes_on && timeless {
            piece.end = line.start;
            break;
        }
        if piece.trace.is_none()
            && let Some(sort) = trace_without_head(text)
        {
            piece.trace = Some((line.start, sort));
        }
        if text.starts_with(b"Caused by:") {
            settled = before(block, line.next, is_frame).unwrap_or(line.next);
        }
    }
    piece
}

/// Whether a flat line belongs to what is before it by its form.
fn goes_on(block: &[u8], line: Line, trace: Option<(usize, Sort)>) -> bool {
    let tabbed_next = || block.get(line.next) == Some(&b'\t');
    continues(line.text(block)) || matches!(trace, Some((_, Sort::Go))) && tabbed_next()
}

/// Whose trace a line begins that is not the trace's first by itself.
fn trace_without_head(text: &[u8]) -> Option<Sort> {
    if is_python_frame(text) {
        return Some(Sort::Python);
    }
    if is_frame(text) {
        return Some(Sort::Printed);
    }
    let inner = unindented(text);
    for (first, sort) in [
        (&b"Caused by:"[..], Sort::Printed),
        (b"goroutine ", Sort::Go),
        (b"stack backtrace:", Sort::Rust),
        (b"Stack trace:", Sort::Php),
        (b"[stacktrace]", Sort::Php),
        (b"#0 ", Sort::Php),
    ] {
        if inner.starts_with(first) {
            return Some(sort);
        }
    }
    None
}

/// The sort of crash that begins with `line`.
fn sort_of(block: &[u8], line: Line, timeless: bool) -> Option<Sort> {
    let text = line.text(block);
    match begins(text) {
        None | Some(Sort::Returned) if is_printed(block, line, timeless) => Some(Sort::Printed),
        Some(Sort::Node) => caret(block, line).map(|_| Sort::Node),
        found => found,
    }
}

/// Whether a line names an error and frames follow: next, or where times tell records apart behind
/// the further lines of the error's message.
fn is_printed(block: &[u8], line: Line, timeless: bool) -> bool {
    let text = line.text(block);
    if shape(text) != Shape::Flat || !crash::names_type(text) || continues(text) {
        return false;
    }
    if timeless {
        return Line::at(block, line.next).is_some_and(|next| is_frame(next.text(block)));
    }
    before(block, line.next, is_frame).is_some()
}

/// Where what certainly belongs to a crash that begins with `first` ends.
fn extent(block: &[u8], first: Line, sort: Sort) -> usize {
    let starts = |with: &'static [u8]| move |text: &[u8]| text.starts_with(with);
    let message = match sort {
        Sort::Java | Sort::DotNet | Sort::Printed | Sort::Ruby => {
            before(block, first.next, is_frame)
        }
        Sort::Python => return python(block, first),
        Sort::Node => return node(block, first).unwrap_or(first.next),
        Sort::Rust => return rust(block, first),
        Sort::Go if first.text(block).starts_with(b"runtime: ") => {
            before(block, first.next, starts(b"fatal error: "))
                .and_then(|at| Line::at(block, at))
                .map(|fatal| extent(block, fatal, sort))
        }
        Sort::Go => before(block, first.next, starts(b"goroutine ")),
        Sort::Php => before(block, first.next, |text| {
            text.starts_with(b"Stack trace:") || text.starts_with(b"PHP Stack trace:")
        }),
        Sort::Sanitizer => {
            before(block, first.next, |text| memmem::find(text, b"==ERROR: ").is_some())
                .and_then(|at| Line::at(block, at))
                .map(|error| error.next)
        }
        Sort::Cpp => before(block, first.next, starts(b"Aborted")),
        Sort::Returned | Sort::Assertion | Sort::Perl | Sort::Native => None,
    };
    message.unwrap_or(first.next)
}

/// Where the first of the next few lines that fits starts, if no crash begins before it.
fn before(block: &[u8], at: usize, fits: impl Fn(&[u8]) -> bool) -> Option<usize> {
    for line in lines::from(block, at).take(MESSAGE_LINES_MAX + 1) {
        let text = line.text(block);
        if fits(text) {
            return Some(line.start);
        }
        if begins(text).is_some() {
            return None;
        }
    }
    None
}

/// A panic's message is the next line, and all up to the backtrace or its note if they are near.
fn rust(block: &[u8], first: Line) -> usize {
    let message = Line::at(block, first.next).filter(|_| first.text(block).ends_with(b":"));
    let settled = message.map_or(first.next, |message| message.next);
    let ends = |text: &[u8]| text.starts_with(b"note: ") || text.starts_with(b"stack backtrace:");
    before(block, settled, ends).unwrap_or(settled)
}

/// The line of the caret under Node's source line.
fn caret(block: &[u8], first: Line) -> Option<Line> {
    lines::from(block, first.next).take(4).find(|line| {
        let text = unindented(line.text(block));
        !text.is_empty() && text.iter().all(|byte| *byte == b'^')
    })
}

/// Behind the caret comes what was thrown, then its frames.
fn node(block: &[u8], first: Line) -> Option<usize> {
    let caret = caret(block, first)?;
    let thrown = lines::from(block, caret.next)
        .take(3)
        .find(|line| shape(line.text(block)) != Shape::Blank)?;
    Some(before(block, thrown.next, is_frame).unwrap_or(thrown.next))
}

/// A traceback, the error behind it, and the tracebacks that are chained to it.
fn python(block: &[u8], first: Line) -> usize {
    let mut traceback = first;
    let mut settled;
    loop {
        let Some(frames) = frames_of(block, traceback) else { return traceback.next };
        settled = if traceback.text(block).starts_with(GROUP) {
            end_of_group(block, frames)
        } else {
            end_of_error(block, frames)
        };
        let chained = before(block, settled, |text| {
            text.starts_with(b"During handling of the above exception")
                || text.starts_with(b"The above exception was the direct cause")
        });
        let next = chained.and_then(|at| {
            lines::from(block, at).skip(1).take(2).find(|line| is_traceback(line.text(block)))
        });
        match next {
            Some(next) => traceback = next,
            None => return settled,
        }
    }
}

/// Behind a traceback's frames, which are indented, and the line of the error behind them.
fn end_of_error(block: &[u8], frames: usize) -> usize {
    let mut settled = frames;
    for line in lines::from(block, frames) {
        match shape(line.text(block)) {
            Shape::Indented => settled = line.next,
            Shape::Flat => return line.next,
            Shape::Blank => break,
        }
    }
    settled
}

/// Behind the tree of a group's tracebacks and errors.
fn end_of_group(block: &[u8], frames: usize) -> usize {
    let in_tree = |line: &Line| matches!(unindented(line.text(block)).first(), Some(b'|' | b'+'));
    lines::from(block, frames).take_while(in_tree).last().map_or(frames, |line| line.next)
}

const GROUP: &[u8] = b"  + Exception Group Traceback";

fn is_traceback(text: &[u8]) -> bool {
    text.starts_with(b"Traceback (most") || text.starts_with(GROUP)
}

/// Where the frames start of a traceback, or of one that follows what stands before it.
fn frames_of(block: &[u8], first: Line) -> Option<usize> {
    let text = first.text(block);
    if is_traceback(text) || shape(text) == Shape::Indented {
        return Some(first.next);
    }
    lines::from(block, first.next)
        .take(MESSAGE_LINES_MAX)
        .find(|line| is_traceback(line.text(block)))
        .map(|line| line.next)
}
