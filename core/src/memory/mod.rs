//! The in-memory store: complete, quick, and the oracle that every engine is compared with.
//!
//! It stands at the end of a call as any adapter does. Nothing of it survives the process.
//!
//! How it is built:
//!
//! - `collection` holds the documents of one collection and its unique values; `write`,
//!   `matching`, `schema`, `search`, `aggregate`, `group`, `scan` and `explain` are what is done
//!   with them. All of it is plain synchronous code on `&mut` values.
//! - `state` is all collections, each behind an `Arc`: a copy of the state costs one pointer per
//!   collection, and the first write to a shared collection copies its tree of pointers.
//! - `shared` is the committed state, behind a lock that is never held across an await, and the
//!   writers' turn: one save, bulk, schema change or transaction at a time, each waiting for the
//!   others at most as long as the store is told to.
//! - `transaction` is a copy of the state that becomes the committed one, or is dropped.
//!
//! A save alone finds its collection unshared and changes it in place, in logarithmic time. A
//! transaction pays for a copy of each collection that it writes to. Searches look at every
//! document of their collection, and writes wait for them.
//!
//! Orders by score count words ([`Scorer`](crate::query::Scorer)): tests know them beforehand.

mod aggregate;
mod collection;
mod explain;
mod group;
mod matching;
mod scan;
mod schema;
mod search;
mod shared;
mod state;
mod transaction;
mod write;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::{Clock, SystemClock};
use crate::error::{Operation, Result};
use crate::model::{CollectionName, RawDocument};
use crate::query::Functions;
use crate::store::{
    AggregateReply, AggregateRequest, BeginOptions, Bulk, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Load, LoadRequest, MatchingReply, MatchingRequest,
    Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search, ServerInfo, Store,
    Transact, Transaction,
};
use scan::{MemoryScan, Owner};
use shared::Shared;

/// How long a writer waits for the writers before it, unless told otherwise.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// How a [`MemoryStore`] is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemoryOptions {
    /// What tells the age of documents.
    pub clock: Arc<dyn Clock>,
    /// How long a write waits for an open transaction to end before it fails with `Contended`:
    /// 5 seconds by default.
    pub wait: Duration,
    /// What filters may call: nothing by default.
    pub functions: Functions,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            wait: DEFAULT_WAIT,
            functions: Functions::new(),
        }
    }
}

impl MemoryOptions {
    /// The system's clock, the default patience, and no functions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the age of documents by this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Lets a write wait at most this long.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Lets filters and writes call these functions.
    ///
    /// A function runs while the store is locked for the call: it must not wait for the store.
    #[must_use]
    pub fn functions(mut self, functions: Functions) -> Self {
        self.functions = functions;
        self
    }
}

/// A store in memory. Clones share their documents.
///
/// Every call runs to its end without waiting, but for writes while a transaction is open: these
/// wait, and need the time driver of a tokio runtime then. A future that is dropped while it waits
/// leaves nothing behind.
///
/// # Examples
///
/// ```
/// use strongroom_core::memory::MemoryStore;
/// use strongroom_core::model::{Body, Expected, Key, Model};
/// use strongroom_core::store::{EnsureRequest, Save, SaveRequest, Schema, Write};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// let model = Model::builder("users").build()?;
/// store.ensure(EnsureRequest::new(model.clone())).await?;
/// let write = Write::put(Key::new("ada")?, Body::parse(r#"{"age":36}"#)?, Expected::Absent);
/// let receipt = store.save(SaveRequest::new(model, write)).await?;
/// assert_eq!(receipt.version.and_then(|v| v.revision()), Some(1));
/// # Ok::<(), strongroom_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(MemoryOptions::new())
    }

    /// An empty store with other options.
    #[must_use]
    pub fn with_options(options: MemoryOptions) -> Self {
        Self {
            shared: Arc::new(Shared::new(options)),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Load for MemoryStore {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        let now = self.shared.now();
        self.shared
            .read(Operation::Load, |state| state.load(&request, now))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Save for MemoryStore {
    async fn save(&self, request: SaveRequest) -> Result<Receipt> {
        self.shared
            .write(Operation::Save, |state, moment| {
                state.save(&request, moment)
            })
            .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Bulk for MemoryStore {
    async fn bulk(&self, request: BulkRequest) -> Result<BulkReply> {
        self.shared
            .write(Operation::Bulk, |state, moment| {
                state.bulk(&request, moment)
            })
            .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Search for MemoryStore {
    async fn find(&self, request: FindRequest) -> Result<Page> {
        self.shared.ask(Operation::Find, |state, moment| {
            state.find(&request, moment)
        })
    }

    async fn count(&self, request: CountRequest) -> Result<u64> {
        self.shared.ask(Operation::Count, |state, moment| {
            state.count(&request, moment)
        })
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply> {
        self.shared.ask(Operation::Aggregate, |state, moment| {
            state.aggregate(&request, moment)
        })
    }

    async fn group(&self, request: GroupRequest) -> Result<Groups> {
        self.shared.ask(Operation::Group, |state, moment| {
            state.group(&request, moment)
        })
    }

    async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        let found = self.shared.ask(Operation::Scan, |state, moment| {
            state.scan(&request, moment)
        })?;
        let owner = Owner::Store(self.shared.clone());
        Ok(Box::new(MemoryScan::new(owner, found, request)))
    }

    async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply> {
        self.shared
            .write(request.action.operation(), |state, moment| {
                state.write_matching(&request, moment)
            })
            .await
    }

    async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        self.shared.ask(Operation::Explain, |state, moment| {
            state.explain(&request, moment)
        })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Schema for MemoryStore {
    async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport> {
        self.shared
            .write(Operation::Ensure, |state, _| state.ensure(&request.model))
            .await
    }

    async fn describe(&self, collection: CollectionName) -> Result<Option<CollectionDescription>> {
        self.shared
            .read(Operation::Describe, |state| Ok(state.describe(&collection)))
    }

    async fn drop_collection(&self, collection: CollectionName) -> Result<bool> {
        self.shared
            .write(Operation::DropCollection, |state, _| {
                Ok(state.drop_collection(&collection))
            })
            .await
    }

    async fn refresh(&self, collection: CollectionName) -> Result<()> {
        // Searches see every write at once; only the collection has to be there.
        self.shared.read(Operation::Refresh, |state| {
            state.collection(&collection).map(drop)
        })
    }

    async fn ready(&self, _timeout: Duration) -> Result<Health> {
        self.shared.read(Operation::Ready, |_| Ok(Health::Ready))
    }

    async fn server_info(&self) -> Result<ServerInfo> {
        self.shared
            .read(Operation::ServerInfo, |_| Ok(server_info()))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for MemoryStore {
    fn capabilities(&self) -> &Capabilities {
        self.shared.capabilities()
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        Some(Arc::new(self.clone()))
    }

    /// Rolls an open transaction back, waits for the writes that wait for their turn, and forgets
    /// everything. A dropped future leaves the store refusing calls; closing again goes on.
    async fn close(&self) -> Result<()> {
        self.shared.close().await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Transact for MemoryStore {
    async fn begin(&self, options: BeginOptions) -> Result<Arc<dyn Transaction>> {
        transaction::begin(&self.shared, &options)
            .await
            .map_err(|e| e.with_operation(Operation::Begin))
    }
}

fn server_info() -> ServerInfo {
    ServerInfo::new("memory", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests;
