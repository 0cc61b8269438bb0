//! The names of an event's fields.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

/// A set of [`FIELDS`], by index.
#[derive(Default)]
pub(crate) struct Fields(u16);

impl Fields {
    pub(crate) fn has(&self, field: usize) -> bool {
        self.0 & (1 << field) != 0
    }

    /// Adds one; whether it was not there.
    pub(crate) fn add(&mut self, field: usize) -> bool {
        let is_new = !self.has(field);
        self.0 |= 1 << field;
        is_new
    }
}

/// A field's name in a body.
pub(crate) enum Name {
    /// The index of one of [`FIELDS`].
    Known(usize),
    /// Any other, as it is shown.
    Unknown(String),
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        let known = FIELDS.iter().position(|field| *field == name);
        Ok(known.map_or_else(|| Name::Unknown(shown(name)), Name::Known))
    }
}

/// The fields of an event, as clients spell them.
pub(crate) const FIELDS: [&str; 11] = [
    "message",
    "stackTrace",
    "type",
    "level",
    "service",
    "environment",
    "release",
    "timestamp",
    "eventId",
    "fingerprint",
    "tags",
];

/// Where the message is among [`FIELDS`].
pub(crate) const MESSAGE: usize = 0;

/// A client's name for a field, short and without control characters.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}
