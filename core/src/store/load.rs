//! Loading documents by key.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Key, Model, RawDocument};
use crate::query::SourceFilter;

/// Which documents to load, and which parts of them.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// The collection.
    pub model: Arc<Model>,
    /// The keys, in the order of the reply. One may come twice.
    pub keys: Vec<Key>,
    /// Which parts of the bodies.
    pub source: SourceFilter,
}

impl LoadRequest {
    /// Loads whole documents.
    #[must_use]
    pub fn new(model: Arc<Model>, keys: Vec<Key>) -> Self {
        Self {
            model,
            keys,
            source: SourceFilter::All,
        }
    }

    /// Loads parts of the documents only.
    #[must_use]
    pub fn with_source(mut self, source: SourceFilter) -> Self {
        self.source = source;
        self
    }
}

/// Loading documents by key.
#[async_trait]
pub trait Load: Debug + Send + Sync {
    /// Loads documents: one entry per key, in the order of the keys, `None` where there is none.
    ///
    /// It MUST be realtime: every write acknowledged before the call is seen. Each document MUST
    /// come with the version of the very body handed out, and with its write id. Loading from a
    /// collection that was never ensured is `NotFound` for the collection, or empty where the
    /// engine cannot tell.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`, `Contended`; never fewer entries than keys.
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>>;
}
