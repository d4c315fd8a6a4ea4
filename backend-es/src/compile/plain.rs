//! Whether the engine can read a body itself, found out without building it in memory.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use strongroom_core::model::{Body, FieldDeclaration, Kind, Model};
use strongroom_core::{Error, ErrorKind, Result};

use super::number;
use super::path::is_direct;

/// Whether the engine reads the values of a field from bodies, where they are plain: it is comparable
/// and [direct](is_direct).
pub(super) fn is_read(field: &FieldDeclaration) -> bool {
    field.kind.is_comparable() && is_direct(&field.path)
}

/// The fields of a collection whose values the engine [reads](is_read) from bodies.
pub(super) fn direct(model: &Model) -> impl Iterator<Item = &FieldDeclaration> {
    model.fields().filter(|field| is_read(field))
}

/// Whether the engine reads from the body, in each direct field, the values that a query means and
/// no others, and takes the names of all members for what they are.
///
/// # Errors
///
/// `Codec` if the body is not JSON.
pub(super) fn is_plain(model: &Model, body: &Body) -> Result<bool> {
    let mut deserializer = serde_json::Deserializer::from_str(body.as_str()?);
    let object = Value {
        model: Some(model),
        kind: None,
        is_item: false,
    };
    let is_plain = object.deserialize(&mut deserializer);
    let is_plain = is_plain.and_then(|is_plain| deserializer.end().map(|()| is_plain));
    is_plain.map_err(|e| {
        Error::new(ErrorKind::Codec, format!("document does not decode: {e}")).with_source(e)
    })
}

/// Whether a member's name means nothing to the engine, which takes a dot for a step into an
/// object, and refuses what is blank.
fn is_plain_name(name: &str) -> bool {
    !name.contains('.') && !name.trim().is_empty()
}

/// Looks at a value: of the field of this kind, or of none that the engine reads.
#[derive(Clone, Copy)]
struct Value<'m> {
    /// The model of the members, in the body itself.
    model: Option<&'m Model>,
    kind: Option<Kind>,
    /// It stands in an array.
    is_item: bool,
}

/// Looks at the name of a member of this object, and tells how to look at its value; `None` for a
/// name that is not plain.
struct Name<'m>(Value<'m>);

impl<'de, 'm> DeserializeSeed<'de> for Name<'m> {
    type Value = Option<Value<'m>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'m> Visitor<'_> for Name<'m> {
    type Value = Option<Value<'m>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(is_plain_name(name).then(|| self.0.member(name)))
    }
}

impl Value<'_> {
    fn below(kind: Option<Kind>) -> Self {
        Self {
            model: None,
            kind,
            is_item: false,
        }
    }

    fn member(self, name: &str) -> Self {
        let field = self.model.and_then(|model| model.field(name));
        Self::below(field.filter(|field| is_read(field)).map(|field| field.kind))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(self.kind.is_none_or(|kind| kind == Kind::Boolean))
    }

    fn visit_i64<E>(self, i: i64) -> Result<bool, E> {
        Ok(self
            .kind
            .is_none_or(|kind| number::is_plain_integer(kind, i)))
    }

    fn visit_u64<E>(self, i: u64) -> Result<bool, E> {
        let is_plain = |kind| i64::try_from(i).is_ok_and(|i| number::is_plain_integer(kind, i));
        Ok(self.kind.is_none_or(is_plain))
    }

    fn visit_f64<E>(self, x: f64) -> Result<bool, E> {
        Ok(self.kind.is_none_or(|kind| number::is_plain_float(kind, x)))
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        Ok(self
            .kind
            .is_none_or(|kind| number::is_plain_text(kind, text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let mut is_plain = self.kind.is_none() || !self.is_item;
        let item = Value {
            is_item: true,
            ..Self::below(self.kind)
        };
        while is_plain && let Some(is_plain_item) = items.next_element_seed(item)? {
            is_plain = is_plain_item;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(is_plain)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut is_plain = self.kind.is_none();
        while is_plain && let Some(member) = members.next_key_seed(Name(self))? {
            is_plain = match member {
                Some(value) => members.next_value_seed(value)?,
                None => {
                    members.next_value::<IgnoredAny>()?;
                    false
                }
            };
        }
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(is_plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const P53: i64 = 1 << 53;

    fn plain_in(kind: Kind, value: &serde_json::Value) -> bool {
        let field = FieldDeclaration::new("f".parse().unwrap(), kind).many();
        let model = Model::builder("a").field(field).build().unwrap();
        let other = json!({"a": [[{"f": [[1, "x", -0.0]]}]], "f": value, "z": i64::MAX});
        super::is_plain(&model, &Body::parse(other.to_string()).unwrap()).unwrap()
    }

    #[test]
    fn plain_values_are_read_from_the_body() {
        for (kind, plain) in [
            (Kind::Keyword, json!(["a", null, ""])),
            (Kind::Boolean, json!(true)),
            (Kind::Integer, json!([1, P53 + 1])),
            (Kind::Timestamp, json!(-1)),
            (Kind::Float, json!([1, 0.0, 1e300])),
        ] {
            assert!(plain_in(kind, &plain), "{kind:?} {plain}");
        }
        for (kind, other) in [
            (Kind::Keyword, json!(1)),
            (Kind::Keyword, json!([["a"]])),
            (Kind::Keyword, json!({})),
            (Kind::Keyword, json!("x".repeat(32_001))),
            (Kind::Boolean, json!("true")),
            (Kind::Integer, json!(1.0)),
            (Kind::Integer, json!("1")),
            (Kind::Integer, json!(i64::MAX)),
            (Kind::Timestamp, json!(i64::MAX / 2)),
            (Kind::Float, json!(-0.0)),
            (Kind::Float, json!(P53 + 1)),
        ] {
            assert!(!plain_in(kind, &other), "{kind:?} {other}");
        }
    }

    #[test]
    fn names_that_mean_something_to_the_engine() {
        let model = Model::builder("a").build().unwrap();
        for (body, expected) in [
            (r#"{"a":{"b":[{"c":1}]}}"#, true),
            (r#"{"a.b":1}"#, false),
            (r#"{"a":{"b":[{"c.d":1}]},"e":1}"#, false),
            (r#"{"a":[[],{"":1},5],"b":{}}"#, false),
            (r#"{"\t ":1}"#, false),
        ] {
            let body = Body::parse(body).unwrap();
            assert_eq!(
                super::is_plain(&model, &body).unwrap(),
                expected,
                "{body:?}"
            );
        }
    }
}
