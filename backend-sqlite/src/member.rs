//! One member of a body, without making values of the others.

use std::fmt;

use rusqlite::Error::UserFunctionError;
use rusqlite::functions::Context;
use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The body in the first argument, of which only the member is kept that the path in the second
/// argument begins with.
pub(crate) fn member(call: &Context<'_>) -> rusqlite::Result<Map<String, Value>> {
    let body = call.get_raw(0).as_bytes()?;
    let path = call.get_raw(1).as_str()?;
    let name = path.split_once('.').map_or(path, |(name, _)| name);
    only(body, name).map_err(|e| UserFunctionError(e.into()))
}

fn only(body: &[u8], name: &str) -> serde_json::Result<Map<String, Value>> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let kept = Only(name).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(kept)
}

/// Reads an object and keeps the member of this name.
struct Only<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Only<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Only<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut kept = Map::new();
        while let Some(found) = members.next_key_seed(IsName(self.0))? {
            if found {
                kept.insert(self.0.to_owned(), members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(kept)
    }
}

/// Whether a name is this one.
struct IsName<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_members_are_skipped() {
        let body = br#"{"b":{"a":1},"\u0061":[1,{"b":null}],"ab":2}"#;
        let kept = |name| Value::Object(only(body, name).unwrap()).to_string();
        assert_eq!(kept("a"), r#"{"a":[1,{"b":null}]}"#);
        assert_eq!(kept("b"), r#"{"b":{"a":1}}"#);
        assert_eq!(kept("c"), "{}");
        for bad in ["[]", "{", r#"{"a":1} x"#, r#"{"b":[}"#] {
            assert!(only(bad.as_bytes(), "a").is_err(), "{bad}");
        }
    }
}
