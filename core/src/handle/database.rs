//! A database: any store, with the layers, the clock and the limits that its handles use.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::collection::Collection;
use super::context::{Context, Registry, Scope, Shared};
use super::document::{Document, IdSource};
use super::limits::Limits;
use super::retry::RetryPolicy;
use super::turns::Turns;
use crate::clock::{Clock, SystemClock};
use crate::error::{Operation, Result};
use crate::layers::{LayerOptions, default_stack};
use crate::store::{Capabilities, Health, ServerInfo, Store};

/// Draws ids as UUIDv7 text: ids drawn later sort later.
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidIds;

impl IdSource for UuidIds {
    fn next_id(&self) -> String {
        Uuid::now_v7().hyphenated().to_string()
    }
}

/// A store with everything that handles need beside it. Cheap to clone; all clones share the store.
///
/// Dropping the last clone lets go of the store; [`close`](Self::close) also waits for what is
/// under way.
#[derive(Clone, Debug)]
pub struct Database {
    context: Arc<Context>,
}

impl Database {
    /// A database over `store`, with the default layers, the system's clock and UUIDv7 ids.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::builder(store).build()
    }

    /// Begins a database over `store` with other settings.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, _| {
    /// use std::time::Duration;
    /// use strongroom_core::clock::ManualClock;
    ///
    /// let db = Database::builder(Arc::new(MemoryStore::new()))
    ///     .clock(Arc::new(ManualClock::new(Timestamp::from_millis(0)?)))
    ///     .limits(Limits::default().with_page_size(20))
    ///     .retry(RetryPolicy::default().with_deadline(Duration::from_secs(1)))
    ///     .build();
    /// assert_eq!(db.limits().page_size(), 20);
    /// # Ok(()) }) }
    /// ```
    pub fn builder(store: Arc<dyn Store>) -> DatabaseBuilder {
        DatabaseBuilder {
            store,
            layers: Some(LayerOptions::new()),
            clock: Arc::new(SystemClock),
            ids: Arc::new(UuidIds),
            limits: Limits::default(),
            retry: RetryPolicy::default(),
            #[cfg(feature = "signed-cursors")]
            cursor_key: None,
        }
    }

    /// The typed handle of the collection of `T`.
    ///
    /// It does no I/O and cannot fail. A model that breaks a rule is told by the handle's first
    /// call, as `Invalid`; so is a model that differs from the one that another type gave for the
    /// same collection, as `SchemaMismatch`.
    #[must_use]
    pub fn collection<T: Document>(&self) -> Collection<T> {
        Collection::new(self.context.clone())
    }

    /// Waits until the store answers, at most `timeout`. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// `Timeout` if it does not answer in time; `Unauthorized` or `Config`, for which waiting is of
    /// no use.
    pub async fn ready(&self, timeout: Duration) -> Result<Health> {
        let answer = self.store().ready(timeout).await;
        answer.map_err(|error| error.with_operation(Operation::Ready))
    }

    /// Asks what answers at the other end. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`.
    pub async fn server_info(&self) -> Result<ServerInfo> {
        let answer = self.store().server_info().await;
        answer.map_err(|error| error.with_operation(Operation::ServerInfo))
    }

    /// What the store can do.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.context.store.capabilities()
    }

    /// What this database holds itself to.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.context.shared.limits
    }

    /// Waits for the calls under way, then lets go of connections, threads and files. Every later
    /// call of any clone fails with `Unavailable`. Dropping the future leaves the store closing or
    /// open; closing again is no error.
    ///
    /// # Errors
    ///
    /// `Internal` or `Unavailable` if something that was written could not be made durable.
    pub async fn close(&self) -> Result<()> {
        let answer = self.store().close().await;
        answer.map_err(|error| error.with_operation(Operation::Close))
    }

    /// The store with its layers, for calls that know no type.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.context.store
    }

    /// The database as a call within `context` sees it, a transaction among them.
    pub(crate) fn within(context: &Arc<Context>) -> Self {
        Self {
            context: context.clone(),
        }
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }
}

/// Builds a [`Database`].
#[derive(Clone, Debug)]
#[must_use]
pub struct DatabaseBuilder {
    store: Arc<dyn Store>,
    layers: Option<LayerOptions>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    limits: Limits,
    retry: RetryPolicy,
    #[cfg(feature = "signed-cursors")]
    cursor_key: Option<crate::query::CursorKey>,
}

impl DatabaseBuilder {
    /// Sets the options of the default layers.
    pub fn layers(mut self, options: LayerOptions) -> Self {
        self.layers = Some(options);
        self
    }

    /// Puts no layers around the store: it brings its own, such as a
    /// [`Stack`](crate::layers::Stack) of them. Without the check layer an adapter is handed what
    /// it must not see.
    pub fn without_layers(mut self) -> Self {
        self.layers = None;
        self
    }

    /// Sets the clock that stamps are read from, where the store does not stamp itself.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets where generated ids come from.
    pub fn ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = ids;
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how updates and transactions are run again after a conflict.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Signs the cursors of pages, and takes none that were not signed by this key. By default
    /// they are not signed.
    #[cfg(feature = "signed-cursors")]
    pub fn cursor_key(mut self, key: crate::query::CursorKey) -> Self {
        self.cursor_key = Some(key);
        self
    }

    /// The database. It does no I/O.
    #[must_use]
    pub fn build(self) -> Database {
        let store = match &self.layers {
            Some(options) => default_stack(self.store, options),
            None => self.store,
        };
        Database {
            context: Arc::new(Context {
                store,
                shared: Arc::new(Shared {
                    clock: self.clock,
                    ids: self.ids,
                    limits: self.limits,
                    retry: self.retry,
                    registry: Registry::default(),
                    turns: Turns::default(),
                    #[cfg(feature = "signed-cursors")]
                    cursor_key: self.cursor_key,
                }),
                scope: Scope::Database,
            }),
        }
    }
}
