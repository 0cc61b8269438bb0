//! `errsift journal list`: a line for each job.

use std::io::Write;

use errsift_ops::{
    id::{Seq, Shard},
    job::{self, Job, JobError},
};
use serde_json::json;

use super::Fault;
use crate::{
    cli::exit,
    inspect::{InspectJournal, Standing, StoredJob},
};

/// Lists the jobs as they are read. Those that are trimmed or written meanwhile may be missing.
pub fn run(
    journal: &mut dyn InspectJournal,
    (shard, place): (Shard, &str),
    json: bool,
    out: &mut impl Write,
) -> Result<u8, Fault> {
    let standing = journal.standing()?;
    out.write_all(head(&standing, (shard, place), json).as_bytes())?;
    let (mut code, mut first, mut next) = (0, true, standing.base);
    loop {
        let page = journal.jobs(next)?;
        // a blank is told by the job that stands for it
        for stored in page.jobs.iter().filter(|stored| stored.bytes != job::BLANK) {
            let job = job::decode(&stored.bytes);
            if job.is_err() {
                code = exit::DATA;
            }
            if json && !first {
                out.write_all(b",\n")?;
            }
            first = false;
            out.write_all(line(stored, &job, json).as_bytes())?;
        }
        // what was written after the fence was read would have no end under load
        match page.jobs.last() {
            Some(last) if last.at < standing.fence.seq => next = last.at.next(),
            _ => break,
        }
    }
    if json {
        out.write_all(b"\n]}\n")?;
    }
    out.flush()?;
    Ok(code)
}

fn head(standing: &Standing, (shard, place): (Shard, &str), json: bool) -> String {
    let Standing { fence, base, jobs, bytes } = standing;
    if json {
        let head = json!({
            "shard": shard.0, "journal": place, "base": base.0, "count": jobs, "bytes": bytes,
            "fence": {
                "term": fence.term.0, "nonce": format!("{:016x}", fence.nonce.0),
                "seq": fence.seq.0, "epoch": fence.epoch.0, "events": fence.events,
            },
        })
        .to_string();
        // the jobs are its last field, and are written as they are read
        return head.strip_suffix('}').unwrap_or(&head).to_owned() + ",\"jobs\":[\n";
    }
    format!(
        "shard {shard}, {place}\n\
         fence   term {}, seq {}, epoch {}, events {}\n\
         list    {jobs} jobs from seq {base} on, {bytes} bytes\n\n\
         {:>10} {:>11} {:>6} {:>8} {:>8} {:>9}  {:<24}  {:<24}\n",
        fence.term,
        fence.seq,
        fence.epoch,
        fence.events,
        "SEQ",
        "EPOCH",
        "TERM",
        "EVENTS",
        "ENTRIES",
        "BYTES",
        "RECEIVED FROM",
        "UNTIL"
    )
}

fn line(stored: &StoredJob, job: &Result<Job, JobError>, json: bool) -> String {
    let (at, bytes) = (stored.at, stored.bytes.len());
    match (job, json) {
        (Ok(Job { term, first, flight, .. }), true) => json!({
            "seq": flight.seq.0, "first": first.0, "epoch": flight.epoch.0, "term": term.0,
            "events": flight.events(), "entries": flight.entries.len(), "bytes": bytes,
            "received_min": flight.received_min.to_string(),
            "received_max": flight.received_max.to_string(),
        })
        .to_string(),
        (Err(fault), true) => {
            json!({ "seq": at.0, "bytes": bytes, "fault": fault.to_string() }).to_string()
        }
        (Ok(Job { term, first, flight, .. }), false) => format!(
            "{} {:>11} {:>6} {:>8} {:>8} {bytes:>9}  {}  {}{}\n",
            number(flight.seq),
            flight.epoch.0,
            term.0,
            flight.events(),
            flight.entries.len(),
            flight.received_min,
            flight.received_max,
            merged(*first, flight.seq),
        ),
        (Err(fault), false) => format!("{} cannot be read, {bytes} bytes: {fault}\n", number(at)),
    }
}

/// What a job that stands for several flights says of them.
fn merged(first: Seq, seq: Seq) -> String {
    if first < seq { format!("  merged from {first} on") } else { String::new() }
}

fn number(seq: Seq) -> String {
    format!("{:>10}", seq.0)
}

#[cfg(test)]
mod tests {
    use super::super::verify::list::List;
    use super::*;

    fn printed(list: &mut List, json: bool) -> (u8, String) {
        let mut out = Vec::new();
        let code = run(list, (Shard(0), "memory"), json, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn jobs_are_lines() {
        let mut list = List::of(&[(1, 100, 2), (2, 100, 3)]);
        list.corrupt(2);
        let expected = "\
shard 0, memory
fence   term 1, seq 2, epoch 100, events 5
list    2 jobs from seq 1 on, 0 bytes

       SEQ       EPOCH   TERM   EVENTS  ENTRIES     BYTES  RECEIVED FROM             UNTIL                   
         1         100      1        2        1       182  1970-01-01T00:01:40.000Z  1970-01-01T00:01:40.000Z
         2 cannot be read, 143 bytes: job does not start with ESJB
";
        assert_eq!(printed(&mut list, false), (65, expected.to_owned()));
    }

    #[test]
    fn json_is_one_document() {
        let (code, text) = printed(&mut List::of(&[(1, 100, 2), (2, 101, 3)]), true);
        assert_eq!(code, 0);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["fence"]["seq"], 2);
        assert_eq!(read["jobs"][1]["epoch"], 101);
        let (_, empty) = printed(&mut List::of(&[]), true);
        assert!(serde_json::from_str::<serde_json::Value>(&empty).is_ok(), "{empty}");
    }
}
