//! `errsift top`: the loudest errors of a running server.

mod frame;
mod rates;
mod screen;
mod table;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    thread,
    time::Duration,
};

use clap::{Args, ValueEnum, value_parser};

use self::rates::{Loud, Sampler};
use super::{asked, exit, output};
use crate::{
    client::{Answered, Client, ClientFault, ErrorRow, Query, Raw},
    clock::SystemClock,
    settings::{self, ClientSettings},
    text,
};

/// Columns of plain output that does not go to a terminal.
const PLAIN_WIDTH: usize = 160;

/// Rows that rates are looked for in, if that is more than the rows to show.
const RATED_ROWS_MIN: u16 = 100;

/// What to watch.
#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    #[command(flatten)]
    client: ClientSettings,

    /// What comes first; `s` changes it on a terminal
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    sort: Sort,

    /// Errors to show: 1 to 500
    #[arg(short = 'n', long, default_value = "50", value_parser = value_parser!(u16).range(1..=500),
          value_name = "N")]
    limit: u16,

    /// How often to ask the server, and what rates are measured over: 100ms to 1h
    #[arg(long, default_value = "2s", value_parser = settings::every, value_name = "TIME")]
    every: Duration,

    /// Only errors of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// Only errors of this level
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,

    /// Only errors of this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,

    /// Only errors with this beginning or word of the message
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,

    /// Print the table once, also on a terminal
    #[arg(long)]
    once: bool,

    /// Print the server's rows once, one JSON object a line
    #[arg(long)]
    json: bool,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// Events per second, measured between two looks
    #[default]
    Rate,
    /// Events ever counted
    Count,
    /// The latest to happen
    #[value(name = "last_seen")]
    LastSeen,
    /// The latest to appear
    #[value(name = "first_seen")]
    FirstSeen,
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Count => "count",
            Self::LastSeen => "last_seen",
            Self::FirstSeen => "first_seen",
        }
    }

    /// The one after this, round and round.
    fn next(self) -> Self {
        match self {
            Self::Rate => Self::Count,
            Self::Count => Self::LastSeen,
            Self::LastSeen => Self::FirstSeen,
            Self::FirstSeen => Self::Rate,
        }
    }
}

impl TopArgs {
    fn filters(&self) -> Vec<(&'static str, String)> {
        let given = [
            ("service", &self.service),
            ("level", &self.level),
            ("environment", &self.environment),
            ("q", &self.q),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

/// Watches until told to stop if standard output is a terminal, else prints once. Exits 0; in
/// plain mode 69 if the server does not answer, 77 if it wants another key; 78 if a setting is
/// wrong.
pub fn run(args: &TopArgs) -> ExitCode {
    let client = match Client::new(&args.client) {
        Ok(client) => client,
        Err(wrong) => return output::fail(exit::CONFIG, &wrong),
    };
    if io::stdout().is_terminal() && !args.once && !args.json {
        return screen::watch(args, client);
    }
    let mut watcher = Watcher::new(args, client);
    let looked = watcher.look(args.sort).and_then(|looked| {
        // a rate needs two looks; other orders do not wait for one
        if args.sort == Sort::Rate && !args.json {
            thread::sleep(args.every);
            return watcher.look(args.sort);
        }
        Ok(looked)
    });
    match looked {
        Ok(looked) => output::printed(print(args, &looked)),
        Err(fault) => asked::failed(watcher.client.server(), &fault),
    }
}

fn print(args: &TopArgs, looked: &Answered<Vec<Loud>>) -> io::Result<u8> {
    let mut out = output::stdout();
    if args.json {
        for loud in &looked.data {
            writeln!(out, "{}", text::escaped_json(&loud.row.json))?;
        }
    } else {
        let on_terminal = io::stdout().is_terminal().then(crossterm::terminal::size);
        let width = on_terminal.and_then(Result::ok).map_or(PLAIN_WIDTH, |(width, _)| width.into());
        for line in table::lines(&looked.data, looked.at, width) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(0)
}

/// Asks the server, again and again, and measures rates.
struct Watcher {
    client: Client,
    clock: SystemClock,
    sampler: Sampler,
    filters: Vec<(&'static str, String)>,
    limit: u16,
}

impl Watcher {
    fn new(args: &TopArgs, client: Client) -> Self {
        Self {
            client,
            clock: SystemClock::start(),
            sampler: Sampler::default(),
            filters: args.filters(),
            limit: args.limit,
        }
    }

    /// The loudest errors, in order.
    fn look(&mut self, sort: Sort) -> Result<Answered<Vec<Loud>>, ClientFault> {
        use errsift_pipeline::ports::clock::Clock;
        let mut rows;
        let at;
        if sort == Sort::Rate {
            // an error with a high rate has been seen lately, or often, or both
            let many = self.limit.max(RATED_ROWS_MIN);
            rows = self.ask("last_seen", many)?.data;
            let often = self.ask("count", many)?;
            at = often.at;
            rows.extend(often.data);
        } else {
            let page = self.ask(sort.name(), self.limit)?;
            (rows, at) = (page.data, page.at);
        }
        let mut loud = self.sampler.sample(rows, self.clock.monotonic(), at);
        if sort == Sort::Rate {
            rates::by_rate(&mut loud);
        }
        loud.truncate(self.limit.into());
        Ok(Answered { data: loud, at })
    }

    fn ask(
        &self,
        sort: &'static str,
        limit: u16,
    ) -> Result<Answered<Vec<Raw<ErrorRow>>>, ClientFault> {
        let query = Query { sort, limit, filters: self.filters.clone() };
        match self.client.errors(&query) {
            Ok(page) => Ok(Answered { data: page.data.errors, at: page.at }),
            Err(ClientFault::NotFound(_)) => Err(ClientFault::NotFound(
                "the server has no list of errors: it is older than this errsift, or its path is \
                 missing in --server"
                    .to_owned(),
            )),
            Err(fault) => Err(fault),
        }
    }
}
