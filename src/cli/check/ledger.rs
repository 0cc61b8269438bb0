//! `errsift check --ledger`: is every event that was ever journaled accounted for?

use std::{fmt::Write as _, io::Write, process::ExitCode};

use errsift_ops::id::Shard;

use crate::{
    cli::{
        exit,
        journal::verify::{Account, balance},
        output,
    },
    stores::Backend,
};

/// Prints each number and the difference. Exits 0 if that is 0, else 1; 69 if a store does not
/// answer, or never pauses long enough to be read at one moment.
pub fn run(backend: &Backend, shard: Shard) -> ExitCode {
    let (mut journal, mut guards) = backend.inspect(shard);
    let (journal_place, tables_place) = backend.describe();
    match balance(journal.as_mut(), guards.as_mut()) {
        Err(fault) => output::fail(exit::UNAVAILABLE, &format!("{journal_place}: {fault}")),
        Ok(Err(why)) => output::fail(exit::UNAVAILABLE, &format!("{tables_place}: {why}")),
        Ok(Ok(account)) => {
            let mut out = output::stdout();
            let printed = out
                .write_all(lines(shard, &account).as_bytes())
                .and_then(|()| out.flush())
                .map(|()| if account.difference() == 0 { 0 } else { exit::NOT_SO });
            output::printed(printed)
        }
    }
}

fn lines(shard: Shard, account: &Account) -> String {
    let Account { journaled, counted, pending, dead, dropped, in_dead_jobs } = *account;
    let mut lines = format!("shard {shard}, events\n");
    for (name, events, place) in [
        ("journaled", journaled, "the fence of the journal"),
        ("counted", counted, "guard rows of the tables"),
        ("pending", pending, "jobs that are not applied yet"),
        ("dead", dead, "dead letters; see errsift dead list"),
        ("dropped", dropped, "dead letters that were given up"),
        ("dead jobs", in_dead_jobs, "jobs of the journal that were set aside"),
    ] {
        // a String takes whatever is written to it
        let _ = writeln!(lines, "{name:<10} {events:>20}  {place}");
    }
    let meaning = match account.difference() {
        0 => "none missing, none twice",
        1.. => "journaled and nowhere to be found",
        _ => "in two places",
    };
    let _ = writeln!(lines, "{:<10} {:>20}  {meaning}", "difference", account.difference());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_says_what_it_means() {
        let account =
            Account { journaled: 27, counted: 5, pending: 9, dead: 4, dropped: 2, in_dead_jobs: 7 };
        let expected = "\
shard 3, events
journaled                    27  the fence of the journal
counted                       5  guard rows of the tables
pending                       9  jobs that are not applied yet
dead                          4  dead letters; see errsift dead list
dropped                       2  dead letters that were given up
dead jobs                     7  jobs of the journal that were set aside
difference                    0  none missing, none twice
";
        assert_eq!(lines(Shard(3), &account), expected);
        let twice = lines(Shard(3), &Account { counted: 6, ..account });
        assert!(twice.ends_with("                   -1  in two places\n"), "{twice}");
        let missing = lines(Shard(3), &Account { dead: 3, ..account });
        assert!(missing.ends_with("1  journaled and nowhere to be found\n"), "{missing}");
    }
}
