//! What the code that the derive writes calls. Not for use by hand: it changes without notice.

use std::borrow::Cow;

pub use crate::error::{Error, Result};
pub use crate::handle::{
    Document, Field, FieldType, GeneratedId, IdSource, KeyPart, ObjectType, StampField, kinds,
};
pub use crate::model::{
    FieldDeclaration, FieldPath, Key, Kind, Model, ModelBuilder, Timestamp, UnknownFields,
};
pub use crate::store::Stamps;

/// The key of a document in a collection that is not routed.
///
/// # Errors
///
/// `Invalid` if there is no id or it breaks a limit.
pub fn key(id: Option<Cow<'_, str>>) -> Result<Key> {
    Key::new(id.ok_or_else(|| Error::invalid("the document has no id"))?)
}

/// The key of a document in a routed collection.
///
/// # Errors
///
/// `Invalid` if a part is missing or they break a limit.
pub fn routed_key(routing: Option<Cow<'_, str>>, id: Option<Cow<'_, str>>) -> Result<Key> {
    let id = id.ok_or_else(|| Error::invalid("the document has no id"))?;
    let routing = routing.ok_or_else(|| Error::invalid("the document has no routing"))?;
    Key::routed(routing, id)
}

/// What `key` says of a document whose generated id was not drawn yet.
#[must_use]
pub fn unset_id() -> Error {
    Error::invalid("the document's id is generated and was not drawn yet: an insert draws it")
}

/// The path of the field `name` within the object at `path`.
///
/// # Errors
///
/// `Invalid` if the path becomes too long or too deep, as it does where objects hold themselves.
pub fn child_path(path: &FieldPath, name: &str) -> Result<FieldPath> {
    FieldPath::new(format!("{path}.{name}"))
}

/// Compiles only for types whose fields are declared one by one.
pub const fn assert_object<O: ObjectType>() {}
