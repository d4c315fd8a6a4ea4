//! All that matches, piece by piece, as it was at one moment.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Model, RawDocument, Routing};
use crate::query::{Filter, Sort, SourceFilter};

/// A scan.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// The collection.
    pub model: Arc<Model>,
    /// Which documents.
    pub filter: Filter,
    /// In which order; by id where it leaves ties.
    pub sort: Vec<Sort>,
    /// Which parts of the bodies.
    pub source: SourceFilter,
    /// Only documents of this routing.
    pub routing: Option<Routing>,
    /// How many documents a piece has at most: 1 to [`MAX_PAGE`](super::MAX_PAGE).
    pub batch: usize,
}

impl ScanRequest {
    /// A scan of what matches, by id, in pieces of 500.
    #[must_use]
    pub fn new(model: Arc<Model>, filter: Filter) -> Self {
        Self {
            model,
            filter,
            sort: Vec::new(),
            source: SourceFilter::All,
            routing: None,
            batch: 500,
        }
    }
}

/// An open scan.
///
/// All its pieces MUST show one state of the data, that of the moment when it was opened, whatever
/// is written meanwhile: where searches lag, the state that searches saw then, which need not be of
/// the same moment on every shard. On a transaction it may see what the transaction itself writes
/// while it goes on, and below [`Isolation::Snapshot`](super::Isolation::Snapshot) each piece may see
/// what others have committed by then, so that a document whose order changes meanwhile can come
/// twice or not at all. It MUST hold no more than a few pieces in memory, unless the data are in memory
/// anyway, and MUST NOT keep other calls of the store from working. Dropping it, or a call's
/// future, closes it without waiting.
#[async_trait]
pub trait Scan: Debug + Send {
    /// The next piece, in order; an empty one after the last, and ever after.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Timeout` if the engine gave the scan up; after an error, and after a
    /// dropped future, every call fails with `Cancelled`. An error is never an empty piece.
    async fn next(&mut self) -> Result<Vec<RawDocument>>;

    /// Lets go of what the engine keeps for the scan. Later calls of
    /// [`next`](Self::next) fail with `Cancelled`. Closing twice is no error.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`; the engine then lets go by itself after a while.
    async fn close(&mut self) -> Result<()>;
}
