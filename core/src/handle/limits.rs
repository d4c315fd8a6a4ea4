//! The limits of a database handle: nothing that a handle does is unbounded by accident.

use crate::store::MAX_PAGE;

/// Default number of documents of one page.
const PAGE_SIZE: usize = 50;
/// Default number of documents that a stream fetches at a time.
const STREAM_PAGE: usize = 500;
/// Default number of keys of one load.
const LOAD_KEYS: usize = 1_000;
/// Default number of items of one part of a bulk.
const BULK_ITEMS: usize = 10_000;
/// Default size of one part of a bulk, in bytes of bodies.
const BULK_BYTES: usize = 16 * 1024 * 1024;
/// Default number of resolvers and loads that run at once.
const CONCURRENCY: usize = 16;
/// Default number of levels that lazy properties and references are followed.
const LAZY_DEPTH: usize = 1;

/// What a database handle holds itself to. Each limit has a default and a setting, and none can be
/// zero but the depth.
///
/// What a store allows is a second limit beside these: the smaller of the two holds.
///
/// # Examples
///
/// ```
/// use strongroom_core::handle::Limits;
///
/// let limits = Limits::default().with_page_size(100).with_lazy_depth(2);
/// assert_eq!(limits.page_size(), 100);
/// assert_eq!(Limits::default().with_page_size(0).page_size(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    page_size: usize,
    stream_page: usize,
    load_keys: usize,
    bulk_items: usize,
    bulk_bytes: usize,
    concurrency: usize,
    lazy_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page_size: PAGE_SIZE,
            stream_page: STREAM_PAGE,
            load_keys: LOAD_KEYS,
            bulk_items: BULK_ITEMS,
            bulk_bytes: BULK_BYTES,
            concurrency: CONCURRENCY,
            lazy_depth: LAZY_DEPTH,
        }
    }
}

impl Limits {
    /// How many documents a page has where a query does not say: 50 by default, at most
    /// [`MAX_PAGE`].
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.page_size
    }

    /// Sets the [page size](Self::page_size), within 1 and [`MAX_PAGE`].
    #[must_use]
    pub fn with_page_size(mut self, documents: usize) -> Self {
        self.page_size = documents.clamp(1, MAX_PAGE);
        self
    }

    /// How many documents a stream fetches at a time, and so holds in memory: 500 by default, at
    /// most [`MAX_PAGE`].
    #[must_use]
    pub fn stream_page(&self) -> usize {
        self.stream_page
    }

    /// Sets the [piece of a stream](Self::stream_page), within 1 and [`MAX_PAGE`].
    #[must_use]
    pub fn with_stream_page(mut self, documents: usize) -> Self {
        self.stream_page = documents.clamp(1, MAX_PAGE);
        self
    }

    /// How many keys one load has at most, 1,000 by default; longer lists are loaded in parts.
    #[must_use]
    pub fn load_keys(&self) -> usize {
        self.load_keys
    }

    /// Sets the most [keys of one load](Self::load_keys), at least 1.
    #[must_use]
    pub fn with_load_keys(mut self, keys: usize) -> Self {
        self.load_keys = keys.max(1);
        self
    }

    /// How many items one part of a bulk has at most, 10,000 by default.
    #[must_use]
    pub fn bulk_items(&self) -> usize {
        self.bulk_items
    }

    /// Sets the most [items of one part of a bulk](Self::bulk_items), at least 1.
    #[must_use]
    pub fn with_bulk_items(mut self, items: usize) -> Self {
        self.bulk_items = items.max(1);
        self
    }

    /// How many bytes of bodies one part of a bulk has at most, unless one item alone has more:
    /// 16 MiB by default.
    #[must_use]
    pub fn bulk_bytes(&self) -> usize {
        self.bulk_bytes
    }

    /// Sets the most [bytes of one part of a bulk](Self::bulk_bytes), at least 1.
    #[must_use]
    pub fn with_bulk_bytes(mut self, bytes: usize) -> Self {
        self.bulk_bytes = bytes.max(1);
        self
    }

    /// How many resolvers or loads one call runs at once, 16 by default.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Sets the [concurrency](Self::concurrency), at least 1.
    #[must_use]
    pub fn with_concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls.max(1);
        self
    }

    /// How many levels of lazy properties and references one call follows, 1 by default; 0 follows
    /// none.
    #[must_use]
    pub fn lazy_depth(&self) -> usize {
        self.lazy_depth
    }

    /// Sets the [depth](Self::lazy_depth).
    #[must_use]
    pub fn with_lazy_depth(mut self, levels: usize) -> Self {
        self.lazy_depth = levels;
        self
    }
}
