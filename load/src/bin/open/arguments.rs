//! The command line.

use std::{net::SocketAddr, time::Duration};

/// What to send, where and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Arguments {
    pub to: SocketAddr,
    /// Requests a second, over all threads.
    pub rate: f64,
    pub length: Duration,
    /// Over all threads.
    pub connections: usize,
    pub threads: usize,
    /// Distinct errors; 0 makes each one new.
    pub distinct: u64,
    /// Tells new errors of several runs apart.
    pub run: u64,
    pub path: String,
}

impl Arguments {
    /// Reads them, without the program's name.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut to = None;
        let mut read = Self {
            to: SocketAddr::from(([127, 0, 0, 1], 0)),
            rate: 1_000.0,
            length: Duration::from_secs(5),
            connections: 64,
            threads: 1,
            distinct: 200,
            run: 0,
            path: "/errors/log".to_owned(),
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
            let expected = |what: &str| format!("{name} {value}: expected {what}");
            match name.as_str() {
                "--to" => to = Some(value.parse().map_err(|_| expected("IP:PORT"))?),
                "--rate" => read.rate = value.parse().map_err(|_| expected("a number"))?,
                "--seconds" => {
                    let seconds: f64 = value.parse().map_err(|_| expected("a number"))?;
                    read.length =
                        Duration::try_from_secs_f64(seconds).map_err(|_| expected("a time"))?;
                }
                "--connections" => {
                    read.connections = value.parse().map_err(|_| expected("a number"))?;
                }
                "--threads" => read.threads = value.parse().map_err(|_| expected("a number"))?,
                "--distinct" => read.distinct = value.parse().map_err(|_| expected("a number"))?,
                "--run" => read.run = value.parse().map_err(|_| expected("a number"))?,
                "--path" => read.path.clone_from(&value),
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        read.to = to.ok_or("--to IP:PORT is needed")?;
        if read.threads == 0 || read.connections < read.threads {
            return Err("expected a thread at least, and a connection for each".to_owned());
        }
        if !read.rate.is_finite() || read.rate <= 0.0 {
            return Err(format!("--rate {}: expected more than 0", read.rate));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(words.iter().map(ToString::to_string))
    }

    #[test]
    fn flags_are_read() {
        let read = parsed(&["--to", "127.0.0.1:80", "--rate", "2.5", "--seconds", "0.5"]).unwrap();
        assert_eq!(read.to, SocketAddr::from(([127, 0, 0, 1], 80)));
        assert!((read.rate - 2.5).abs() < f64::EPSILON);
        assert_eq!((read.length, read.threads), (Duration::from_millis(500), 1));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let to = ["--to", "127.0.0.1:80"];
        for (words, named) in [
            (&[][..], "--to"),
            (&["--rate"], "--rate"),
            (&["--to", "x"], "--to x"),
            (&[to[0], to[1], "--rate", "0"], "--rate 0"),
            (&[to[0], to[1], "--threads", "0"], "thread"),
            (&[to[0], to[1], "--threads", "9", "--connections", "8"], "connection"),
            (&["--colour", "red"], "--colour"),
        ] {
            let fault = parsed(words).unwrap_err();
            assert!(fault.contains(named), "{words:?}: {fault}");
        }
    }
}
