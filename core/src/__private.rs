//! What the code that the derive writes calls. Not for use by hand: it changes without notice.

use std::borrow::Cow;
use std::marker::PhantomData;

pub use crate::error::{Error, Result};
pub use crate::handle::{
    Document, Field, FieldType, GeneratedId, IdSource, IntoFieldPath, KeyPart, LazyProperty, Links,
    ObjectType, Resolver, StampField, kinds, settle_all, settle_one, strip_secrets,
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

/// Asks whether a type is a document, where only the compiler knows it: of the two traits that
/// have a method `strip`, the one for documents is closer.
#[derive(Debug)]
pub struct Probe<V>(PhantomData<V>);

impl<V> Probe<V> {
    /// The question.
    pub const NEW: Self = Self(PhantomData);
}

/// Takes the secrets out of documents.
pub trait StripDocument {
    /// Takes the secrets out.
    fn strip(&self, value: &mut serde_json::Value);
}

impl<V: Document> StripDocument for Probe<V> {
    fn strip(&self, value: &mut serde_json::Value) {
        strip_secrets::<V>(value);
    }
}

/// Leaves everything else as it is.
pub trait StripOther {
    /// Does nothing.
    fn strip(&self, _value: &mut serde_json::Value) {}
}

impl<V> StripOther for &Probe<V> {}
