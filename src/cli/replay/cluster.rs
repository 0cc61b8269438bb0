//! Several processes that replay together, as timely runs them.

use std::{fs, num::NonZeroUsize};

use clap::Args;

use crate::replay::input::Share;

/// The first port of processes that are not told any address, as timely has it.
const PORT: usize = 2101;

/// Which process this is, and where the others are.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// Processes that replay the same logs together, each with its share of the chunks: 1 to 256.
    /// All are given the same arguments but --process, and can read the logs by the same names
    #[arg(long, default_value = "1", value_parser = processes, value_name = "N")]
    pub processes: NonZeroUsize,

    /// Which of them this is, from 0
    #[arg(long, default_value = "0", value_name = "I")]
    pub process: usize,

    /// File with a line HOST:PORT for each process, in order; without it they are on this machine,
    /// on ports from 2101 on
    #[arg(long, alias = "hostfile", value_name = "FILE")]
    pub hosts: Option<std::path::PathBuf>,
}

impl ClusterArgs {
    /// Whether there are others.
    pub fn is_many(&self) -> bool {
        self.processes.get() > 1
    }

    /// This process's share of the chunks; an error names the setting that is wrong.
    pub fn share(&self) -> Result<Share, String> {
        let (process, processes) = (self.process, self.processes.get());
        if process < processes {
            return Ok(Share { process, processes });
        }
        Err(format!("--process: expected a number below --processes, which is {processes}"))
    }

    /// Where each process listens, in order; an error names the setting that is wrong.
    pub fn addresses(&self) -> Result<Vec<String>, String> {
        let processes = self.processes.get();
        let Some(path) = &self.hosts else {
            return Ok((0..processes).map(|at| format!("localhost:{}", PORT + at)).collect());
        };
        let text = fs::read_to_string(path)
            .map_err(|error| format!("--hosts: {}: {error}", path.display()))?;
        let lines: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .take(processes)
            .map(str::to_owned)
            .collect();
        if lines.len() < processes {
            let found = lines.len();
            return Err(format!("--hosts: {found} addresses for {processes} processes"));
        }
        Ok(lines)
    }
}

fn processes(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= 256);
    number.ok_or_else(|| "expected a number from 1 to 256".to_owned())
}
