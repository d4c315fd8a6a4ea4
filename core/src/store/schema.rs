//! Making, extending, describing and dropping collections.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{CollectionName, FieldPath, Model};

/// Makes a collection fit its model.
#[derive(Clone, Debug)]
pub struct EnsureRequest {
    /// The model.
    pub model: Arc<Model>,
}

impl EnsureRequest {
    /// Makes the model's collection fit it.
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        Self { model }
    }
}

/// What [`Schema::ensure`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnsureReport {
    /// Whether the collection was created.
    pub created: bool,
    /// The fields that were added to a collection that was there.
    pub added: Vec<FieldPath>,
}

impl EnsureReport {
    /// The collection was created.
    #[must_use]
    pub fn created() -> Self {
        Self {
            created: true,
            added: Vec::new(),
        }
    }

    /// The collection was there, and these fields were added.
    #[must_use]
    pub fn extended(added: Vec<FieldPath>) -> Self {
        Self {
            created: false,
            added,
        }
    }
}

/// A collection as the engine holds it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CollectionDescription {
    /// The model as far as the engine keeps it: kinds, indexes, unique fields, routing.
    pub model: Arc<Model>,
    /// How many documents there are.
    pub documents: u64,
}

impl CollectionDescription {
    /// A description.
    #[must_use]
    pub fn new(model: Arc<Model>, documents: u64) -> Self {
        Self { model, documents }
    }
}

/// How well the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// All is well.
    Ready,
    /// It works, with less redundancy than configured.
    Degraded,
}

/// What answers at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The product, in lower case.
    pub product: String,
    /// Its version, as it tells it.
    pub version: String,
}

impl ServerInfo {
    /// A product and its version.
    #[must_use]
    pub fn new(product: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            product: product.into(),
            version: version.into(),
        }
    }
}

/// Making, extending, describing and dropping collections.
#[async_trait]
pub trait Schema: Debug + Send + Sync {
    /// Creates the collection, or adds what the model has more. Many callers may do so at once.
    /// What is there is never changed: use [`Model::extends`] to decide.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch`, naming the field, if the model contradicts what is stored, or if somebody
    /// else made a table of that name; `Unsupported`, naming the feature, if the engine cannot keep
    /// what the model declares, or change the schema within a transaction; `UniqueViolation` if a
    /// field is to become unique whose stored values are not; `Unauthorized` if the user may not
    /// make what the collection needs, such as tables, indexes or triggers; `Contended` if a lock,
    /// or another change of the schema, was waited for too long; `Unavailable`; `Indeterminate` if
    /// it is not known whether it took place: it can be made again.
    async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport>;

    /// Describes a collection, or `None` if it is not there.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`.
    async fn describe(&self, collection: CollectionName) -> Result<Option<CollectionDescription>>;

    /// Drops a collection with all its documents; `false` if it was not there.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`, `Contended`.
    async fn drop_collection(&self, collection: CollectionName) -> Result<bool>;

    /// Makes every write acknowledged before the call visible to searches.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`.
    async fn refresh(&self, collection: CollectionName) -> Result<()>;

    /// Waits until the engine answers, at most `timeout`.
    ///
    /// # Errors
    ///
    /// `Timeout` if it does not answer in time; `Unauthorized` or `Config`, for which waiting is of
    /// no use.
    async fn ready(&self, timeout: Duration) -> Result<Health>;

    /// Asks what answers at the other end.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`.
    async fn server_info(&self) -> Result<ServerInfo>;
}
