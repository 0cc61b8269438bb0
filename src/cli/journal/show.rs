//! `errsift journal show SEQ`: what one job holds.

use std::io::Write;

use errsift_ops::{
    flight::{Entry, Flight},
    id::Seq,
    job::{self, Job},
};
use serde_json::json;

use super::Fault;
use crate::{
    cli::{exit, output},
    inspect::{InspectJournal, StoredJob},
    text,
};

/// Columns of a message.
const MESSAGE_WIDTH: usize = 100;

/// Shows the job at `seq`. Exits 1 if it is not in the journal, 65 if it cannot be read.
pub fn run(
    journal: &mut dyn InspectJournal,
    seq: Seq,
    json: bool,
    out: &mut impl Write,
) -> Result<u8, Fault> {
    let page = journal.jobs(seq)?;
    let Some(stored) = page.jobs.first().filter(|stored| stored.at == seq) else {
        let fence = journal.standing()?.fence;
        let why = if seq < page.base {
            format!("trimmed: the journal begins at {}, what is before is in the tables", page.base)
        } else if seq > fence.seq {
            format!("not executed yet: the last is {}", fence.seq)
        } else {
            "missing; see errsift journal verify".to_owned()
        };
        output::complain(&format!("seq {seq} is not in the journal, {why}"));
        return Ok(exit::NOT_SO);
    };
    let Some(stored) = merged_into(journal, stored.clone())? else {
        output::complain(&format!("seq {seq} was merged, and the job is missing"));
        return Ok(exit::DATA);
    };
    if stored.at > seq {
        output::complain(&format!("seq {seq} was merged into seq {}", stored.at));
    }
    let job = match job::decode(&stored.bytes) {
        Ok(job) => job,
        Err(fault) => {
            let bytes = stored.bytes.len();
            output::complain(&format!("seq {seq} cannot be read, {bytes} bytes: {fault}"));
            return Ok(exit::DATA);
        }
    };
    if job::header(&stored.bytes).is_ok_and(|header| header.tombstone) {
        let epoch = job.flight.epoch;
        output::complain(&format!("seq {seq}, epoch {epoch}, was set aside; see errsift dead"));
        return Ok(exit::NOT_SO);
    }
    if json {
        write_json(&job, stored.bytes.len(), out)?;
    } else {
        out.write_all(head(&job, stored.bytes.len()).as_bytes())?;
        for entry in &job.flight.entries {
            out.write_all(line(entry).as_bytes())?;
        }
    }
    out.flush()?;
    Ok(0)
}

/// The job that stands for a blank: the next that is none.
fn merged_into(
    journal: &mut dyn InspectJournal,
    mut stored: StoredJob,
) -> Result<Option<StoredJob>, Fault> {
    while stored.bytes == job::BLANK {
        let page = journal.jobs(stored.at.next())?;
        let found = page.jobs.iter().find(|stored| stored.bytes != job::BLANK);
        match found.or(page.jobs.last()) {
            Some(found) => stored = found.clone(),
            None => return Ok(None),
        }
    }
    Ok(Some(stored))
}

fn head(job: &Job, bytes: usize) -> String {
    let Job { shard, term, flight, .. } = job;
    let Flight { seq, epoch, received_min, received_max, entries, ids } = flight;
    format!(
        "seq {seq}, epoch {epoch}, term {term}, shard {shard}\n\
         {} events in {} entries, {} with an id, {bytes} bytes\n\
         received {received_min} to {received_max}\n\n\
         {:<64}  {:<24} {:>8}  {:<24}  {:<24}  {}\n",
        flight.events(),
        entries.len(),
        ids.len(),
        "FINGERPRINT",
        "WINDOW",
        "COUNT",
        "FIRST SEEN",
        "LAST SEEN",
        "MESSAGE"
    )
}

fn line(entry: &Entry) -> String {
    let Entry { fingerprint, window, tally, details } = entry;
    // a job brings an error's words only until their row is stored
    let message = details.as_ref().map_or_else(String::new, |details| {
        text::cut(&text::first_line(&details.payload.message), MESSAGE_WIDTH)
    });
    let (start, first, last) = (window.start(), tally.first, tally.last);
    let line = format!("{fingerprint}  {start} {:>8}  {first}  {last}  {message}", tally.count);
    line.trim_end().to_owned() + "\n"
}

fn write_json(job: &Job, bytes: usize, out: &mut impl Write) -> std::io::Result<()> {
    let Flight { seq, epoch, received_min, received_max, entries, ids } = &job.flight;
    writeln!(
        out,
        "{{\"seq\":{seq},\"epoch\":{epoch},\"term\":{},\"shard\":{},\"events\":{},\"with_id\":{},\
         \"bytes\":{bytes},\"received_min\":\"{received_min}\",\"received_max\":\"{received_max}\",\
         \"entries\":[",
        job.term,
        job.shard,
        job.flight.events(),
        ids.len()
    )?;
    for (at, entry) in entries.iter().enumerate() {
        let separator = if at + 1 == entries.len() { "" } else { "," };
        let payload = entry.details.as_ref().map(|details| &details.payload);
        let line = json!({
            "fingerprint": entry.fingerprint.to_string(),
            "window": entry.window.start().to_string(),
            "count": entry.tally.count,
            "first_seen": entry.tally.first.to_string(),
            "last_seen": entry.tally.last.to_string(),
            "message": payload.map(|payload| &payload.message),
            "service": payload.and_then(|payload| payload.service.as_ref()),
        });
        writeln!(out, "{}{separator}", text::escaped_json(&line.to_string()))?;
    }
    out.write_all(b"]}\n")
}

#[cfg(test)]
mod tests {
    use super::super::verify::list::List;
    use super::*;

    fn shown(list: &mut List, seq: u64, json: bool) -> (u8, String) {
        let mut out = Vec::new();
        let code = run(list, Seq(seq), json, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn entries_are_lines() {
        let mut list = List::of(&[(1, 100, 2)]);
        let (code, text) = shown(&mut list, 1, false);
        assert_eq!(code, 0);
        let line = text.lines().last().unwrap();
        assert_eq!(
            line,
            "0101010101010101010101010101010101010101010101010101010101010101  \
             1970-01-01T00:01:30.000Z        2  1970-01-01T00:01:40.000Z  \
             1970-01-01T00:01:40.000Z  a\\u{1b}b…"
        );
        let (_, json) = shown(&mut list, 1, true);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["with_id"], 1);
        assert_eq!(read["entries"][0]["message"], "a\u{1b}b\nc");
    }

    #[test]
    fn what_is_not_there_is_said() {
        let mut list = List::of(&[(1, 100, 2), (2, 100, 2)]);
        list.corrupt(2);
        assert_eq!(shown(&mut list, 3, false), (1, String::new()));
        assert_eq!(shown(&mut list, 2, true), (65, String::new()));
        list.set_aside(1);
        assert_eq!(shown(&mut list, 1, false), (1, String::new()));
    }
}
