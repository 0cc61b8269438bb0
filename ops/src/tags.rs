//! Tags as the text of one JSON object, in the order given: so they lie in tables, and in exports.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serializer,
    de::{MapAccess, Visitor},
};

/// Key and value, in the order given.
pub type Tags = Vec<(String, String)>;

/// The JSON object that says `tags`; `{}` for none. A key that came twice stands in it twice.
pub fn to_json(tags: &[(String, String)]) -> Result<String, serde_json::Error> {
    let mut json = Vec::new();
    serde_json::Serializer::new(&mut json)
        .collect_map(tags.iter().map(|(key, value)| (key, value)))?;
    String::from_utf8(json).map_err(serde::ser::Error::custom)
}

/// The tags that a JSON object of strings says.
pub fn from_json(json: &str) -> Result<Tags, serde_json::Error> {
    serde_json::Deserializer::from_str(json).deserialize_map(Pairs)
}

/// Tags that stand in a larger document.
#[derive(Default)]
pub(crate) struct Read(pub Tags);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs).map(Self)
    }
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Tags;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags, A::Error> {
        let mut tags = Vec::new();
        while let Some(pair) = map.next_entry()? {
            tags.push(pair);
        }
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_keep_their_order_and_their_bytes() {
        let tags = [("z", "1"), ("a", "\0\"\\\u{1f600}\u{7f}"), ("z", "")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let json = to_json(&tags).unwrap();
        assert!(json.starts_with(r#"{"z":"1","a":"\u0000\"\\"#), "{json}");
        assert_eq!(from_json(&json).unwrap(), tags);
        assert_eq!(to_json(&[]).unwrap(), "{}");
        assert!(from_json("[]").is_err());
    }
}
