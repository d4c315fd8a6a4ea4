//! Finding documents by what they hold.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::aggregate::{AggregateReply, AggregateRequest};
use super::explain::{ExplainRequest, Explanation};
use super::group::{GroupRequest, Groups};
use super::matching::{MatchingReply, MatchingRequest};
use super::scan::{Scan, ScanRequest};
use crate::error::Result;
use crate::model::{Model, RawDocument, Routing};
use crate::query::{Cursor, Filter, Position, Sort, SourceFilter};

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

/// Where in a query a page lies.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum PageStart {
    /// At its beginning.
    #[default]
    First,
    /// Behind this place.
    After(Cursor),
    /// Before this place: the last documents before it, in the order of the query.
    Before(Cursor),
    /// At its end: the last documents, in the order of the query.
    Last,
}

impl From<Option<Cursor>> for PageStart {
    /// Behind the cursor, or at the beginning without one.
    fn from(cursor: Option<Cursor>) -> Self {
        cursor.map_or(Self::First, Self::After)
    }
}

impl PageStart {
    /// The cursor, if there is one.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        match self {
            Self::After(cursor) | Self::Before(cursor) => Some(cursor),
            _ => None,
        }
    }

    /// Whether documents are looked for from the place backwards.
    #[must_use]
    pub fn is_backward(&self) -> bool {
        matches!(self, Self::Before(_) | Self::Last)
    }
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
    /// Where in the query the page lies.
    pub start: PageStart,
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
            start: PageStart::First,
            source: SourceFilter::All,
            routing: None,
            total: Total::None,
        }
    }
}

/// One page of documents.
///
/// In the direction in which the page was asked for, a cursor is there exactly when a document
/// lies beyond the page. In the other direction it is there whenever the page does not lie at the
/// edge of the query and holds a document: if what lay there was deleted meanwhile, it leads to an
/// empty page.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The documents, in the order asked for.
    pub documents: Vec<RawDocument>,
    /// The place of the last document, behind which the next page lies.
    pub next: Option<Cursor>,
    /// The place of the first document, before which the previous page lies.
    pub previous: Option<Cursor>,
    /// How many match, if asked.
    pub total: Option<TotalCount>,
    /// The score of each document, in their order, if the order looks at
    /// [scores](crate::query::SortTarget::Score); otherwise none.
    pub scores: Vec<f64>,
}

impl Page {
    /// A page of these documents, without cursors.
    #[must_use]
    pub fn new(documents: Vec<RawDocument>, total: Option<TotalCount>) -> Self {
        Self {
            documents,
            next: None,
            previous: None,
            total,
            scores: Vec::new(),
        }
    }

    /// Adds the scores of the documents, one for each, in their order.
    #[must_use]
    pub fn with_scores(mut self, scores: Vec<f64>) -> Self {
        self.scores = scores;
        self
    }

    /// Adds the cursors of the answer to `request`: from the places of the first and the last
    /// document, and from whether more documents lie beyond the page in the direction that was
    /// asked for.
    #[must_use]
    pub fn with_cursors(
        mut self,
        request: &FindRequest,
        first: Option<Position>,
        last: Option<Position>,
        more: bool,
    ) -> Self {
        let (before, behind) = match request.start {
            PageStart::First => (request.offset > 0, more),
            PageStart::After(_) => (true, more),
            PageStart::Before(_) => (more, true),
            PageStart::Last => (more, false),
        };
        let first = first.filter(|_| before);
        let last = last.filter(|_| behind);
        if first.is_some() || last.is_some() {
            let query = Cursor::fingerprint(
                request.model.name(),
                &request.filter,
                &request.sort,
                request.routing.as_ref(),
            );
            self.previous = first.map(|position| Cursor::at(position, query));
            self.next = last.map(|position| Cursor::at(position, query));
        }
        self
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

/// Asking what documents hold.
///
/// Search may lag behind writes where [`Capabilities::search_lags`](super::Capabilities) says so;
/// [`Schema::refresh`](super::Schema::refresh) makes earlier writes visible. Every answer MUST be
/// whole: a failed shard, a timeout or a closed cursor is an error.
///
/// All of these fail with `Invalid` for a function that fails, `Unsupported` for what the
/// capabilities do not grant, `Unavailable`, `Timeout` and `Contended`.
#[async_trait]
pub trait Search: Debug + Send + Sync {
    /// Finds one page. `next` MUST be `None` exactly when no document follows the page, unless
    /// the page was asked for backwards; see [`Page`]. In an order by score every document MUST
    /// have its score, exactly as the order compares it and as its cursors hold it.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor of another query.
    async fn find(&self, request: FindRequest) -> Result<Page>;

    /// Counts exactly what matches.
    ///
    /// # Errors
    ///
    /// As said at the trait.
    async fn count(&self, request: CountRequest) -> Result<u64>;

    /// Computes aggregations over what matches, all of them over one state of the data.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the aggregation, if a histogram makes more than
    /// [`MAX_BUCKETS`](crate::query::MAX_BUCKETS) buckets, or one that begins at no finite number.
    async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply>;

    /// Finds the first documents of each group.
    ///
    /// # Errors
    ///
    /// `Invalid` if ties make more than [`MAX_PAGE`] documents.
    async fn group(&self, request: GroupRequest) -> Result<Groups>;

    /// Opens a scan: all that matches, as it is at this moment, piece by piece.
    ///
    /// # Errors
    ///
    /// `Contended` if too many scans are open.
    async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>>;

    /// Patches or deletes some of what matches; see [`MatchingRequest`]. Each document MUST be
    /// written only if it is as it was when it matched.
    ///
    /// # Errors
    ///
    /// An error of the whole call means that nothing was written, unless its kind is
    /// `Indeterminate`.
    async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply>;

    /// Says what the engine would be asked, without asking it for documents.
    ///
    /// # Errors
    ///
    /// As said at the trait.
    async fn explain(&self, request: ExplainRequest) -> Result<Explanation>;
}
