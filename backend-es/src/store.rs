//! The store: its connection, its options, and what all operations share.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use elasticsearch::http::Method;
use strongroom_core::model::{CollectionName, Model};
use strongroom_core::store::{Capabilities, Store, Transact};
use strongroom_core::{Error, ErrorKind, Operation, Result};
use tokio::sync::RwLock;

use crate::analysis::TextAnalysis;
use crate::connection::{Compression, EsCredentials, Security};
use crate::index::{Index, Stored};
use crate::product::Product;
use crate::wire::{Request, Wire};

/// How a store talks to the engine and makes collections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EsOptions {
    /// How long one request may take, from connecting to the end of the reply. 30 s.
    pub timeout: Duration,
    /// How many primary shards a new collection has. 3.
    pub shards: u32,
    /// How many replicas a new collection has; the engine's default without one.
    pub replicas: Option<u32>,
    /// How often a new collection makes writes visible to searches by itself; the engine's default,
    /// a second while it is searched, without one.
    pub refresh_interval: Option<Duration>,
    /// How long the engine keeps a scan that nobody asks for its next piece. 1 minute.
    pub scan_keep_alive: Duration,
    /// How often a write that has to load the document first begins anew when others write between
    /// its load and its write. 64.
    pub attempts: u32,
    /// How texts of collections are read, where that is left to the engine. None.
    pub analysis: BTreeMap<CollectionName, TextAnalysis>,
    security: Security,
}

impl Default for EsOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            shards: 3,
            replicas: None,
            refresh_interval: None,
            scan_keep_alive: Duration::from_secs(60),
            attempts: 64,
            analysis: BTreeMap::new(),
            security: Security::default(),
        }
    }
}

impl EsOptions {
    /// Sets how long one request may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many primary shards a new collection has.
    #[must_use]
    pub fn shards(mut self, shards: u32) -> Self {
        self.shards = shards;
        self
    }

    /// Sets how many replicas a new collection has.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = Some(replicas);
        self
    }

    /// Sets how often a new collection makes writes visible to searches.
    #[must_use]
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh_interval = Some(interval);
        self
    }

    /// Sets how long the engine keeps a scan that nobody asks for its next piece.
    #[must_use]
    pub fn scan_keep_alive(mut self, keep_alive: Duration) -> Self {
        self.scan_keep_alive = keep_alive;
        self
    }

    /// Sets who asks. Without it the user and password of the URL do, if it has any.
    #[must_use]
    pub fn credentials(mut self, credentials: EsCredentials) -> Self {
        self.security.credentials = Some(credentials);
        self
    }

    /// Trusts servers whose certificates were signed by these authorities, in PEM form, besides
    /// those that everybody trusts.
    #[must_use]
    pub fn authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.security.authorities = Some(pem.into());
        self
    }

    /// Sets whether the bodies of requests are compressed.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.security.compression = compression;
        self
    }

    /// Sets which texts of a collection the engine reads by analysers of its own.
    #[must_use]
    pub fn analysis(mut self, collection: CollectionName, analysis: TextAnalysis) -> Self {
        self.analysis.insert(collection, analysis);
        self
    }

    /// How the texts of a collection are to be read.
    pub(crate) fn texts_of(&self, collection: &CollectionName) -> TextAnalysis {
        self.analysis.get(collection).cloned().unwrap_or_default()
    }

    /// Sets how often a write that has to load first begins anew.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }
}

/// A store on Elasticsearch. Cheap to clone; clones share one connection.
#[derive(Clone)]
pub struct EsStore {
    shared: Arc<Shared>,
}

struct Shared {
    wire: Wire,
    options: EsOptions,
    product: Product,
    capabilities: Capabilities,
    /// The indices that collections were found to be. An entry may be out of date: the engine says
    /// so, by refusing the name, and the entry is read anew.
    indices: Mutex<HashMap<CollectionName, Index>>,
    /// Whether the store is open; calls under way hold it for reading.
    open: RwLock<bool>,
}

impl fmt::Debug for EsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EsStore")
            .field("address", &self.shared.wire.address())
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

/// What is read of an index's description, or of the error in its place. The mappings of a model
/// with nested fields can be deeper than a reader goes; of an index of others the name is left.
const DESCRIPTION: &str = "error,status,*.aliases,*.mappings._meta,*.settings.index.provided_name";

/// Bounds one bulk request: the engine takes 100 MB.
pub(crate) const MAX_REQUEST_BYTES: usize = 32 * 1024 * 1024;

impl EsStore {
    /// Connects with default options.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// As for [`connect_with`](Self::connect_with).
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, EsOptions::default()).await
    }

    /// Connects to the engine at `url`, `http://` or `https://` with an optional user and password,
    /// or `cloud:` and a cloud id, and asks what answers there.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// `Config` if the URL is none that is understood, the options are out of range, or what
    /// answers is neither Elasticsearch 8 or later nor OpenSearch 2 or later; `Unavailable`, `Timeout`, `Unauthorized` if nothing answers.
    pub async fn connect_with(url: &str, options: EsOptions) -> Result<Self> {
        let connect = |e: Error| e.with_operation(Operation::Connect);
        if options.timeout.is_zero() || options.shards == 0 || options.attempts == 0 {
            let message = "timeout, shards and attempts must be more than zero";
            return Err(connect(Error::new(ErrorKind::Config, message)));
        }
        let wire = Wire::new(url, options.timeout, &options.security).map_err(connect)?;
        let info = crate::schema::ask_server(&wire).await.map_err(|e| {
            let message = format!("{}: {}", wire.address(), e.message());
            connect(Error::new(e.kind(), message).with_source(e))
        })?;
        let product = Product::of(&info).map_err(connect)?;
        Ok(Self {
            shared: Arc::new(Shared {
                wire,
                options,
                product,
                capabilities: product.capabilities(),
                indices: Mutex::default(),
                open: RwLock::new(true),
            }),
        })
    }

    /// Which product answers.
    pub(crate) fn product(&self) -> Product {
        self.shared.product
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.shared.wire
    }

    pub(crate) fn options(&self) -> &EsOptions {
        &self.shared.options
    }

    /// Runs a call unless the store is closed, and says in its error which call it was.
    pub(crate) async fn guard<T>(
        &self,
        operation: Operation,
        collection: Option<&CollectionName>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let open = self.shared.open.read().await;
        let outcome = if *open {
            call.await
        } else {
            Err(Error::new(ErrorKind::Unavailable, "the store is closed"))
        };
        drop(open);
        outcome.map_err(|e| {
            let e = e.with_operation(operation);
            match collection {
                Some(collection) => e.with_collection(collection.clone()),
                None => e,
            }
        })
    }

    /// What the engine holds under the collection's name.
    pub(crate) async fn look_up(&self, collection: &CollectionName) -> Result<Option<Stored>> {
        let path = format!("/{collection}");
        let request = Request::new(Method::Get, &path).query("filter_path", DESCRIPTION);
        let reply = self.wire().send(request).await;
        let reply = reply.map_err(|f| f.into_read_error())?;
        if reply.status == 404 {
            self.forget(collection);
            return Ok(None);
        }
        let reply = reply.succeeded().map_err(|f| f.into_read_error())?;
        let described = reply.read().map_err(|f| f.into_read_error())?;
        let stored = Stored::read(collection, &described)?;
        self.indices()
            .insert(collection.clone(), stored.index.clone());
        Ok(Some(stored))
    }

    /// The index of a collection, as known or as looked up.
    pub(crate) async fn index(&self, collection: &CollectionName) -> Result<Index> {
        let known = self.indices().get(collection).cloned();
        if let Some(index) = known {
            return Ok(index);
        }
        match self.look_up(collection).await? {
            Some(stored) => Ok(stored.index),
            None => Err(missing(collection)),
        }
    }

    /// As [`index`](Self::index), for questions of this model: one that was looked up before texts
    /// were added does not tell how they are read.
    pub(crate) async fn index_for(&self, model: &Model) -> Result<Index> {
        let index = self.index(model.name()).await?;
        if index.knows_texts_of(model) {
            return Ok(index);
        }
        match self.look_up(model.name()).await? {
            Some(stored) => Ok(stored.index),
            None => Err(missing(model.name())),
        }
    }

    /// Forgets which index a collection is.
    pub(crate) fn forget(&self, collection: &CollectionName) {
        self.indices().remove(collection);
    }

    fn indices(&self) -> std::sync::MutexGuard<'_, HashMap<CollectionName, Index>> {
        self.shared
            .indices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a call on a collection that is not there.
pub(crate) fn missing(collection: &CollectionName) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no collection {collection}"),
    )
}

#[async_trait]
impl Store for EsStore {
    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        None
    }

    async fn close(&self) -> Result<()> {
        *self.shared.open.write().await = false;
        Ok(())
    }
}
