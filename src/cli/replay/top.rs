//! What a dry run would count, the loudest first.

use std::io::{self, Write};

use errsift_pipeline::memory::MemoryErrors;

use crate::text;

/// Characters shown of a message.
const MESSAGE_CHARS: usize = 120;

/// Prints the `top` errors with the most events.
pub fn print(errors: &MemoryErrors, top: usize, out: &mut impl Write) -> io::Result<()> {
    let messages = errors.messages();
    let mut counts: Vec<_> = errors.counts().into_iter().collect();
    counts.sort_by_key(|(fingerprint, tally)| (std::cmp::Reverse(tally.count), *fingerprint));
    for (fingerprint, tally) in counts.iter().take(top) {
        let message = messages.get(fingerprint).map_or("", String::as_str);
        let line = message.lines().next().unwrap_or_default();
        let shown: String = line.chars().take(MESSAGE_CHARS).collect();
        writeln!(out, "{:>12}  {}  {}", tally.count, tally.last, text::escaped(&shown))?;
    }
    if counts.len() > top {
        writeln!(out, "{:>12}  others", counts.len() - top)?;
    }
    Ok(())
}
