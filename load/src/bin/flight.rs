//! One flight's round trip: what an answer waits for when nothing else is in the way.
//!
//! Sends Redis the commands of a commit (`MULTI · RPUSH · HSET · EXEC · WATCH · HMGET`) in one write,
//! waits for all the answers, and again; errsift's own commits on a connection of their own have
//! nothing to do with these keys.
//!
//! Usage: `flight --to IP:PORT [--flights 2000] [--bytes 600]`, the bytes being those of a job.
//! Prints one line of JSON, in microseconds.
#![expect(clippy::disallowed_methods, reason = "a load generator measures by the clock")]

use std::{
    error::Error,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use hdrhistogram::Histogram;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut to, mut flights, mut bytes) = (None, 2_000_u32, 600_usize);
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--to" => to = Some(value.parse::<SocketAddr>()?),
            "--flights" => flights = value.parse()?,
            "--bytes" => bytes = value.parse()?,
            _ => return Err(format!("unknown argument {name}").into()),
        }
    }
    let mut stream = TcpStream::connect(to.ok_or("--to IP:PORT is needed")?)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let job = "j".repeat(bytes);
    let mut took: Histogram<u64> = Histogram::new(3)?;
    for seq in 0..flights {
        let commit = commit(&job, seq);
        let begun = Instant::now();
        stream.write_all(&commit)?;
        for _ in 0..6 {
            skip(&mut answers)?;
        }
        took.record(u64::try_from(begun.elapsed().as_micros())?.max(1))?;
    }
    stream.write_all(&command(&["DEL", "bench:journal", "bench:fence"]))?;
    skip(&mut answers)?;
    println!(
        r#"{{"flights":{flights},"p50_us":{},"p90_us":{},"p99_us":{},"max_us":{}}}"#,
        took.value_at_quantile(0.5),
        took.value_at_quantile(0.9),
        took.value_at_quantile(0.99),
        took.max()
    );
    Ok(())
}

fn commit(job: &str, seq: u32) -> Vec<u8> {
    let seq = seq.to_string();
    let read = ["HMGET", "bench:fence", "term", "nonce", "seq", "epoch", "events"];
    [
        command(&["MULTI"]),
        command(&["RPUSH", "bench:journal", job]),
        command(&["HSET", "bench:fence", "seq", &seq, "epoch", "1767225600", "events", &seq]),
        command(&["EXEC"]),
        command(&["WATCH", "bench:fence"]),
        command(&read),
    ]
    .concat()
}

fn command(words: &[&str]) -> Vec<u8> {
    let words =
        words.iter().flat_map(|word| [format!("${}\r\n", word.len()), format!("{word}\r\n")]);
    let words: Vec<_> = words.collect();
    format!("*{}\r\n{}", words.len() / 2, words.concat()).into_bytes()
}

/// Reads one answer and forgets it.
fn skip(answers: &mut impl BufRead) -> Result<(), Box<dyn Error>> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    let (kind, rest) = line.trim_end().split_at_checked(1).ok_or("no answer")?;
    match kind {
        "+" | ":" => Ok(()),
        "$" if rest == "-1" => Ok(()),
        "$" => {
            let mut text = vec![0; rest.parse::<usize>()? + 2];
            Ok(answers.read_exact(&mut text)?)
        }
        "*" => (0..rest.parse::<usize>()?).try_for_each(|_| skip(answers)),
        _ => Err(line.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_skipped_whole() {
        let text = b"*2\r\n:1\r\n$3\r\na\r\n\r\n+OK\r\n$-1\r\n-ERR no\r\n";
        let mut answers = &text[..];
        for _ in 0..3 {
            skip(&mut answers).unwrap();
        }
        assert_eq!(skip(&mut answers).unwrap_err().to_string(), "-ERR no\r\n");
        assert!(skip(&mut answers).is_err());
    }

    #[test]
    fn commands_have_their_lengths() {
        assert_eq!(command(&["GET", "é"]), "*2\r\n$3\r\nGET\r\n$2\r\né\r\n".as_bytes());
    }
}
