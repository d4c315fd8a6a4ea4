//! The values that a field of a document has.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Result;
use crate::model::{FieldPath, Kind, Model, Scalar};

/// Reads the values of one field in parsed bodies, as the module says what they are.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::{Kind, Scalar};
/// use strongroom_core::query::FieldReader;
///
/// let reader = FieldReader::of(&"items.price".parse()?, Kind::Float);
/// let body = serde_json::json!({"items":[{"price":2},{"price":[0.5, null]},{}]});
/// let values = reader.values(body.as_object().unwrap());
/// assert_eq!(values, [Scalar::from(2), Scalar::from(0.5)]);
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FieldReader {
    names: Vec<Box<str>>,
    kind: Kind,
}

impl FieldReader {
    /// A reader of the field at `path`.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field, if the model does not declare it.
    pub(crate) fn new(model: &Model, path: &FieldPath) -> Result<Self> {
        Ok(Self::of(path, model.require(path)?.kind))
    }

    /// A reader of the field at `path` in single objects of the nested field, or in whole bodies.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field, if the model does not declare it.
    pub(crate) fn within(
        model: &Model,
        path: &FieldPath,
        nested: Option<&FieldPath>,
    ) -> Result<Self> {
        let mut reader = Self::new(model, path)?;
        let above = nested.map_or(0, |nested| nested.segments().count());
        reader.names.drain(..above.min(reader.names.len()));
        Ok(reader)
    }

    /// The texts of the field, whatever its kind.
    #[must_use]
    pub fn texts<'o>(&self, object: &'o Map<String, Value>) -> Vec<&'o str> {
        let mut texts = Vec::new();
        member(object, &self.names, &mut |leaf| {
            texts.extend(leaf.as_str());
            false
        });
        texts
    }

    /// The objects of the field, each by itself.
    #[must_use]
    pub fn objects<'o>(&self, object: &'o Map<String, Value>) -> Vec<&'o Map<String, Value>> {
        let mut objects = Vec::new();
        member(object, &self.names, &mut |leaf| {
            objects.extend(leaf.as_object());
            false
        });
        objects
    }

    /// A reader of a field of this kind.
    #[must_use]
    pub fn of(path: &FieldPath, kind: Kind) -> Self {
        Self {
            names: path.segments().map(Box::from).collect(),
            kind,
        }
    }

    /// Whether `holds` answers true for some value of the field that its kind takes.
    pub(crate) fn any_value(
        &self,
        object: &Map<String, Value>,
        mut holds: impl FnMut(&Value) -> bool,
    ) -> bool {
        self.any_leaf(object, |leaf| fits(self.kind, leaf) && holds(leaf))
    }

    /// Whether the field has a value, as its kind understands it.
    #[must_use]
    pub fn exists(&self, object: &Map<String, Value>) -> bool {
        self.any_leaf(object, |leaf| match self.kind {
            Kind::Object | Kind::Nested => leaf.is_object(),
            Kind::Text | Kind::Bytes => leaf.is_string(),
            _ => !leaf.is_object(),
        })
    }

    /// The least value of the field (`Less`) or the greatest (`Greater`) that its kind takes.
    #[must_use]
    pub fn extreme(&self, object: &Map<String, Value>, wanted: Ordering) -> Option<Scalar> {
        let mut best: Option<Scalar> = None;
        self.any_leaf(object, |leaf| {
            if fits(self.kind, leaf)
                && let Some(value) = Scalar::from_json(leaf)
                && best
                    .as_ref()
                    .is_none_or(|best| value.compare(best) == Some(wanted))
            {
                best = Some(value);
            }
            false
        });
        best
    }

    /// The first value of the field that its kind takes.
    pub(crate) fn first_value(&self, object: &Map<String, Value>) -> Option<Scalar> {
        let mut first = None;
        self.any_leaf(object, |leaf| {
            if fits(self.kind, leaf) {
                first = Scalar::from_json(leaf);
            }
            first.is_some()
        });
        first
    }

    /// All values of the field that its kind takes.
    #[must_use]
    pub fn values(&self, object: &Map<String, Value>) -> Vec<Scalar> {
        let mut values = Vec::new();
        self.any_leaf(object, |leaf| {
            if fits(self.kind, leaf) {
                values.extend(Scalar::from_json(leaf));
            }
            false
        });
        values
    }

    fn any_leaf(&self, object: &Map<String, Value>, mut visit: impl FnMut(&Value) -> bool) -> bool {
        member(object, &self.names, &mut visit)
    }
}

fn member<'o>(
    object: &'o Map<String, Value>,
    names: &[Box<str>],
    visit: &mut dyn FnMut(&'o Value) -> bool,
) -> bool {
    names.split_first().is_some_and(|(name, rest)| {
        object
            .get(&**name)
            .is_some_and(|value| descend(value, rest, visit))
    })
}

/// Visits what is at the end of the path, through arrays at any place, until `visit` answers true.
fn descend<'o>(
    value: &'o Value,
    names: &[Box<str>],
    visit: &mut dyn FnMut(&'o Value) -> bool,
) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().any(|item| descend(item, names, visit)),
        Value::Object(object) if !names.is_empty() => member(object, names, visit),
        leaf => names.is_empty() && visit(leaf),
    }
}

/// Whether a leaf counts as a value of a field of this kind: [`Kind::takes`], without copying
/// text.
fn fits(kind: Kind, leaf: &Value) -> bool {
    match leaf {
        Value::String(_) => matches!(kind, Kind::Keyword),
        other => Scalar::from_json(other).is_some_and(|scalar| kind.takes(&scalar)),
    }
}

/// Compares a leaf with a value of the same type, without copying text.
pub(crate) fn compare(leaf: &Value, value: &Scalar) -> Option<Ordering> {
    match (leaf, value) {
        (Value::String(a), Scalar::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (leaf, value) => Scalar::from_json(leaf)?.compare(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FieldDeclaration;
    use serde_json::json;

    fn reader(kind: Kind) -> FieldReader {
        let path: FieldPath = "a.b".parse().unwrap();
        let model = Model::builder("c")
            .field(FieldDeclaration::new(path.clone(), kind).many())
            .build()
            .unwrap();
        FieldReader::new(&model, &path).unwrap()
    }

    fn values(kind: Kind, body: &Value) -> Vec<Scalar> {
        reader(kind).values(body.as_object().unwrap())
    }

    #[test]
    fn a_field_is_the_set_of_its_leaves() {
        let ints = |body: Value| values(Kind::Integer, &body);
        let none: Vec<Scalar> = Vec::new();
        assert_eq!(ints(json!({"a":{"b":1}})), [Scalar::from(1)]);
        assert_eq!(
            ints(json!({"a":[{"b":1},{"b":[2,[3,null]]},{"c":9},7,[{"b":4}]]})),
            [1, 2, 3, 4].map(Scalar::from)
        );
        for empty in [
            json!({}),
            json!({"a":null}),
            json!({"a":1}),
            json!({"a":{}}),
            json!({"a":{"b":null}}),
            json!({"a":{"b":[]}}),
            json!({"a":{"b":[null,[]]}}),
            json!({"a":{"b":{"c":1}}}),
            json!({"a.b":1}),
        ] {
            assert_eq!(ints(empty.clone()), none, "{empty}");
        }
    }

    #[test]
    fn only_values_of_the_kind_count() {
        let mixed = json!({"a":{"b":["x", 2, true, 2.5, null, {}]}});
        assert_eq!(
            values(Kind::Integer, &mixed),
            [Scalar::from(2), Scalar::from(2.5)]
        );
        assert_eq!(values(Kind::Timestamp, &mixed), [Scalar::from(2)]);
        assert_eq!(values(Kind::Keyword, &mixed), [Scalar::from("x")]);
        assert_eq!(values(Kind::Boolean, &mixed), [Scalar::from(true)]);
        assert!(values(Kind::Text, &mixed).is_empty());
    }

    #[test]
    fn existence_by_kind() {
        let exists = |kind, body: Value| reader(kind).exists(body.as_object().unwrap());
        assert!(exists(Kind::Integer, json!({"a":{"b":"not one"}})));
        assert!(!exists(Kind::Integer, json!({"a":{"b":{}}})));
        assert!(exists(Kind::Object, json!({"a":{"b":{}}})));
        assert!(!exists(Kind::Object, json!({"a":{"b":1}})));
        assert!(exists(Kind::Nested, json!({"a":{"b":[null,{}]}})));
        assert!(!exists(Kind::Nested, json!({"a":{"b":[]}})));
        assert!(exists(Kind::Text, json!({"a":{"b":""}})));
        assert!(!exists(Kind::Text, json!({"a":{"b":1}})));
        assert!(!exists(Kind::Bytes, json!({"a":{"b":null}})));
    }

    #[test]
    fn extremes() {
        let body = json!({"a":{"b":[3, 1.5, "0", 9]}});
        let extreme = |wanted| reader(Kind::Float).extreme(body.as_object().unwrap(), wanted);
        assert_eq!(extreme(Ordering::Less), Some(Scalar::from(1.5)));
        assert_eq!(extreme(Ordering::Greater), Some(Scalar::from(9)));
        let none = json!({});
        assert_eq!(
            reader(Kind::Float).extreme(none.as_object().unwrap(), Ordering::Less),
            None
        );
    }
}
