//! The records of a log, one after the other.

use std::borrow::Cow;

use memchr::memchr;

use super::{
    crash::{self, Sort},
    cursor::Cursor,
    fault, fields,
    fold::{self, Opening, Piece},
    format::{self, Format},
    header::Header,
    level::Level,
    lines::{self, Line},
};
use crate::timestamp::Timestamp;

/// What one record of a log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where its first line starts.
    pub offset: usize,
    /// Bytes to where the next one starts.
    pub len: usize,
    /// When it happened; a crash without a time has that of the line with one before it.
    pub timestamp: Option<Timestamp>,
    /// Its severity; that of a crash without one is [`Level::Error`].
    pub level: Option<Level>,
    /// What it says, without time, level, thread and logger.
    pub message: Cow<'a, str>,
    /// The error's type.
    pub kind: Option<Cow<'a, str>>,
    /// The trace that it brought.
    pub stack_trace: Option<Cow<'a, str>>,
    /// The service, if the user's pattern names one.
    pub service: Option<Cow<'a, str>>,
}

/// What [`Format::records`] returns.
#[derive(Debug)]
pub struct Records<'a> {
    format: &'a Format,
    bytes: &'a [u8],
    /// Where the next record starts.
    at: usize,
    /// Where the next line with a time starts.
    block_end: usize,
    /// What the line at `block_end` says.
    next: Option<Header>,
    /// The time of the line that the block began with.
    time: Option<Timestamp>,
}

impl<'a> Records<'a> {
    pub(super) fn new(format: &'a Format, bytes: &'a [u8]) -> Self {
        let mark = bytes.len() - format::without_mark(bytes).len();
        let first = Line::at(bytes, mark);
        let mut records = Self { format, bytes, at: mark, block_end: mark, next: None, time: None };
        if format.is_timeless() {
            records.block_end = bytes.len();
        } else if let Some(first) = first {
            records.next = format.header(first.text(bytes));
            if records.next.is_none() {
                records.find_block_end(first.next);
            }
        }
        records
    }

    /// Looks for the line with a time that ends the block.
    fn find_block_end(&mut self, from: usize) {
        self.next = None;
        self.block_end = self.bytes.len();
        for line in lines::from(self.bytes, from) {
            self.next = self.format.header(line.text(self.bytes));
            if self.next.is_some() {
                self.block_end = line.start;
                return;
            }
        }
    }

    /// The record that begins with a line with a time.
    fn timed(&mut self, header: Header) -> Record<'a> {
        let start = self.at;
        let first = Line::at(self.bytes, start);
        let first = first.unwrap_or(Line { start, end: start, next: self.bytes.len() });
        self.time = header.time;
        self.find_block_end(first.next);
        if self.block_end == first.next && !header.on_next_line {
            // as most records are: one line
            self.at = first.next;
            let end = header.message_end.map_or(first.end, |end| start + end);
            return self.record(
                start,
                &header,
                &self.bytes[start + header.message..end],
                first.text(self.bytes),
            );
        }
        self.folded(start, header)
    }

    /// The record of several lines that begins at `start` with what `header` says.
    fn folded(&mut self, start: usize, header: Header) -> Record<'a> {
        let block = &self.bytes[..self.block_end];
        let mut header = header;
        let first = Line::at(block, start).unwrap_or(Line { start, end: start, next: block.len() });
        let mut message = start + header.message;
        let mut lines = 1;
        if header.on_next_line
            && let Some(second) = Line::at(block, first.next)
        {
            let mut c = Cursor::new(second.text(block));
            header.level = fields::level(&mut c);
            c.blanks();
            message = second.start + c.at();
            lines = 2;
        }
        let first_line = lines::from(block, start).take(lines).last().unwrap_or(first);
        let said = fault::trim(&block[message.min(first_line.end)..first_line.end]);
        let announces = said.is_empty() || said.ends_with(b":");
        let opening = Opening { level: header.level, announces, lines };
        let piece = fold::piece(block, start, Some(opening), self.format.is_timeless());
        self.at = piece.end;
        let end = header
            .message_end
            .map_or_else(|| piece.trace.map_or(piece.end, |(at, _)| at), |end| start + end);
        let mut record =
            self.record(start, &header, &block[message..end.max(message)], first.text(block));
        if let Some((at, sort)) = piece.trace {
            record.trace(&block[at..piece.end], sort);
        }
        record
    }

    fn record(
        &self,
        start: usize,
        header: &Header,
        message: &'a [u8],
        first: &'a [u8],
    ) -> Record<'a> {
        let mut record = Record {
            offset: start,
            len: self.at - start,
            timestamp: header.time,
            level: header.level,
            message: text(message),
            kind: None,
            stack_trace: None,
            service: None,
        };
        if let Some(pattern) = self.format.pattern() {
            pattern.labels(first, &mut record);
        }
        record
    }

    /// The record that begins with a line without a time.
    fn untimed(&mut self) -> Option<Record<'a>> {
        let block = &self.bytes[..self.block_end];
        let start = self.at;
        let piece = fold::piece(block, start, None, self.format.is_timeless());
        if piece.is_crash {
            self.at = piece.end;
            return Some(self.crash(start, &piece));
        }
        let first = Line::at(block, start)?;
        if first.text(block).trim_ascii().is_empty() {
            self.at = first.next;
            return None;
        }
        let header = self.format.timeless_header(first.text(block));
        Some(self.folded(start, Header { time: self.time, ..header }))
    }

    fn crash(&self, start: usize, piece: &Piece) -> Record<'a> {
        let trace = &self.bytes[start..piece.end];
        let sort = piece.trace.map_or(Sort::Native, |(_, sort)| sort);
        let fault = fault::of(trace, sort);
        Record {
            offset: start,
            len: piece.end - start,
            timestamp: self.time,
            level: Some(Level::Error),
            message: text(fault.message),
            kind: fault.kind.map(text),
            stack_trace: Some(text(trace)),
            service: None,
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        while self.at < self.bytes.len() {
            if self.at == self.block_end
                && let Some(header) = self.next.take()
            {
                return Some(self.timed(header));
            }
            let record = self.untimed();
            if record.is_some() {
                return record;
            }
        }
        None
    }
}

impl<'a> Record<'a> {
    /// Adds the trace that was logged behind the message.
    fn trace(&mut self, trace: &'a [u8], sort: Sort) {
        self.stack_trace = Some(text(trace));
        if self.kind.is_some() {
            return;
        }
        if sort == Sort::Php {
            if let Some(Cow::Borrowed(uncaught)) =
                self.message.starts_with("Uncaught ").then_some(&self.message)
            {
                let fault = fault::php(uncaught.as_bytes());
                self.kind = fault.kind.map(text);
                self.message = text(fault.message);
            }
            return;
        }
        let headless = crash::is_frame(trace) || trace.starts_with(b"Caused by:");
        if !headless {
            self.kind = fault::of(trace, sort).kind.map(text);
        } else if let Some(length) = crash::type_bytes(self.message.as_bytes())
            && crash::is_error_name(&self.message.as_bytes()[..length])
        {
            // the log's own line is the trace's head
            self.kind = Some(Cow::Owned(self.message[..length].to_owned()));
        }
    }
}

/// `bytes` without blanks at its ends, with `\n` for `\r\n`, and with � for what is not UTF-8.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    let end = bytes.trim_ascii_end();
    let text = String::from_utf8_lossy(end);
    if memchr(b'\r', end).is_none() {
        return text;
    }
    Cow::Owned(text.replace("\r\n", "\n"))
}
