//! Whether the user may do all that errsift needs.
//!
//! The fewest privileges, on errsift's own database:
//!
//! ```sql
//! GRANT SELECT, INSERT, UPDATE, ALTER, CREATE, CREATE VIEW, DROP ON errsift.* TO errsift;
//! ```
//!
//! The last four only while the schema is behind: `CREATE OR REPLACE VIEW` counts as `DROP`.
//!
//! Grants come by name, pattern and role, and no server tells what they add up to. So each is
//! tried with a statement that the server turns away, or that touches no row, after it has looked
//! at the privilege.

use super::{
    faults::Failure,
    schema,
    session::{Live, column},
};
use crate::{
    check::{Check, Verdict},
    schema::SchemaFault,
};

const NAME: &str = "privileges";

/// Access denied: to a database, table or column, or for want of a global privilege.
const DENIED: [u16; 4] = [1044, 1142, 1143, 1227];

/// For every day.
const SERVING: [(&str, &str); 3] = [
    ("SELECT", "SELECT 1 FROM error_counts LIMIT 0"),
    ("INSERT", "INSERT INTO error_counts (fingerprint, no_such_column) VALUES (1)"),
    ("UPDATE", "UPDATE error_counts SET first_seen = NULL LIMIT 0"),
];

/// For bringing the schema up to date.
const MIGRATING: [(&str, &str); 4] = [
    ("ALTER", "ALTER TABLE error_counts DROP COLUMN no_such_column"),
    ("CREATE", "CREATE TABLE errsift_absent (a INT, a INT)"),
    ("CREATE VIEW", "CREATE VIEW errsift_absent AS SELECT 1 AS a, 2 AS a"),
    ("DROP", "DROP VIEW errsift_absent"),
];

/// The privileges that are missing.
async fn missing(live: &mut Live) -> Result<Vec<&'static str>, Failure> {
    let mut missing = Vec::new();
    let behind = schema::is_behind(live).await?;
    let needed = SERVING.iter().chain(MIGRATING.iter().filter(|_| behind));
    for (privilege, statement) in needed {
        match live.run(statement).await {
            Err(Failure::Server(error)) if DENIED.contains(&error.code) => missing.push(*privilege),
            // any other answer of the server comes after its look at the privilege
            Ok(_) | Err(Failure::Server(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(missing)
}

/// Tries each privilege and says what grants those that are missing.
pub async fn check(live: &mut Live) -> Result<Check, Failure> {
    let missing = missing(live).await?;
    let rows = live.query("SELECT CURRENT_USER(), DATABASE()").await?;
    let row = rows.first().ok_or_else(|| Failure::Value("no user came back".to_owned()))?;
    let (user, database): (String, String) = (column(row, 0)?, column(row, 1)?);
    if missing.is_empty() {
        return Ok(Check::new(
            NAME,
            format!("all that schema {} needs, as {user}", schema::NEWEST),
            Verdict::Ok,
            "",
        ));
    }
    let missing = missing.join(", ");
    let remedy = format!("GRANT {missing} ON {} TO {}", pattern(&database), account(&user));
    Ok(Check::new(NAME, format!("{user} without {missing}"), Verdict::Wrong, remedy))
}

/// Refuses a user without them.
pub async fn demand(live: &mut Live) -> Result<Result<(), SchemaFault>, Failure> {
    let check = check(live).await?;
    Ok(match check.verdict {
        Verdict::Ok => Ok(()),
        _ => Err(SchemaFault::Denied { line: check.line("mysql") }),
    })
}

/// All tables of a database, as GRANT takes it.
fn pattern(database: &str) -> String {
    format!("`{}`.*", database.replace('`', "``"))
}

/// `user@host` as GRANT takes it; a host has no `@`.
fn account(user: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match user.rsplit_once('@') {
        Some((name, host)) => format!("{}@{}", quoted(name), quoted(host)),
        None => quoted(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_grant_takes_them() {
        assert_eq!(account("o'app@x@10.0.%"), "'o''app@x'@'10.0.%'");
        assert_eq!(account("role"), "'role'");
        assert_eq!(pattern("er`rors"), "`er``rors`.*");
    }
}
