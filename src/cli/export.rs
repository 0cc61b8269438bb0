//! `errsift export`: what the tables hold, as NDJSON or CSV, beside a running server if there is one.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use errsift_ops::timestamp::Timestamp;
use errsift_pipeline::ports::clock::Clock;

use tokio::runtime::Runtime;

use super::{
    exit, output,
    serve::{open, runtime},
};
use crate::{
    clock::SystemClock,
    export::{ExportFault, ExportRows, Format, Lines, Subject, export},
    mysql::MysqlErrors,
    query::{Filter, Label, Search, moment},
    settings::StoreSettings,
    tls::Tls,
};

/// What to export, and where to.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// What
    #[arg(value_enum, default_value_t)]
    subject: Subject,

    /// How lines are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// The file to write; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    output: PathBuf,

    /// Errors of exactly this service
    #[arg(long)]
    service: Option<String>,

    /// Errors of exactly this level
    #[arg(long)]
    level: Option<String>,

    /// Errors of exactly this environment
    #[arg(long)]
    environment: Option<String>,

    /// Messages with all these words, the last perhaps cut; or those that begin as in `text*`
    #[arg(long, value_name = "WORDS")]
    q: Option<String>,

    /// From then on: RFC 3339, seconds since 1970, or as in -15m, -24h, -7d. Errors whose life
    /// overlaps the range, or windows in it
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    since: Option<String>,

    /// Until then
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    until: Option<String>,

    /// Where the tables are.
    #[command(flatten, next_help_heading = "Stores")]
    stores: Box<StoreSettings>,
}

/// Exits 0, also when the reader has gone; 69 if the tables do not answer, 74 if the output cannot
/// be written, 78 if a setting is wrong.
pub fn run(args: &ExportArgs) -> ExitCode {
    let filter = match filter(args, SystemClock::start().wall()) {
        Ok(filter) => filter,
        Err(wrong) => return output::fail(exit::CONFIG, &wrong),
    };
    let (_runtime, mut rows, place) = match opened(&args.stores) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let to_file = args.output != Path::new("-");
    let out: Box<dyn Write> = if to_file {
        match File::create(&args.output) {
            Ok(file) => Box::new(BufWriter::new(file)),
            Err(fault) => {
                return output::fail(exit::IO, &format!("{}: {fault}", args.output.display()));
            }
        }
    } else {
        Box::new(output::stdout())
    };
    let done = Lines::new(args.subject, args.format, out)
        .map_err(ExportFault::from)
        .and_then(|mut lines| export(rows.as_mut(), &filter, &mut lines));
    match done {
        Ok(_) => ExitCode::SUCCESS,
        Err(ExportFault::Tables(fault)) => {
            output::fail(exit::UNAVAILABLE, &format!("{place}: {fault}"))
        }
        Err(ExportFault::Output(fault)) if to_file => {
            output::fail(exit::IO, &format!("{}: {fault}", args.output.display()))
        }
        Err(ExportFault::Output(fault)) => output::printed(Err(fault)),
    }
}

/// The rows, and where they are, for people. Without a journal too: rows are read from tables alone.
fn opened(stores: &StoreSettings) -> Result<(Runtime, Box<dyn ExportRows>, String), ExitCode> {
    let (Some(url), None) = (&stores.mysql_url, &stores.redis_url) else {
        let (runtime, backend) = open(stores)?;
        let (rows, place) = (backend.export(), backend.describe().1);
        return Ok((runtime, rows, place));
    };
    let config = |reason: &str| output::fail(exit::CONFIG, reason);
    let tls = Tls::read(&stores.tls).map_err(|wrong| config(&wrong.join("\n")))?;
    let runtime = runtime()?;
    let errors = MysqlErrors::new(url, runtime.handle().clone())
        .map_err(|reason| config(&format!("--mysql-url: {reason}")))?
        .trusting(&tls);
    Ok((runtime, errors.export(), format!("mysql at {}", errors.address())))
}

fn filter(args: &ExportArgs, now: Timestamp) -> Result<Filter, String> {
    if args.subject == Subject::Events && args.format == Format::Csv {
        return Err("--format: events are written as ndjson only".to_owned());
    }
    let time = |name: &str, given: &Option<String>| {
        let Some(text) = given else { return Ok(None) };
        let expected = "expected RFC 3339, seconds or milliseconds since 1970, or as in -15m";
        moment(text, now).map(Some).ok_or_else(|| format!("--{name}: {expected}"))
    };
    let labels = [
        (Label::Service, &args.service),
        (Label::Level, &args.level),
        (Label::Environment, &args.environment),
    ];
    let labels = labels.into_iter().filter_map(|(label, value)| Some((label, value.clone()?)));
    let search = match &args.q {
        Some(q) => {
            Some(Search::of(q).ok_or("--q: expected words, or the start of a message and *")?)
        }
        None => None,
    };
    let (since, until) = (time("since", &args.since)?, time("until", &args.until)?);
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        return Err("--since: expected a time before --until".to_owned());
    }
    Ok(Filter { labels: labels.collect(), search, since, until })
}
