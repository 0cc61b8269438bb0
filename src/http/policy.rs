//! What holds for all requests of one listener.

use super::{Limits, client::Proxies, cors::Cors, keys::Keys};

/// How a listener treats its requests.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Its limits.
    pub limits: Limits,
    /// Which paths it has.
    pub door: Door,
    /// Pages of which origins may use the answers.
    pub cors: Cors,
    /// Who may ask.
    pub keys: Keys,
    /// Who is believed about the client's address.
    pub proxies: Proxies,
}

/// Which paths a listener has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// All.
    #[default]
    Only,
    /// All but `/metrics`, which the admin listener has.
    Public,
    /// Health and `/metrics`, without keys.
    Admin,
}
