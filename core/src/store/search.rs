//! Finding documents by what they hold.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Model, RawDocument, Routing};
use crate::query::{Cursor, Filter, Sort, SourceFilter};

/// Most documents of one page, and the place where offset paging ends.
pub const MAX_PAGE: usize = 10_000;

/// Whether and how far matching documents are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Total {
    /// Not at all.
    #[default]
    None,
    /// All of them.
    Exact,
    /// Up to this many.
    AtMost(u64),
}

/// A count of matching documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotalCount {
    /// The count.
    pub value: u64,
    /// Whether there are exactly so many; otherwise there are at least so many.
    pub exact: bool,
}

/// One page of a query.
#[derive(Clone, Debug)]
pub struct FindRequest {
    /// The collection.
    pub model: Arc<Model>,
    /// Which documents.
    pub filter: Filter,
    /// In which order.
    pub sort: Vec<Sort>,
    /// How many at most: 1 to [`MAX_PAGE`].
    pub limit: usize,
    /// How many to leave out first. With the limit at most [`MAX_PAGE`]; not with a cursor.
    pub offset: usize,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Which parts of the bodies.
    pub source: SourceFilter,
    /// Only documents of this routing.
    pub routing: Option<Routing>,
    /// Whether to count all that match.
    pub total: Total,
}

impl FindRequest {
    /// The first 50 documents that match, by id.
    #[must_use]
    pub fn new(model: Arc<Model>, filter: Filter) -> Self {
        Self {
            model,
            filter,
            sort: Vec::new(),
            limit: 50,
            offset: 0,
            after: None,
            source: SourceFilter::All,
            routing: None,
            total: Total::None,
        }
    }
}

/// One page of documents.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The documents, in the order asked for.
    pub documents: Vec<RawDocument>,
    /// Where the next page begins; `None` when this one is the last.
    pub next: Option<Cursor>,
    /// How many match, if asked.
    pub total: Option<TotalCount>,
}

impl Page {
    /// A page of these documents.
    #[must_use]
    pub fn new(
        documents: Vec<RawDocument>,
        next: Option<Cursor>,
        total: Option<TotalCount>,
    ) -> Self {
        Self {
            documents,
            next,
            total,
        }
    }
}

/// How many documents match.
#[derive(Clone, Debug)]
pub struct CountRequest {
    /// The collection.
    pub model: Arc<Model>,
    /// Which documents.
    pub filter: Filter,
    /// Only documents of this routing.
    pub routing: Option<Routing>,
}

impl CountRequest {
    /// Counts what matches.
    #[must_use]
    pub fn new(model: Arc<Model>, filter: Filter) -> Self {
        Self {
            model,
            filter,
            routing: None,
        }
    }
}

/// Finding documents.
///
/// Search may lag behind writes where [`Capabilities::search_lags`](super::Capabilities) says so;
/// [`Schema::refresh`](super::Schema::refresh) makes earlier writes visible.
#[async_trait]
pub trait Search: Debug + Send + Sync {
    /// Finds one page. The answer MUST be whole: a failed shard, a timeout or a closed cursor is
    /// an error. `next` MUST be `None` exactly when no document follows the page.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor of another query; `Unsupported` for a filter node that the engine
    /// does not have; `Unavailable`, `Timeout`, `Contended`.
    async fn find(&self, request: FindRequest) -> Result<Page>;

    /// Counts exactly what matches.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    async fn count(&self, request: CountRequest) -> Result<u64>;
}
