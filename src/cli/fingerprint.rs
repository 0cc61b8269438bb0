//! `errsift fingerprint`: the fingerprints of events, as the server computes them.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use errsift_ops::{
    body,
    event::Event,
    fingerprint::{Fingerprint, RULE, canonical},
};
use errsift_pipeline::ports::clock::Clock;

use super::{exit, output};
use crate::{clock::SystemClock, http::limit::BODY_BYTES_MAX, text};

/// What stands in the place of a line that is not an event, so that output stays line by line.
const NO_FINGERPRINT: &str = "-";

/// What to fingerprint.
#[derive(Debug, Args)]
pub struct FingerprintArgs {
    /// Print also what was hashed, piece by piece
    #[arg(long)]
    explain: bool,

    /// Files with one event a line (NDJSON); none, or `-`, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Prints one fingerprint a line, in order, and `-` for a line that is not an event. Exits 65 if
/// there was such a line, 66 if a file cannot be read.
pub fn run(args: &FingerprintArgs) -> ExitCode {
    let clock = SystemClock::start();
    let mut printer =
        Printer { clock: &clock, explain: args.explain, out: output::stdout(), code: 0 };
    let stdin = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &stdin[..] } else { &args.files };
    for path in files {
        let name = (files.len() > 1).then_some(path.as_path());
        let input: Box<dyn BufRead> = if path.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            match File::open(path) {
                Ok(file) => Box::new(BufReader::new(file)),
                Err(error) => {
                    output::complain(&format!("{}: {error}", path.display()));
                    printer.code = exit::NO_INPUT;
                    continue;
                }
            }
        };
        if let Err(error) = printer.read(input, name) {
            return output::printed(Err(error));
        }
    }
    let code = printer.code;
    output::printed(printer.out.flush().map(|()| code))
}

struct Printer<'a, W> {
    clock: &'a dyn Clock,
    explain: bool,
    out: W,
    code: u8,
}

impl<W: Write> Printer<'_, W> {
    /// Fingerprints every line of `input`. An error is one of the output; one of the input is
    /// complained of.
    fn read(&mut self, mut input: impl BufRead, name: Option<&Path>) -> io::Result<()> {
        let mut line = Vec::new();
        for number in 1_u64.. {
            let of = name.map_or_else(String::new, |name| format!(" of {}", name.display()));
            let whole = match next_line(&mut input, &mut line, BODY_BYTES_MAX) {
                Ok(Some(whole)) => whole,
                Ok(None) => break,
                Err(error) => {
                    output::complain(&format!("line {number}{of}: {error}"));
                    self.code = exit::NO_INPUT;
                    break;
                }
            };
            let event = if whole {
                body::read(&line, self.clock.wall()).map_err(|fault| match &fault.field {
                    Some(field) => format!("field {field}: {}", fault.reason),
                    None => fault.reason,
                })
            } else {
                Err(format!("longer than {BODY_BYTES_MAX} bytes"))
            };
            match event {
                Ok(event) => self.print(&event)?,
                Err(reason) => {
                    writeln!(self.out, "{NO_FINGERPRINT}")?;
                    output::complain(&format!("line {number}{of}: {}", text::escaped(&reason)));
                    self.code = self.code.max(exit::DATA);
                }
            }
        }
        Ok(())
    }

    fn print(&mut self, event: &Event) -> io::Result<()> {
        writeln!(self.out, "{}", Fingerprint::of(event))?;
        if self.explain {
            self.out.write_all(explanation(event).as_bytes())?;
        }
        Ok(())
    }
}

/// The canonical form, piece by piece, as it is hashed.
fn explanation(event: &Event) -> String {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    canonical(event, |bytes| pieces.push(bytes.to_vec()));
    let bytes: usize = pieces.iter().map(Vec::len).sum();
    let mut lines = format!("  rule      {}, SHA-256 of {bytes} bytes:\n", RULE.0);
    let named = event.service.as_deref().is_some_and(|service| !service.is_empty());
    let in_front = if named { 2 } else { 0 };
    let own = !event.fingerprint.is_empty();
    for (at, piece) in pieces.iter().enumerate() {
        let name = match at {
            0 if named => "service",
            1 if named => "zero byte",
            _ if !own => "message",
            at if (at - in_front) % 2 == 0 => "length",
            _ => "string",
        };
        let shown = match <[u8; 8]>::try_from(piece.as_slice()) {
            Ok(length) if name == "length" => {
                format!("{} as 8 bytes, little-endian", u64::from_le_bytes(length))
            }
            _ if name == "zero byte" => "00".to_owned(),
            _ => text::quoted(&String::from_utf8_lossy(piece)),
        };
        let _ = writeln!(lines, "  {name:<9} {shown}");
    }
    lines
}

/// Reads the next line, without its end, into `line`; `None` at the end of the input. Of a line
/// longer than `bytes_max` the rest is skipped, and it comes back as not whole.
fn next_line(
    input: &mut impl BufRead,
    line: &mut Vec<u8>,
    bytes_max: usize,
) -> io::Result<Option<bool>> {
    line.clear();
    // room for the line's end, which may be two bytes
    let room = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(2);
    if input.by_ref().take(room).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    let ended = line.pop_if(|byte| *byte == b'\n').is_some();
    line.pop_if(|byte| *byte == b'\r');
    if line.len() <= bytes_max {
        return Ok(Some(true));
    }
    if !ended {
        input.skip_until(b'\n')?;
    }
    Ok(Some(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], bytes_max: usize) -> Vec<Option<String>> {
        let (mut input, mut line, mut lines) = (input, Vec::new(), Vec::new());
        while let Some(whole) = next_line(&mut input, &mut line, bytes_max).unwrap() {
            lines.push(whole.then(|| String::from_utf8(line.clone()).unwrap()));
        }
        lines
    }

    #[test]
    fn lines_that_are_too_long_are_skipped_whole() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(lines(b"", 4), []);
        assert_eq!(lines(b"abcd\r\n\nabcd", 4), [some("abcd"), some(""), some("abcd")]);
        assert_eq!(lines(b"abcde\nab\n", 4), [None, some("ab")]);
        assert_eq!(lines(b"abcdefghijk\nab\nabcde", 4), [None, some("ab"), None]);
    }

    #[test]
    fn an_explanation_shows_what_is_hashed() {
        let event = Event { message: "a\n\"b\"".into(), ..Event::default() };
        assert_eq!(
            explanation(&event),
            "  rule      1, SHA-256 of 5 bytes:\n  message   \"a\\n\\\"b\\\"\"\n"
        );
        let event = Event {
            service: Some("shop".into()),
            fingerprint: vec!["db".into(), String::new()],
            ..event
        };
        assert_eq!(
            explanation(&event),
            "  rule      1, SHA-256 of 23 bytes:\n  service   \"shop\"\n  zero byte 00\n  \
             length    2 as 8 bytes, little-endian\n  string    \"db\"\n  \
             length    0 as 8 bytes, little-endian\n  string    \"\"\n"
        );
    }
}
