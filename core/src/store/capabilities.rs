//! What a store can do.

use std::collections::BTreeSet;

use crate::model::MAX_BODY_BYTES;
use crate::query::{FunctionName, Functions};

/// Who writes created and updated stamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stamping {
    /// The handle, by its clock, before the body is encoded.
    #[default]
    Handle,
    /// The store, by the engine's clock, in the same step as the write.
    Store,
}

/// Which functions filters may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FunctionSupport {
    /// None.
    #[default]
    None,
    /// Those that were registered with the store, by these names.
    Registered(BTreeSet<FunctionName>),
    /// Those that the server has: only it can tell which.
    Server,
}

impl From<&Functions> for FunctionSupport {
    fn from(functions: &Functions) -> Self {
        Self::Registered(functions.names().cloned().collect())
    }
}

/// What a store can do. An adapter starts from [`Capabilities::new`], which grants nothing that is
/// optional, and sets what it has. A capability that is not granted is refused before any I/O with
/// `Unsupported`; one that is granted is tested by the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The engine's name as OpenTelemetry's database conventions have it, such as `sqlite`.
    pub engine: &'static str,
    /// Transactions over any number of documents and collections.
    pub transactions: bool,
    /// Savepoints within transactions.
    pub savepoints: bool,
    /// Bulks that take effect as a whole or not at all.
    pub atomic_bulk: bool,
    /// Unique fields.
    pub unique_fields: bool,
    /// Pages from a place backwards, and from the end.
    pub backward_pages: bool,
    /// Filters by the words of text.
    pub text_search: bool,
    /// Orders by how well documents fit the words asked for, and the scores with them.
    pub score: bool,
    /// Filters by the objects of nested fields, one by one.
    pub nested_filters: bool,
    /// Which functions filters may call.
    pub functions: FunctionSupport,
    /// Conditions in the engine's own language.
    pub native_filters: bool,
    /// Aggregations.
    pub aggregations: bool,
    /// The first documents of each group.
    pub groups: bool,
    /// Scans of one state of the data.
    pub scans: bool,
    /// Writes of what matches.
    pub matching_writes: bool,
    /// Each call is a round trip whose price many documents can share, so that saves and loads that
    /// come at once had better be joined.
    pub gains_by_coalescing: bool,
    /// Searches may lag behind writes until a refresh.
    pub search_lags: bool,
    /// Other calls may read while a transaction is open. Where not, they wait for its end.
    pub reads_beside_transactions: bool,
    /// Acknowledged writes survive the end of the process.
    pub durable: bool,
    /// A delete whose outcome was unknown can be resolved, because deletions leave a trace: one
    /// that expects a version and is sent again with its write id is answered as the first time.
    pub provable_deletes: bool,
    /// Who writes created and updated stamps.
    pub stamping: Stamping,
    /// Most items of one bulk; larger ones are split by the handle.
    pub max_bulk_items: usize,
    /// Largest body, in bytes.
    pub max_body_bytes: usize,
    /// Most keys of one load; longer lists are split by the handle.
    pub max_load_keys: usize,
}

impl Capabilities {
    /// Nothing but what every store has: loads, guarded writes, bulks, simple filters and pages.
    #[must_use]
    pub fn new(engine: &'static str) -> Self {
        Self {
            engine,
            transactions: false,
            savepoints: false,
            atomic_bulk: false,
            unique_fields: false,
            backward_pages: false,
            text_search: false,
            score: false,
            nested_filters: false,
            functions: FunctionSupport::None,
            native_filters: false,
            aggregations: false,
            groups: false,
            scans: false,
            matching_writes: false,
            gains_by_coalescing: false,
            search_lags: false,
            reads_beside_transactions: true,
            durable: false,
            provable_deletes: false,
            stamping: Stamping::Handle,
            max_bulk_items: 10_000,
            max_body_bytes: MAX_BODY_BYTES,
            max_load_keys: 10_000,
        }
    }
}
