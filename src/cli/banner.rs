//! What a person sees when the server has started.

use std::net::SocketAddr;

use errsift_pipeline::ports::errors::Claim;

use crate::{durability::Durability, settings::Serve, stores::Backend};

/// Where it listens, which stores it uses, and what an acknowledgement promises.
pub fn banner(settings: &Serve, backend: &Backend, claim: &Claim, listen: SocketAddr) -> String {
    let (journal, errors) = backend.describe();
    let embedded = matches!(backend, Backend::Embedded { .. });
    let promise = match settings.stores.durability {
        _ if embedded => "fsync: an answer 200 means the event is on disk",
        Durability::Fsync => "fsync: an answer 200 means the event is on Redis's disk",
        Durability::Replicated => {
            "replicated: an answer 200 means a replica of Redis has the event"
        }
        Durability::Everysec => "everysec: a power cut can lose the last second of answers 200",
        Durability::Memory => "memory: a restart of Redis can lose answers 200",
    };
    let weaker =
        if settings.stores.allow_weaker { " (weaker settings of the stores allowed)" } else { "" };
    let admin = settings.http.admin_listen.map_or_else(String::new, |address| {
        format!("\x20 admin    metrics and health on http://{address}\n")
    });
    let key =
        if settings.http.api_keys.is_empty() { "" } else { " -H 'Authorization: Bearer KEY'" };
    let keys = match settings.http.api_keys.len() {
        0 => "none: whoever reaches the port may send and read".to_owned(),
        1 => "1 key is let in".to_owned(),
        number => format!("{number} keys are let in"),
    };
    format!(
        "errsift {version} listens on http://{listen}\n\
         \x20 journal  {journal}, shard {shard}, term {term}\n\
         \x20 tables   {errors}, counts every {flush:?}\n\
         \x20 acks     {promise}{weaker}\n\
         \x20 keys     {keys}\n\
         {admin}\
         \x20 try      curl -d '{{\"message\":\"it works\"}}' -H 'Content-Type: application/json'{key} http://{listen}/errors/log",
        version = env!("CARGO_PKG_VERSION"),
        shard = claim.shard,
        term = claim.term,
        flush = settings.flush_interval,
    )
}
