//! `errsift show FINGERPRINT`: one error of a running server.

mod card;
mod windows;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::Args;
use errsift_ops::fingerprint::Fingerprint;

use super::{asked, exit, output};
use crate::{
    client::{Answered, Client, ErrorDetails, Raw},
    settings::ClientSettings,
    text,
};

/// Columns of bars on a terminal that does not say how wide it is.
const WIDTH: usize = 80;

/// What to show.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// The error's fingerprint: 64 hex digits
    #[arg(value_name = "FINGERPRINT")]
    fingerprint: Fingerprint,

    #[command(flatten)]
    client: ClientSettings,

    /// Counts from then on: RFC 3339, seconds since 1970, or as in -15m, -24h, -7d
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    since: Option<String>,

    /// Counts until then
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    until: Option<String>,

    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Exits 0; 1 if there is no such error, 69 if the server does not answer, 77 if it wants another
/// key, 78 if a setting is wrong.
pub fn run(args: &ShowArgs) -> ExitCode {
    let client = match Client::new(&args.client) {
        Ok(client) => client,
        Err(wrong) => return output::fail(exit::CONFIG, &wrong),
    };
    let range: Vec<_> = [("since", &args.since), ("until", &args.until)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect();
    match client.error(&args.fingerprint.to_string(), &range) {
        Ok(answered) => output::printed(print(args, &answered)),
        Err(fault) => asked::failed(client.server(), &fault),
    }
}

fn print(args: &ShowArgs, answered: &Answered<Raw<ErrorDetails>>) -> io::Result<u8> {
    let mut out = output::stdout();
    let details = &answered.data;
    if args.json {
        writeln!(out, "{}", text::escaped_json(&details.json))?;
    } else {
        out.write_all(card::card(&details.value, answered.at).as_bytes())?;
        if let Some(counts) = &details.value.windows {
            let drawn = if io::stdout().is_terminal() {
                let width = crossterm::terminal::size().map_or(WIDTH, |(width, _)| width.into());
                windows::bars(counts, width)
            } else {
                windows::columns(counts)
            };
            out.write_all(drawn.as_bytes())?;
        }
    }
    out.flush()?;
    Ok(0)
}
