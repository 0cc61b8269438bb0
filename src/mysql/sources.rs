//! The recorded logs that the tables know.

use errsift_ops::id::Shard;
use errsift_pipeline::ports::errors::ErrorsFault;
use mysql_async::Row;

use super::{
    faults::Failure,
    rows::{push_bytes, push_text},
    session::{Live, Session, column},
};
use crate::replay::sources::{HEAD_BYTES, Identity, Source, Sources, Wanted};

const COLUMNS: &str = "SELECT shard, head_bytes, identity, rules FROM replay_sources";

/// Asks and adds.
pub struct KnownSources {
    pub session: Session,
}

impl Sources for KnownSources {
    fn find(&mut self, wanted: &Wanted) -> Result<Option<Source>, ErrorsFault> {
        self.session.run(async |live| find(live, wanted).await)
    }

    fn set_rules(&mut self, shard: Shard, rules: &[u8; 32]) -> Result<(), ErrorsFault> {
        let sql =
            format!("UPDATE replay_sources SET rules = {} WHERE shard = {shard}", literal(rules));
        self.session.run(async |live| live.run(&sql).await.map(drop))
    }
}

async fn find(live: &mut Live, wanted: &Wanted) -> Result<Option<Source>, Failure> {
    if let Some(source) = exact(live, &wanted.identity).await? {
        return Ok(Some(source));
    }
    if let Some(head_bytes) = wanted.identity.head_bytes {
        let shorter = format!(
            "{COLUMNS} WHERE head_bytes < {} ORDER BY head_bytes DESC",
            head_bytes.min(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        );
        let rows = live.query(&shorter).await?;
        let known = rows.iter().map(source).collect::<Result<Vec<_>, _>>()?;
        if let Some(found) = wanted.grown_from(&known) {
            // another may have been as quick: then it is known by that already
            live.run(&format!(
                "UPDATE IGNORE replay_sources SET identity = {}, head_bytes = {head_bytes} \
                 WHERE shard = {} AND identity = {}",
                literal(&wanted.identity.hash),
                found.shard,
                literal(&found.identity.hash)
            ))
            .await?;
            return exact(live, &wanted.identity).await;
        }
    }
    live.run(&insert(wanted)).await?;
    exact(live, &wanted.identity).await
}

async fn exact(live: &mut Live, identity: &Identity) -> Result<Option<Source>, Failure> {
    let sql = format!("{COLUMNS} WHERE identity = {}", literal(&identity.hash));
    live.query(&sql).await?.first().map(source).transpose()
}

/// With the next number. IGNORE: a number that another has taken meanwhile, or that is none any more,
/// adds nothing.
fn insert(wanted: &Wanted) -> String {
    let mut sql = format!(
        "INSERT IGNORE INTO replay_sources (shard, identity, head_bytes, rules, label) \
         SELECT COALESCE(MAX(shard) + 1, {}), {}, {}, {}, ",
        Shard::FIRST_RECORDED,
        literal(&wanted.identity.hash),
        wanted.identity.head_bytes.map_or_else(|| "NULL".to_owned(), |bytes| bytes.to_string()),
        literal(&wanted.rules),
    );
    push_text(&mut sql, &wanted.label);
    sql.push_str(" FROM replay_sources");
    sql
}

fn literal(hash: &[u8; 32]) -> String {
    let mut sql = String::new();
    push_bytes(&mut sql, hash);
    sql
}

fn source(row: &Row) -> Result<Source, Failure> {
    let hash = |at| -> Result<[u8; 32], Failure> {
        let bytes: Vec<u8> = column(row, at)?;
        bytes.try_into().map_err(|_| Failure::Value("a source's hash is cut".to_owned()))
    };
    Ok(Source {
        shard: Shard(column(row, 0)?),
        identity: Identity { hash: hash(2)?, head_bytes: column(row, 1)? },
        rules: hash(3)?,
    })
}
