//! A visitor that takes objects and does not repeat what it got instead.

use std::fmt;

use serde::de::{Error, MapAccess, Unexpected, Visitor};

/// Passes objects and `null` on to the visitor within. serde's own words for anything else would
/// repeat the value, and what a client sent is not for its answer, nor for logs.
pub(crate) struct ObjectOnly<V>(pub(crate) V);

impl<'de, V: Visitor<'de>> Visitor<'de> for ObjectOnly<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(map)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_str<E: Error>(self, _value: &str) -> Result<V::Value, E> {
        self.instead("a string")
    }

    fn visit_bool<E: Error>(self, _value: bool) -> Result<V::Value, E> {
        self.instead("a boolean")
    }

    fn visit_i64<E: Error>(self, _value: i64) -> Result<V::Value, E> {
        self.instead("a number")
    }

    fn visit_u64<E: Error>(self, _value: u64) -> Result<V::Value, E> {
        self.instead("a number")
    }

    fn visit_f64<E: Error>(self, _value: f64) -> Result<V::Value, E> {
        self.instead("a number")
    }
}

impl<'de, V: Visitor<'de>> ObjectOnly<V> {
    fn instead<E: Error>(&self, got: &str) -> Result<V::Value, E> {
        Err(E::invalid_type(Unexpected::Other(got), self))
    }
}

#[cfg(test)]
mod tests {
    use crate::{body, timestamp::Timestamp};

    #[test]
    fn what_came_instead_of_an_object_is_not_repeated() {
        let fault = |body: &str| body::read(body.as_bytes(), Timestamp::default()).unwrap_err();
        for (value, kind) in [
            (r#""s3cret""#, "string"),
            ("true", "boolean"),
            ("-4711", "number"),
            ("4711", "number"),
            ("47.11", "number"),
        ] {
            let expected = format!("invalid type: a {kind}, expected a JSON object");
            assert_eq!(fault(value).to_string(), expected);
            let tags = fault(&format!(r#"{{"message":"m","tags":{value}}}"#)).to_string();
            assert_eq!(
                tags,
                format!("tags: invalid type: a {kind}, expected an object of strings")
            );
        }
    }
}
