//! Patches from handles.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::filter::to_json;
use super::kinds::{Float, Integer, Ordered, Stored};
use super::{Field, IntoOperand};
use crate::model::{FieldPath, Scalar};
use crate::patch::{Change, Patch};

/// A value that a patch writes into a field that holds a `V`: a `V`, a reference to one, or for
/// text a `&str`.
#[diagnostic::on_unimplemented(message = "a field that holds a `{V}` does not take a `{Self}`")]
pub trait IntoField<V> {
    /// The value.
    fn into_field(self) -> V;
}

impl<V> IntoField<V> for V {
    fn into_field(self) -> V {
        self
    }
}

impl<V: Clone> IntoField<V> for &V {
    fn into_field(self) -> V {
        self.clone()
    }
}

macro_rules! from_str {
    ($($t:ty),*) => {$(
        impl IntoField<$t> for &str {
            fn into_field(self) -> $t {
                self.into()
            }
        }
    )*};
}
from_str!(String, Box<str>, Arc<str>);

impl<T, K: Stored, V: Serialize> Field<T, K, V> {
    /// A patch that sets the field, making the objects on the way to it.
    ///
    /// A value that no document holds, such as a float that is not finite, makes a patch that is
    /// refused with `Invalid`.
    #[must_use]
    pub fn set(&self, value: impl IntoField<V>) -> Patch {
        self.with_value(&value.into_field(), Change::Set)
    }

    fn with_value(&self, value: &impl Serialize, change: fn(FieldPath, Value) -> Change) -> Patch {
        match self.json(value) {
            Ok(value) => Patch::new().with(change(self.path.clone(), value)),
            Err(refused) => refused,
        }
    }

    fn with_values<E: Serialize>(
        &self,
        values: impl IntoIterator<Item: IntoField<E>>,
        change: fn(FieldPath, Vec<Value>) -> Change,
    ) -> Patch {
        let values = values
            .into_iter()
            .map(|value| self.json(&value.into_field()))
            .collect::<Result<_, _>>();
        match values {
            Ok(values) => Patch::new().with(change(self.path.clone(), values)),
            Err(refused) => refused,
        }
    }

    /// The value in JSON, or a patch that tells why there is none.
    fn json(&self, value: &impl Serialize) -> Result<Value, Patch> {
        let path = &self.path;
        match to_json(value) {
            Ok(Value::Null) => Err(Patch::refused(format!(
                "value for field {path} is null in JSON: a float is finite, and unset removes a field"
            ))),
            Ok(value) => Ok(value),
            Err(e) => Err(Patch::refused(format!(
                "value for field {path} does not encode: {e}"
            ))),
        }
    }
}

impl<T, K: Stored, V> Field<T, K, V> {
    /// A patch that removes the field; one that is not there is no error.
    #[must_use]
    pub fn unset(&self) -> Patch {
        Patch::new().unset(self.path.clone())
    }
}

impl<T, V> Field<T, Integer, V> {
    /// A patch that adds a whole number, negative ones too; a missing field counts as 0. Overflow
    /// of `i64` is `Invalid`.
    #[must_use]
    pub fn increment(&self, by: impl IntoOperand<Integer>) -> Patch {
        match by.into_operand() {
            Scalar::Integer(by) => Patch::new().increment(self.path.clone(), by),
            other => Patch::refused(format!(
                "field {} cannot count up by {other:?}: that is no i64",
                self.path
            )),
        }
    }
}

impl<T, V> Field<T, Float, V> {
    /// A patch that adds a number, negative ones too; a missing field counts as 0.
    #[must_use]
    pub fn increment(&self, by: impl IntoOperand<Float>) -> Patch {
        match by.into_operand() {
            Scalar::Float(by) if !by.is_finite() => Patch::refused(format!(
                "field {} cannot count up by {by}: that is no finite number",
                self.path
            )),
            by => Patch::new().increment(self.path.clone(), &by),
        }
    }
}

impl<T, K: Ordered, V: Serialize> Field<T, K, V> {
    /// A patch that sets the field if it has no value or a greater one.
    #[must_use]
    pub fn min(&self, value: impl IntoField<V>) -> Patch {
        self.with_value(&value.into_field(), Change::Min)
    }

    /// A patch that sets the field if it has no value or a lesser one.
    #[must_use]
    pub fn max(&self, value: impl IntoField<V>) -> Patch {
        self.with_value(&value.into_field(), Change::Max)
    }
}

impl<T, K: Stored, E: Serialize> Field<T, K, Vec<E>> {
    /// A patch that adds values at the end of the array.
    #[must_use]
    pub fn append(&self, values: impl IntoIterator<Item: IntoField<E>>) -> Patch {
        self.with_values(values, Change::Append)
    }

    /// A patch that removes every element of the array that equals one of these.
    #[must_use]
    pub fn remove(&self, values: impl IntoIterator<Item: IntoField<E>>) -> Patch {
        self.with_values(values, Change::Remove)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds;
    use super::*;
    use crate::ErrorKind;
    use crate::model::Body;

    fn field<K, V>(path: &str) -> Field<(), K, V> {
        Field::new(path.parse().unwrap())
    }

    #[test]
    fn patches_of_each_kind() {
        let name = field::<kinds::Keyword, String>("name");
        let logins = field::<kinds::Integer, u64>("logins");
        let score = field::<kinds::Float, f32>("score");
        let tags = field::<kinds::Keyword, Vec<String>>("tags");
        let ada = String::from("Ada");
        let path = |p: &str| p.parse().unwrap();
        let pairs = [
            (name.set("Ada"), Patch::new().set(path("name"), "Ada")),
            (name.set(&ada), Patch::new().set(path("name"), "Ada")),
            (name.unset(), Patch::new().unset(path("name"))),
            (logins.set(3), Patch::new().set(path("logins"), 3)),
            (
                logins.increment(-1),
                Patch::new().increment(path("logins"), -1),
            ),
            (logins.min(3), Patch::new().min(path("logins"), 3)),
            (logins.max(3), Patch::new().max(path("logins"), 3)),
            (
                score.increment(0.5),
                Patch::new().increment(path("score"), 0.5),
            ),
            (score.set(0.1), Patch::new().set(path("score"), 0.1)),
            (tags.append(["a"]), Patch::new().append(path("tags"), ["a"])),
            (tags.remove(["a"]), Patch::new().remove(path("tags"), ["a"])),
            (
                name.set("Ada").and(logins.increment(1)),
                Patch::new()
                    .set(path("name"), "Ada")
                    .increment(path("logins"), 1),
            ),
        ];
        for (typed, untyped) in pairs {
            assert_eq!(typed.changes(), untyped.changes());
            typed.check().unwrap();
        }
    }

    #[test]
    fn what_no_document_holds_is_refused_by_the_patch() {
        let score = field::<kinds::Float, f64>("score");
        let logins = field::<kinds::Integer, u64>("logins");
        let scores = field::<kinds::Float, Vec<f64>>("scores");
        let refused = [
            score.set(f64::NAN),
            score.set(f64::INFINITY),
            score.set(1.0).and(score.max(f64::NAN)),
            score.set(f64::NAN).and(score.set(1.0)),
            logins.increment(u64::MAX),
            scores.append([1.0, f64::NAN]),
            score.increment(f64::NAN),
            score.increment(f64::INFINITY),
        ];
        let body = Body::parse("{}").unwrap();
        for patch in refused {
            let error = patch.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(
                error.message().contains("field score") || error.message().contains("field logins"),
                "{error}"
            );
            assert!(patch.apply(&body).is_err());
        }
    }
}
