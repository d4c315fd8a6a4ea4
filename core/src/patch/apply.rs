//! The one meaning of a patch.
//!
//! A patch works on a parsed copy of the body, change after change; the first that does not fit
//! drops the copy, so a patch takes effect as a whole or not at all.

use std::cmp::Ordering;

use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::merge::merge;
use super::{Change, Patch};
use crate::error::{Error, Result};
use crate::model::{Body, FieldPath, Scalar};

impl Patch {
    /// Applies the changes in order and hands out the new body; the old one is as it was. Without
    /// changes the new one equals it.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field, if a change does not fit the document: a number is added to
    /// something that is not one, an integer overflows, values are appended to something that is
    /// not an array, a path leads through something that is not an object; or if the outcome
    /// breaks a limit of [`Body::parse`].
    pub fn apply(&self, body: &Body) -> Result<Body> {
        self.check_changes()?;
        let mut object = body.to_object()?;
        for change in &self.changes {
            apply_change(&mut object, change)?;
        }
        Body::encode(&object)
    }
}

fn apply_change(root: &mut Map<String, Value>, change: &Change) -> Result<()> {
    match change {
        Change::Set(path, value) => {
            *place(root, path)? = value.clone();
        }
        Change::Unset(path) => {
            take(root, path)?;
        }
        Change::Increment(path, by) => {
            let there = place(root, path)?;
            *there = Value::Number(add(path, there, by)?);
        }
        Change::Min(path, value) => keep(root, path, value, Ordering::Less)?,
        Change::Max(path, value) => keep(root, path, value, Ordering::Greater)?,
        Change::Append(path, values) => match place(root, path)? {
            Value::Array(items) => items.extend(values.iter().cloned()),
            there @ Value::Null => *there = Value::Array(values.clone()),
            _ => return Err(not_an_array(path)),
        },
        Change::Remove(path, values) => match find(root, path)? {
            Some(Value::Array(items)) => {
                items.retain(|item| !values.iter().any(|value| equal(item, value)));
            }
            None | Some(Value::Null) => {}
            Some(_) => return Err(not_an_array(path)),
        },
        Change::Merge(None, object) => merge(root, object)?,
        Change::Merge(Some(path), object) => {
            let there = place(root, path)?;
            if let Value::Object(members) = there {
                merge(members, object)?;
            } else {
                let mut members = Map::new();
                merge(&mut members, object)?;
                *there = Value::Object(members);
            }
        }
        Change::Rename(from, to) if from == to => {}
        Change::Rename(from, to) => {
            if let Some(value) = take(root, from)? {
                *place(root, to)? = value;
            }
        }
    }
    Ok(())
}

/// The value at `path`, made as null if it is missing, with the objects on the way to it.
fn place<'a>(root: &'a mut Map<String, Value>, path: &FieldPath) -> Result<&'a mut Value> {
    let mut names = path.segments();
    // A path has at least one name.
    let last = names.next_back().unwrap_or_default();
    let mut object = root;
    for name in names {
        let inner = member(object, name);
        if inner.is_null() {
            *inner = Value::Object(Map::new());
        }
        object = match inner {
            Value::Object(object) => object,
            other => return Err(not_an_object(path, name, other)),
        };
    }
    Ok(member(object, last))
}

fn member<'a>(object: &'a mut Map<String, Value>, name: &str) -> &'a mut Value {
    match object.entry(name) {
        Entry::Occupied(there) => there.into_mut(),
        Entry::Vacant(missing) => missing.insert(Value::Null),
    }
}

/// The object that holds the innermost name of `path`, and that name; `None` if an object on the
/// way is missing or null.
fn holder<'a, 'p>(
    root: &'a mut Map<String, Value>,
    path: &'p FieldPath,
) -> Result<Option<(&'a mut Map<String, Value>, &'p str)>> {
    let mut names = path.segments();
    let last = names.next_back().unwrap_or_default();
    let mut object = root;
    for name in names {
        object = match object.get_mut(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(object)) => object,
            Some(other) => return Err(not_an_object(path, name, other)),
        };
    }
    Ok(Some((object, last)))
}

fn find<'a>(root: &'a mut Map<String, Value>, path: &FieldPath) -> Result<Option<&'a mut Value>> {
    Ok(holder(root, path)?.and_then(|(object, last)| object.get_mut(last)))
}

fn take(root: &mut Map<String, Value>, path: &FieldPath) -> Result<Option<Value>> {
    Ok(holder(root, path)?.and_then(|(object, last)| object.remove(last)))
}

/// Two integers are added exactly; with a float on either side the sum is a float.
fn add(path: &FieldPath, there: &Value, by: &Value) -> Result<Number> {
    let zero = Value::from(0);
    let there = if there.is_null() { &zero } else { there };
    let number = |value: &Value, what: &str| {
        Scalar::from_json(value)
            .filter(|scalar| matches!(scalar, Scalar::Integer(_) | Scalar::Float(_)))
            .ok_or_else(|| {
                Error::invalid(format!(
                    "field {path} cannot be incremented: {what} is not a number within i64 or f64"
                ))
            })
    };
    let there = number(there, "its value")?;
    let by = number(by, "the increment")?;
    if let (Scalar::Integer(a), Scalar::Integer(b)) = (&there, &by) {
        return a.checked_add(*b).map(Number::from).ok_or_else(|| {
            Error::invalid(format!(
                "field {path} cannot be incremented: the sum is outside the range of i64, {} to {}",
                i64::MIN,
                i64::MAX
            ))
        });
    }
    Number::from_f64(as_float(&there) + as_float(&by)).ok_or_else(|| {
        Error::invalid(format!(
            "field {path} cannot be incremented: the sum is not a finite number"
        ))
    })
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a sum with a float is a float, as documented"
)]
fn as_float(scalar: &Scalar) -> f64 {
    match scalar {
        Scalar::Integer(i) => *i as f64,
        Scalar::Float(x) => *x,
        Scalar::Boolean(_) | Scalar::Text(_) => f64::NAN,
    }
}

/// Sets the field if it has no value, or if `value` stands to what is there as `wanted`.
fn keep(
    root: &mut Map<String, Value>,
    path: &FieldPath,
    value: &Value,
    wanted: Ordering,
) -> Result<()> {
    let new = Scalar::from_json(value).ok_or_else(|| {
        Error::invalid(format!(
            "field {path} is to be compared with a number outside the range of i64"
        ))
    })?;
    let there = place(root, path)?;
    if there.is_null() {
        *there = value.clone();
        return Ok(());
    }
    let order = Scalar::from_json(there).and_then(|old| new.compare(&old));
    match order {
        Some(order) if order == wanted => *there = value.clone(),
        Some(_) => {}
        None => {
            return Err(Error::invalid(format!(
                "field {path} holds {}, which is not compared with a value of type {}",
                type_name(there),
                new.type_name()
            )));
        }
    }
    Ok(())
}

/// Whether two JSON values are equal, numbers as numbers: 1 equals 1.0.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => {
            a == b
                || matches!(
                    (Scalar::from_json(a), Scalar::from_json(b)),
                    (Some(a), Some(b)) if a == b
                )
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cold]
fn not_an_object(path: &FieldPath, name: &str, found: &Value) -> Error {
    Error::invalid(format!(
        "field {path} cannot be reached: {name:?} on the way holds {} and not an object",
        type_name(found)
    ))
}

#[cold]
fn not_an_array(path: &FieldPath) -> Error {
    Error::invalid(format!("field {path} does not hold an array"))
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
