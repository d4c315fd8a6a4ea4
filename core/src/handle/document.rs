//! What a type must tell to be stored; `#[derive(Document)]` writes it.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lazy::LazyProperty;
use super::loader::Links;
use crate::error::Result;
use crate::model::{Key, Model, Timestamp};
use crate::store::Stamps;

/// Draws ids for documents whose ids are generated.
pub trait IdSource: Send + Sync + std::fmt::Debug {
    /// Draws a new id, UUIDv7 text by default: ids drawn later sort later.
    fn next_id(&self) -> String;
}

/// A type whose values are documents of one collection.
///
/// It is derived: see `#[derive(Document)]` of the facade crate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a document",
    note = "add `#[derive(Document)]` and `#[document(collection = \"…\")]` to it"
)]
pub trait Document: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// The handles of the type's fields, as `T::fields()` hands them out.
    type Fields;

    /// Whether documents are identified by routing and id, as [`Model::is_routed`] says.
    const ROUTED: bool = false;

    /// Builds the model of the type's collection. Called once per database handle.
    ///
    /// # Errors
    ///
    /// `Invalid` if a declaration breaks a rule that the derive could not check.
    fn model() -> Result<Arc<Model>>;

    /// The handles of the fields, for filters, sorts, selections and patches.
    fn fields() -> Self::Fields;

    /// The document's key: the given or generated id, or the computed one, with the routing of a
    /// routed collection.
    ///
    /// # Errors
    ///
    /// `Invalid` if the id or routing breaks a limit, or a generated id was not drawn yet.
    fn key(&self) -> Result<Key>;

    /// Draws the id of a document whose ids are generated, if it has none yet. Does nothing where
    /// ids are given or computed.
    fn assign_id(&mut self, ids: &dyn IdSource);

    /// Sets the field that holds the time of creation, if the type has one.
    fn set_created(&mut self, created: Timestamp);

    /// The field that holds the time of creation, if the type has one and it is set.
    fn created(&self) -> Option<Timestamp>;

    /// Sets the field that holds the time of the last change, if the type has one.
    fn set_updated(&mut self, updated: Timestamp);

    /// The field that holds the time of the last change, if the type has one and it is set.
    fn updated(&self) -> Option<Timestamp> {
        None
    }

    /// Puts both stamps back to what they were; `None` clears a field that is an `Option`. Handles
    /// use it so that a value whose save fails looks as it did before.
    fn restore_stamps(&mut self, before: Stamps) {
        if let Some(created) = before.created {
            self.set_created(created);
        }
        if let Some(updated) = before.updated {
            self.set_updated(updated);
        }
    }

    /// The fields, by their names in JSON, that the id and the routing are read from: loaded with
    /// every selection, so that a partly loaded value still knows its key. Empty where the key is
    /// computed by functions.
    fn key_fields() -> &'static [&'static str] {
        &[]
    }

    /// Shows the walk every field that may hold references, by [`Links::field`].
    fn links(&self, _links: &mut Links<'_>) {}

    /// The lazy properties, with what computes them.
    fn lazy_properties() -> &'static [LazyProperty<Self>] {
        &[]
    }
}
