//! Text of users in logs: whatever could move a cursor, end a line or turn its direction is
//! written as an escape.

use std::{
    fmt::{self, Write as _},
    io,
};

use tracing_subscriber::{
    field::MakeExt,
    fmt::{
        FormatFields, MakeWriter,
        format::{Writer, debug_fn},
    },
};

/// Fields as `name=value`, the message first and bare.
pub fn escaped_fields() -> impl for<'a> FormatFields<'a> + 'static {
    debug_fn(|writer: &mut Writer<'_>, field, value| {
        if field.name() != "message" {
            write!(writer, "{field}=")?;
        }
        write!(Escaping(writer), "{value:?}")
    })
    .delimited(" ")
}

struct Escaping<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_control() || turns(c) {
                write!(self.0, "{}", c.escape_debug())?;
            } else {
                self.0.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Whether a character separates lines or turns the direction of writing.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writers of JSON lines, to which JSON may write characters that terminals obey: JSON itself
/// escapes only what is below the space.
pub struct PrintableJson<W>(pub W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for PrintableJson<W> {
    type Writer = PrintableWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        PrintableWriter(self.0.make_writer())
    }
}

/// Writes lines whose every control character is escaped.
pub struct PrintableWriter<W>(W);

impl<W: io::Write> io::Write for PrintableWriter<W> {
    /// `bytes` are a line, as the formatter hands it over.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let obeyed = |c: char| c >= '\u{7f}' && c.is_control() || turns(c);
        if !text.contains(obeyed) {
            self.0.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let mut printable = String::with_capacity(text.len() + 16);
        for c in text.chars() {
            if obeyed(c) {
                // all of them have four digits at most; text grows without failing
                let _ = write!(printable, "\\u{:04x}", u32::from(c));
            } else {
                printable.push(c);
            }
        }
        self.0.write_all(printable.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
