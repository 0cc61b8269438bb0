//! The text of questions. Nothing of a client's stands in it but as a number or in hex.

use std::fmt::Write as _;

use errsift_ops::{fingerprint::Fingerprint, id::Shard, timestamp::Timestamp};

use super::rows::{push_bytes, push_datetime, push_text};
use crate::query::{Label, Narrowing, Position, Sort, Walk};

/// How long a statement may take, in seconds.
pub const QUERY_SECONDS: u32 = 5;
/// What a walk knows of an error.
pub const COUNTED: &str = "c.fingerprint, c.`count`, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.first_seen) DIV 1000, \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.last_seen) DIV 1000";
/// What a filter needs besides.
pub const DETAILED: &str = "d.service, d.`level`, d.environment, d.message";

/// What either server takes for its own way to limit a statement's time is a comment to the other.
pub fn limited(select: &str) -> String {
    let rest = select.strip_prefix("SELECT").unwrap_or(select);
    format!(
        "/*M!100100 SET STATEMENT max_statement_time = {QUERY_SECONDS} FOR */ \
         SELECT /*+ MAX_EXECUTION_TIME({QUERY_SECONDS}000) */{rest}"
    )
}

/// What an order is by, and its index.
fn order(sort: Sort) -> (&'static str, &'static str) {
    match sort {
        Sort::Count => ("`count`", "by_count"),
        Sort::LastSeen => ("last_seen", "by_last_seen"),
        Sort::FirstSeen => ("first_seen", "by_first_seen"),
    }
}

/// Two ranges instead of one condition with OR in it: of many errors with an equal key, those that
/// were on earlier pages are not read again.
pub fn walk_sql(walk: &Walk) -> String {
    let (key, index) = order(walk.sort);
    let max = walk.max;
    let stretch = |condition: &str| {
        format!(
            "(SELECT fingerprint, `count`, first_seen, last_seen FROM error_counts \
             FORCE INDEX ({index}){condition} ORDER BY {key} DESC, fingerprint DESC LIMIT {max})"
        )
    };
    let stretches = match walk.after {
        None => stretch(""),
        Some(Position { key: after, fingerprint }) => {
            let mut value = String::new();
            match walk.sort {
                Sort::Count => {
                    let _ = write!(value, "{after}");
                }
                _ => push_datetime(&mut value, Timestamp::from_millis(after.cast_signed())),
            }
            let mut equal = format!(" WHERE {key} = {value} AND fingerprint < ");
            push_bytes(&mut equal, &fingerprint.0);
            let less = stretch(&format!(" WHERE {key} < {value}"));
            format!("{} UNION ALL {less}", stretch(&equal))
        }
    };
    let (detailed, joined) = if walk.details {
        (format!(", {DETAILED}"), " LEFT JOIN error_details AS d ON d.fingerprint = c.fingerprint")
    } else {
        (String::new(), "")
    };
    format!(
        "SELECT {COUNTED}{detailed} FROM (SELECT * FROM ({stretches}) AS stretches \
         ORDER BY {key} DESC, fingerprint DESC LIMIT {max}) AS c{joined} \
         ORDER BY c.{key} DESC, c.fingerprint DESC"
    )
}

/// What `error_details AS d` must meet.
pub fn condition(narrowing: Narrowing<'_>) -> String {
    let mut sql = String::new();
    match narrowing {
        Narrowing::Label(label, value) => {
            sql.push_str(match label {
                Label::Service => "d.service = ",
                Label::Level => "d.`level` = ",
                Label::Environment => "d.environment = ",
            });
            push_text(&mut sql, value);
        }
        Narrowing::Prefix(prefix) => {
            let mut pattern = String::with_capacity(prefix.len() + 1);
            for c in prefix.chars() {
                if matches!(c, '%' | '_' | '|') {
                    pattern.push('|');
                }
                pattern.push(c);
            }
            pattern.push('%');
            sql.push_str("d.message LIKE ");
            push_text(&mut sql, &pattern);
            sql.push_str(" ESCAPE '|'");
        }
    }
    sql
}

/// One statement, because a statement is what READ COMMITTED gives one snapshot to.
pub fn rows_sql(shard: Shard, fingerprints: &[Fingerprint]) -> String {
    let mut keys = String::new();
    for fingerprint in fingerprints {
        keys.push_str(if keys.is_empty() { "SELECT " } else { " UNION ALL SELECT " });
        push_bytes(&mut keys, &fingerprint.0);
        let _ = write!(keys, " AS fingerprint, {} AS part", fingerprint.part());
    }
    format!(
        "SELECT COALESCE(g.epoch, 0), COALESCE(c.`count`, 0), \
         TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.first_seen) DIV 1000, \
         TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.last_seen) DIV 1000, \
         d.`rule`, d.message, NULL, d.`type`, d.`level`, d.service, d.environment, \
         d.`release`, d.tags, k.fingerprint FROM ({keys}) AS k \
         LEFT JOIN applied_epochs AS g ON g.shard = {shard} AND g.part = k.part \
         LEFT JOIN error_counts AS c ON c.fingerprint = k.fingerprint \
         LEFT JOIN error_details AS d ON d.fingerprint = k.fingerprint"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_text_is_inert() {
        let prefix = "50%_|'\\";
        let expected = "d.message LIKE _utf8mb4 X'35307C257C5F7C7C275C25' ESCAPE '|'";
        assert_eq!(condition(Narrowing::Prefix(prefix)), expected);
        let label = condition(Narrowing::Label(Label::Level, "' OR 1"));
        assert_eq!(label, "d.`level` = _utf8mb4 X'27204F522031'");
    }

    #[test]
    fn either_server_limits_its_time() {
        assert_eq!(
            limited("SELECT 1"),
            "/*M!100100 SET STATEMENT max_statement_time = 5 FOR */ \
             SELECT /*+ MAX_EXECUTION_TIME(5000) */ 1"
        );
    }
}
