//! Reads one error at one instant.

use errsift_ops::{
    event::Payload,
    fingerprint::{Fingerprint, RuleVersion},
    id::{Epoch, Shard},
    tags,
    timestamp::Timestamp,
};
use errsift_pipeline::ports::errors::{ErrorRow, ErrorsFault, ErrorsReader};
use mysql_async::Row;

use super::{
    faults::Failure,
    rows::push_bytes,
    session::{Session, column},
};

/// A reading handle.
pub struct Reader {
    session: Session,
}

impl Reader {
    pub fn new(session: Session) -> Self {
        Self { session }
    }
}

impl ErrorsReader for Reader {
    fn read(&mut self, shard: Shard, fingerprint: &Fingerprint) -> Result<ErrorRow, ErrorsFault> {
        let sql = select(shard, fingerprint);
        self.session.run(async |live| match live.query(&sql).await?.first() {
            Some(row) => error_row(row),
            None => Err(Failure::Value("an error came back without a row".to_owned())),
        })
    }
}

/// One statement, because a statement is what READ COMMITTED gives one snapshot to.
fn select(shard: Shard, fingerprint: &Fingerprint) -> String {
    let mut key = String::new();
    push_bytes(&mut key, &fingerprint.0);
    // times as numbers: UNIX_TIMESTAMP ends in 2038 on some servers
    format!(
        "SELECT COALESCE(g.epoch, 0), COALESCE(c.`count`, 0), \
         TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.first_seen) DIV 1000, \
         TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.last_seen) DIV 1000, \
         d.`rule`, d.message, d.stack_trace, d.`type`, d.`level`, d.service, d.environment, \
         d.`release`, d.tags \
         FROM (SELECT 1 AS one) AS here \
         LEFT JOIN applied_epochs AS g ON g.shard = {shard} AND g.part = {part} \
         LEFT JOIN error_counts AS c ON c.fingerprint = {key} \
         LEFT JOIN error_details AS d ON d.fingerprint = {key}",
        part = fingerprint.part(),
    )
}

/// Columns as [`select`] has them.
pub fn error_row(row: &Row) -> Result<ErrorRow, Failure> {
    Ok(ErrorRow {
        epoch: Epoch(column(row, 0)?),
        count: column(row, 1)?,
        first_seen: column::<Option<i64>>(row, 2)?.map(Timestamp::from_millis),
        last_seen: column::<Option<i64>>(row, 3)?.map(Timestamp::from_millis),
        details: match column::<Option<u16>>(row, 4)? {
            Some(rule) => Some((RuleVersion(rule), payload(row)?)),
            None => None,
        },
    })
}

fn payload(row: &Row) -> Result<Payload, Failure> {
    let tags: String = column(row, 12)?;
    Ok(Payload {
        message: column(row, 5)?,
        stack_trace: column(row, 6)?,
        kind: column(row, 7)?,
        level: column(row, 8)?,
        service: column(row, 9)?,
        environment: column(row, 10)?,
        release: column(row, 11)?,
        tags: tags::from_json(&tags).map_err(|error| Failure::Value(format!("tags: {error}")))?,
    })
}
