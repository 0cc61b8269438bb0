//! What the tables must say, compared round by round so that hours fit into memory.

use std::collections::BTreeMap;

use super::driver::is_repeated;
use crate::{
    load::{Attempt, Fate},
    stack::DATABASE,
    support::mariadb::Mariadb,
    tables::sha256,
};

/// Rows asked for by one statement.
const CHUNK: usize = 500;
const SHOWN: usize = 10;

/// What all rounds so far have left in the tables.
#[derive(Debug, Default)]
pub struct Books {
    rows: u64,
    sum: u64,
    /// Counts of the messages that every round repeats.
    repeated: BTreeMap<String, u64>,
}

/// What the oracle knows of one message in one round.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    acked: u64,
    maybe: u64,
}

impl Books {
    /// Compares the round's attempts with the tables and forgets them; says what is wrong. What
    /// earlier rounds have counted must not have changed since.
    pub fn compare(&mut self, mariadb: &Mariadb, round: u32, attempts: &[Attempt]) -> Vec<String> {
        let mut sent: BTreeMap<&str, Sent> = BTreeMap::new();
        for Attempt { message, fate } in attempts {
            let of = sent.entry(message).or_default();
            match fate {
                Fate::Acked => of.acked += 1,
                Fate::Maybe => of.maybe += 1,
                Fate::Not => {}
            }
        }
        let mut wrong = Vec::new();
        let all: Vec<(&str, Sent)> = sent.into_iter().collect();
        for chunk in all.chunks(CHUNK) {
            let mut found = counted(mariadb, chunk);
            for (message, sent) in chunk {
                let row = found.remove(&sha256(message));
                wrong.extend(self.take(message, *sent, row));
            }
        }
        let (rows, sum) = totals(mariadb, "SELECT COUNT(*), SUM(`count`) FROM error_counts");
        if (rows, sum) != (self.rows, self.sum) {
            wrong.push(format!(
                "{rows} rows counting {sum}, of which {} counting {} were sent",
                self.rows, self.sum
            ));
        }
        let (_, windows) = totals(mariadb, "SELECT COUNT(*), SUM(`count`) FROM error_windows");
        if windows != sum {
            wrong.push(format!("windows sum to {windows}, counts to {sum}"));
        }
        let more = wrong.len().saturating_sub(SHOWN);
        wrong.truncate(SHOWN);
        if more > 0 {
            wrong.push(format!("and {more} more"));
        }
        wrong.iter().map(|wrong| format!("round {round}: {wrong}")).collect()
    }

    /// Takes a message's row into the books; what is wrong with it, if anything is.
    fn take(&mut self, message: &str, sent: Sent, row: Option<(u64, String)>) -> Option<String> {
        let Sent { acked, maybe } = sent;
        let before = self.repeated.get(message).copied().unwrap_or(0);
        let count = row.as_ref().map_or(0, |(count, _)| *count);
        if before == 0 && count > 0 {
            self.rows += 1;
        }
        self.sum = self.sum.saturating_add(count).saturating_sub(before);
        if is_repeated(message) {
            self.repeated.insert(message.to_owned(), count);
        }
        if count < before + acked || count > before + acked + maybe {
            return Some(format!(
                "counted {count}, {before} before, {acked} acked, {maybe} maybe: {message}"
            ));
        }
        let other = row.map(|(_, words)| words).filter(|words| words != message)?;
        Some(format!("stored with other words: {message}: {other}"))
    }
}

/// Count and words of those messages that the tables have, by fingerprint in lower-case hex.
fn counted(mariadb: &Mariadb, messages: &[(&str, Sent)]) -> BTreeMap<String, (u64, String)> {
    let keys: Vec<String> =
        messages.iter().map(|(message, _)| format!("X'{}'", sha256(message))).collect();
    let sql = format!(
        "SELECT LOWER(HEX(c.fingerprint)), c.`count`, COALESCE(d.message, '') FROM error_counts c \
         LEFT JOIN error_details d USING (fingerprint) WHERE c.fingerprint IN ({})",
        keys.join(",")
    );
    let rows = mariadb.query(DATABASE, &sql).into_iter();
    rows.map(|row| {
        let (fingerprint, count, message) = mysql_async::from_row(row);
        (fingerprint, (count, message))
    })
    .collect()
}

fn totals(mariadb: &Mariadb, sql: &str) -> (u64, u64) {
    let sql = sql.replace("SUM(`count`)", "CAST(COALESCE(SUM(`count`), 0) AS UNSIGNED)");
    let mut rows = mariadb.query(DATABASE, &sql);
    mysql_async::from_row(rows.pop().expect("one row"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_find_what_is_lost_doubled_or_stored_wrong() {
        let sent = |acked, maybe| Sent { acked, maybe };
        let row = |count, words: &str| Some((count, words.to_owned()));
        let mut books = Books::default();
        assert_eq!(books.take("a", sent(1, 0), row(1, "a")), None);
        assert_eq!(books.take("b", sent(0, 1), None), None);
        assert_eq!(books.take("c", sent(0, 1), row(1, "c")), None);
        assert_eq!((books.rows, books.sum), (2, 2));
        assert!(books.take("lost", sent(1, 0), None).is_some());
        assert!(books.take("doubled", sent(1, 0), row(2, "doubled")).is_some());
        assert!(books.take("refused", sent(0, 0), row(1, "refused")).is_some());
        assert!(books.take("words", sent(1, 0), row(1, "others")).is_some());

        let mut books = Books::default();
        assert_eq!(books.take("repeated 1", sent(3, 2), row(4, "repeated 1")), None);
        assert_eq!(books.take("repeated 1", sent(2, 0), row(6, "repeated 1")), None);
        assert!(books.take("repeated 1", sent(1, 0), row(6, "repeated 1")).is_some());
        assert_eq!((books.rows, books.sum), (1, 6));
    }
}
