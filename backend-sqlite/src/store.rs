//! The store: what the trait family asks, carried to the connections.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use strongroom_core::error::{Error, ErrorKind, Operation, Result};
use strongroom_core::model::{CollectionName, RawDocument};
use strongroom_core::store::{
    AggregateReply, AggregateRequest, BeginOptions, Bulk, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Load, LoadRequest, MatchingReply, MatchingRequest,
    Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search, ServerInfo, Store,
    Transact, Transaction,
};

use crate::aggregate;
use crate::bulk;
use crate::computed::calls_functions;
use crate::explain;
use crate::group;
use crate::load;
use crate::matching;
use crate::options::{SqliteOptions, WriteMode};
use crate::pool::CancelOnDrop;
use crate::schema::{self, Demand};
use crate::search;
use crate::shared::{Ending, Shared};
use crate::transaction;
use crate::write::Failure;
use crate::writer;

/// From here on loads go to a blocking thread.
const MANY_KEYS: usize = 256;

/// Documents in an SQLite file, or in memory. Clones share the connections.
///
/// Any number of stores and processes can use one file at once. A dropped future leaves the store
/// usable: a write that was not begun is withdrawn, one that was begun takes place entirely, a
/// search is interrupted.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::{Body, Expected, Key, Model};
/// use strongroom_core::store::{EnsureRequest, Load, LoadRequest, Save, SaveRequest, Schema, Write};
/// use strongroom_sqlite::{SqliteOptions, SqliteStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = SqliteStore::open(SqliteOptions::memory()).await?;
/// let model = Model::builder("users").build()?;
/// store.ensure(EnsureRequest::new(model.clone())).await?;
/// let ada = Key::new("ada")?;
/// let write = Write::put(ada.clone(), Body::parse(r#"{"age":36}"#)?, Expected::Absent);
/// store.save(SaveRequest::new(model.clone(), write)).await?;
/// let loaded = store.load(LoadRequest::new(model, vec![ada])).await?;
/// assert!(loaded[0].is_some());
/// # Ok::<(), strongroom_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

impl SqliteStore {
    /// Opens a file and makes it ready for the store, or documents in memory.
    ///
    /// A dropped future leaves the file as it was, or ready for the store.
    ///
    /// # Errors
    ///
    /// `Config`, naming the file, if it cannot be opened or written to, is no database, has the
    /// format of another version, if the options contradict what the store relies on, or if
    /// SQLite itself has a function that the options name;
    /// `Contended` if another process holds it; `Unavailable` if the disk fails.
    pub async fn open(options: SqliteOptions) -> Result<Self> {
        let opened = tokio::task::spawn_blocking(move || Shared::open(options)).await;
        let shared = opened
            .map_err(|e| Error::internal("opening the file failed").with_source(e))
            .flatten()
            .map_err(|e| e.with_operation(Operation::Connect))?;
        Ok(Self { shared })
    }

    /// Opens the file at this path with default options. See [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn open_file(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open(SqliteOptions::file(path)).await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

/// Adds what every error of a call tells.
pub(crate) trait Told<T> {
    fn told(self, operation: Operation, collection: &CollectionName) -> Result<T>;
}

impl<T> Told<T> for Result<T> {
    fn told(self, operation: Operation, collection: &CollectionName) -> Self {
        self.map_err(|e| {
            e.with_operation(operation)
                .with_collection(collection.clone())
        })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Load for SqliteStore {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        let statements = self.shared.statements.get(&request.model)?;
        let clock = &self.shared.options.clock;
        let loaded = if request.keys.len() < MANY_KEYS {
            self.shared
                .load(|c| load::load(c, &statements, &request.keys, &request.source, clock))
                .await
        } else {
            let (statements, clock) = (statements.clone(), clock.clone());
            let many = self.shared.search(move |c| {
                load::load(c, &statements, &request.keys, &request.source, &clock)
            });
            // Boxed, so that a load of few keys does not carry its state.
            Box::pin(many).await
        };
        loaded.told(Operation::Load, &statements.collection)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Save for SqliteStore {
    async fn save(&self, request: SaveRequest) -> Result<Receipt> {
        let shared = &self.shared;
        let statements = shared.statements.get(&request.model)?;
        let write = match request.write.computed.is_empty() {
            true => request.write,
            // Boxed, so that a plain save does not carry its state.
            false => Box::pin(shared.ready(&request.model, request.write))
                .await
                .told(Operation::Save, request.model.name())?,
        };
        writer::save(&shared.desk, &shared.options, statements, write)
            .await
            .told(Operation::Save, request.model.name())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Bulk for SqliteStore {
    async fn bulk(&self, mut request: BulkRequest) -> Result<BulkReply> {
        let shared = &self.shared;
        let model = request.model.clone();
        if calls_functions(&request.items) {
            let ready = shared.ready_items(&model, request.items).await;
            request.items = ready.told(Operation::Bulk, model.name())?;
        }
        let statements = shared.statements.get(&model)?;
        let clock = shared.options.clock.clone();
        let mode = shared.mode_for(request.items.len());
        let outcomes = shared
            .change(mode, move |connection| {
                let outcomes = bulk::bulk(connection, &statements, &request.items, clock.now())
                    .map_err(Failure::Engine)?;
                Ok(if request.atomic && outcomes.iter().any(Result::is_err) {
                    Ending::RollBack(bulk::undone(outcomes))
                } else {
                    Ending::Commit(outcomes)
                })
            })
            .await
            .told(Operation::Bulk, model.name())?;
        Ok(BulkReply::new(outcomes))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Search for SqliteStore {
    async fn find(&self, request: FindRequest) -> Result<Page> {
        let model = request.model.clone();
        self.shared.statements.get(&model)?;
        self.shared
            .search(move |connection| search::find(connection, &request))
            .await
            .told(Operation::Find, model.name())
    }

    async fn count(&self, request: CountRequest) -> Result<u64> {
        let model = request.model.clone();
        self.shared.statements.get(&model)?;
        self.shared
            .search(move |connection| search::count(connection, &request))
            .await
            .told(Operation::Count, model.name())
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply> {
        let model = request.model.clone();
        self.shared.statements.get(&model)?;
        self.shared
            .search(move |connection| aggregate::aggregate(connection, &request))
            .await
            .told(Operation::Aggregate, model.name())
    }

    async fn group(&self, request: GroupRequest) -> Result<Groups> {
        let model = request.model.clone();
        self.shared.statements.get(&model)?;
        self.shared
            .search(move |connection| group::group(connection, &request))
            .await
            .told(Operation::Group, model.name())
    }

    /// A scan of a file reads on a thread and a connection of its own; how many are open at once is
    /// for [`SqliteOptions::scans`] to say, and one more fails with `Contended`. One of documents in memory collects them when it is opened.
    async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        let model = request.model.clone();
        self.shared.statements.get(&model)?;
        let opened = self.shared.scan(request).await;
        opened.told(Operation::Scan, model.name())
    }

    /// A step is one transaction, on a blocking thread. A dropped future withdraws it while it
    /// searches; once it writes, it takes place entirely.
    async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply> {
        let shared = &self.shared;
        let operation = request.action.operation();
        let collection = request.model.name().clone();
        let statements = shared.statements.get(&request.model)?;
        let options = shared.options.clone();
        let cancel = CancelOnDrop::default();
        let cancelled = cancel.cancelled();
        shared
            .change(WriteMode::Thread, move |connection| {
                matching::write_matching(connection, &options, &cancelled, &statements, &request)
                    .map(Ending::Commit)
            })
            .await
            .told(operation, &collection)
    }

    async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        let collection = request.model().name().clone();
        self.shared.statements.get(request.model())?;
        self.shared
            .search(move |connection| explain::explain(connection, &request))
            .await
            .told(Operation::Explain, &collection)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Schema for SqliteStore {
    /// Many callers may do so at once: what is there is only read, and what is not is made in one
    /// transaction that looks again. A dropped future leaves it made or not.
    async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport> {
        let model = request.model;
        let name = model.name().clone();
        self.shared.statements.get(&model)?;
        let demanded = self
            .shared
            .load(|connection| schema::demand(connection, &model))
            .await
            .told(Operation::Ensure, &name)?;
        if let Demand::Nothing(report) = demanded {
            return Ok(report);
        }
        self.shared
            .change(WriteMode::Thread, move |connection| {
                Ok(Ending::Commit(schema::ensure(connection, &model)?))
            })
            .await
            .told(Operation::Ensure, &name)
    }

    async fn describe(&self, collection: CollectionName) -> Result<Option<CollectionDescription>> {
        let name = collection.clone();
        self.shared
            .search(move |connection| schema::describe(connection, &collection))
            .await
            .told(Operation::Describe, &name)
    }

    async fn drop_collection(&self, collection: CollectionName) -> Result<bool> {
        let name = collection.clone();
        self.shared
            .change(WriteMode::Thread, move |connection| {
                Ok(Ending::Commit(schema::drop_collection(
                    connection,
                    &collection,
                )?))
            })
            .await
            .told(Operation::DropCollection, &name)
    }

    /// Searches see every write at once; only the collection has to be there.
    async fn refresh(&self, collection: CollectionName) -> Result<()> {
        self.shared
            .load(|connection| schema::require(connection, &collection))
            .await
            .told(Operation::Refresh, &collection)
    }

    async fn ready(&self, timeout: Duration) -> Result<Health> {
        let answer = self.shared.load(schema::check_format);
        let answered = match tokio::time::timeout(timeout, answer).await {
            Ok(answered) => answered.map(|_| Health::Ready),
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                format!("the store did not answer within {} ms", timeout.as_millis()),
            )),
        };
        answered.map_err(|e| e.with_operation(Operation::Ready))
    }

    async fn server_info(&self) -> Result<ServerInfo> {
        // An answer means that the store is open.
        self.shared
            .load(|_| Ok(()))
            .await
            .map_err(|e| e.with_operation(Operation::ServerInfo))?;
        Ok(server_info())
    }
}

/// What answers: the library that is linked in.
pub(crate) fn server_info() -> ServerInfo {
    ServerInfo::new("sqlite", rusqlite::version())
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for SqliteStore {
    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        Some(Arc::new(self.clone()))
    }

    /// Rolls an open transaction back, waits for the calls under way, writes the log back into
    /// the file and closes it. A dropped future leaves the store refusing calls; closing again
    /// goes on.
    async fn close(&self) -> Result<()> {
        self.shared
            .close()
            .await
            .map_err(|e| e.with_operation(Operation::Close))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Transact for SqliteStore {
    /// A transaction owns the connection that writes: other writes of this store wait for its
    /// end, at most as long as the options say. All isolations are met: there is one writer, and
    /// its reads see one state.
    async fn begin(&self, options: BeginOptions) -> Result<Arc<dyn Transaction>> {
        transaction::begin(&self.shared, options)
            .await
            .map_err(|e| e.with_operation(Operation::Begin))
    }
}
