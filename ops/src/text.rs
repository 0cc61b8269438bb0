//! A visitor that takes text and says what came instead, without a tree of values in between.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A string, or `None` for `null`.
pub(crate) struct Text(pub(crate) Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Self)
    }
}

/// What is said of a value that is not the text it should be.
pub(crate) fn expected_a_string(got: &str) -> String {
    format!("expected a string, got {got}")
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Option<String>, E> {
        Ok(Some(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Option<String>, E> {
        Ok(Some(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _value: bool) -> Result<Option<String>, E> {
        Err(E::custom(expected_a_string("a boolean")))
    }

    fn visit_i64<E: Error>(self, _value: i64) -> Result<Option<String>, E> {
        Err(E::custom(expected_a_string("a number")))
    }

    fn visit_u64<E: Error>(self, _value: u64) -> Result<Option<String>, E> {
        Err(E::custom(expected_a_string("a number")))
    }

    fn visit_f64<E: Error>(self, _value: f64) -> Result<Option<String>, E> {
        Err(E::custom(expected_a_string("a number")))
    }

    // what is within is read first: a body that is no JSON is told so
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<String>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Err(A::Error::custom(expected_a_string("a list")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Err(A::Error::custom(expected_a_string("an object")))
    }
}
