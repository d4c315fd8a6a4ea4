//! Documents as they are shown to the world: with what was loaded besides, without secrets.
//!
//! Stored and shown are two forms of one value. Where a document is stored, a reference is its key
//! and a lazy property is nothing; where it is shown, both are what was loaded. Serialisation is
//! one pass of serde on one thread, so a flag of the thread, set for as long as the pass takes,
//! tells the two apart.

use std::cell::Cell;

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::{Map, Value};

use super::document::Document;
use super::field::to_json;
use crate::error::{Error, ErrorKind, Result};
use crate::model::FieldPath;

thread_local! {
    static SHOWN: Cell<bool> = const { Cell::new(false) };
}

/// Whether what is serialised on this thread is shown rather than stored.
pub(super) fn is_shown() -> bool {
    SHOWN.get()
}

/// Shows what is serialised until it is dropped.
struct Showing {
    before: bool,
}

impl Showing {
    fn begin() -> Self {
        Self {
            before: SHOWN.replace(true),
        }
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        SHOWN.set(self.before);
    }
}

/// A document to be shown: it serialises with loaded references and lazy properties in their
/// places, and without the fields that are `secret`.
///
/// A reference that was not loaded is its key; a lazy property that was not loaded is left out.
/// Serialising never touches a store.
///
/// Secrets are left out of the document, of the documents that its references hold, and of
/// documents directly in its lazy properties, alone or in an `Option`, a `Vec` or a `Versioned`.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a, T>(&'a T);

impl<'a, T: Document> Output<'a, T> {
    /// Shows a document.
    #[must_use]
    pub fn new(document: &'a T) -> Self {
        Self(document)
    }
}

impl<T: Document> Serialize for Output<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let _showing = Showing::begin();
        let model = T::model().map_err(S::Error::custom)?;
        let secret = model.fields().any(|field| field.secret);
        if !secret && T::lazy_properties().is_empty() {
            return self.0.serialize(serializer);
        }
        let mut value = to_json(self.0).map_err(S::Error::custom)?;
        strip_secrets::<T>(&mut value);
        value.serialize(serializer)
    }
}

/// The document as it is shown, as a JSON value. See [`Output`].
///
/// # Errors
///
/// `Codec` if the value does not serialise.
pub fn to_output<T: Document>(document: &T) -> Result<Value> {
    to_json(&Output::new(document)).map_err(not_encoded)
}

/// The document as it is shown, as JSON text. See [`Output`].
///
/// # Errors
///
/// `Codec` if the value does not serialise.
pub fn output_json<T: Document>(document: &T) -> Result<String> {
    serde_json::to_string(&Output::new(document)).map_err(not_encoded)
}

#[cold]
fn not_encoded(error: serde_json::Error) -> Error {
    Error::new(
        ErrorKind::Codec,
        format!("document does not encode: {error}"),
    )
    .with_source(error)
}

/// Takes the secrets of the documents `T` out of a JSON value that holds one or an array of them.
pub fn strip_secrets<T: Document>(value: &mut Value) {
    let Ok(model) = T::model() else {
        // Without a model nothing tells what is secret, so nothing may be shown.
        *value = Value::Null;
        return;
    };
    let secrets: Vec<_> = model
        .fields()
        .filter(|f| f.secret)
        .map(|f| &f.path)
        .collect();
    each_object(value, &mut |object| {
        for path in &secrets {
            remove(object, path);
        }
        for property in T::lazy_properties() {
            if let Some(value) = object.get_mut(property.name) {
                (property.strip)(value);
            }
        }
    });
}

fn each_object(value: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Array(elements) => {
            for element in elements {
                each_object(element, visit);
            }
        }
        Value::Object(object) => visit(object),
        _ => {}
    }
}

/// Removes the member at `path`, in every element where the path leads through arrays.
fn remove(object: &mut Map<String, Value>, path: &FieldPath) {
    let names: Vec<&str> = path.segments().collect();
    remove_names(object, &names);
}

fn remove_names(object: &mut Map<String, Value>, names: &[&str]) {
    let Some((first, rest)) = names.split_first() else {
        return;
    };
    if rest.is_empty() {
        object.remove(*first);
    } else if let Some(value) = object.get_mut(*first) {
        each_object(value, &mut |inner| remove_names(inner, rest));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn removes_through_objects_and_arrays() {
        let mut value = json!({
            "a": {"b": 1, "c": 2},
            "list": [{"b": 1, "c": [{"d": 1}]}, 5, [{"b": 2}]],
        });
        let object = value.as_object_mut().unwrap();
        for path in ["a.b", "list.b", "list.c.d", "missing.x", "a.b.c"] {
            remove(object, &path.parse().unwrap());
        }
        assert_eq!(
            value,
            json!({"a": {"c": 2}, "list": [{"c": [{}]}, 5, [{}]]})
        );
    }

    #[test]
    fn the_flag_is_put_back() {
        assert!(!is_shown());
        {
            let _outer = Showing::begin();
            {
                let _inner = Showing::begin();
                assert!(is_shown());
            }
            assert!(is_shown());
        }
        assert!(!is_shown());
        let panicked = std::panic::catch_unwind(|| {
            let _showing = Showing::begin();
            panic!("within a serialisation");
        });
        assert!(panicked.is_err() && !is_shown());
    }
}
