//! Transactions: the store's calls on the connection that writes, until commit or rollback.
//!
//! - `levels`: what calls are allowed, as a state of its own.
//! - `session`: the connection and how calls reach it.
//!
//! What a user holds is one level: the transaction or a savepoint in it. Dropping it ends it.

mod levels;
mod scan;
mod session;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use strongroom_core::error::{Operation, Result};
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
use crate::computed::{calls_functions, make_ready};
use crate::explain;
use crate::group;
use crate::load;
use crate::matching;
use crate::schema;
use crate::search;
use crate::shared::Shared;
use crate::statements::Statements;
use crate::store::{Told, server_info};
use crate::write::{Failure, Hand};
use levels::{LevelId, ROOT};
use scan::TransactionScan;
use session::{Session, is_many};

pub(crate) use session::Current;

/// Begins a transaction.
pub(crate) async fn begin(
    shared: &Arc<Shared>,
    options: BeginOptions,
) -> Result<Arc<dyn Transaction>> {
    let session = Session::begin(shared, options).await?;
    Ok(Arc::new(SqliteTransaction {
        session,
        level: ROOT,
    }))
}

/// A transaction or a savepoint.
#[derive(Debug)]
struct SqliteTransaction {
    session: Arc<Session>,
    level: LevelId,
}

impl SqliteTransaction {
    fn statements(&self, model: &strongroom_core::model::Model) -> Result<Arc<Statements>> {
        self.session.shared.statements.get(model)
    }

    async fn call<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T> {
        self.session.call(self.level, work).await
    }
}

impl Drop for SqliteTransaction {
    fn drop(&mut self) {
        self.session.abandon(self.level);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Transaction for SqliteTransaction {
    async fn commit(&self) -> Result<()> {
        let committed = self.session.commit(self.level).await;
        committed.map_err(|e| e.with_operation(Operation::Commit))
    }

    async fn rollback(&self) -> Result<()> {
        let undone = self.session.rollback(self.level).await;
        undone.map_err(|e| e.with_operation(Operation::Rollback))
    }

    fn abandon(&self) {
        self.session.abandon(self.level);
    }
}

/// Begins savepoints in a level, without keeping it open.
#[derive(Debug)]
struct Savepoints {
    session: Arc<Session>,
    level: LevelId,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Transact for Savepoints {
    /// There is nobody to wait for, and every isolation is met already.
    async fn begin(&self, _options: BeginOptions) -> Result<Arc<dyn Transaction>> {
        let begun = self.session.savepoint(self.level).await;
        let level = begun.map_err(|e| e.with_operation(Operation::Begin))?;
        Ok(Arc::new(SqliteTransaction {
            session: self.session.clone(),
            level,
        }))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Load for SqliteTransaction {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        let statements = self.statements(&request.model)?;
        let model = request.model.clone();
        let clock = self.session.shared.options.clock.clone();
        let work = move |connection: &Connection| {
            load::load(
                connection,
                &statements,
                &request.keys,
                &request.source,
                &clock,
            )
        };
        self.session
            .search(self.level, work)
            .await
            .told(Operation::Load, model.name())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Save for SqliteTransaction {
    async fn save(&self, request: SaveRequest) -> Result<Receipt> {
        let statements = self.statements(&request.model)?;
        let now = self.session.shared.options.clock.now();
        let model = request.model.name().clone();
        let saved = if request.write.computed.is_empty() {
            let work = |c: &Connection| Hand::new(c, &statements, now).write(&request.write);
            self.call(work).await
        } else {
            let functions = self.session.shared.options.functions.clone();
            let SaveRequest {
                model, mut write, ..
            } = request;
            let work = move |connection: &Connection| {
                write.make_ready(&functions, &model)?;
                Hand::new(connection, &statements, now).write(&write)
            };
            self.session.write_many(self.level, work).await
        };
        saved.told(Operation::Save, &model)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Bulk for SqliteTransaction {
    async fn bulk(&self, mut request: BulkRequest) -> Result<BulkReply> {
        let statements = self.statements(&request.model)?;
        let model = request.model.clone();
        let now = self.session.shared.options.clock.now();
        let calls = calls_functions(&request.items);
        let many = calls || is_many(&self.session.shared, request.items.len());
        let functions = self.session.shared.options.functions.clone();
        let work = move |connection: &Connection| -> Result<Vec<Result<Receipt>>, Failure> {
            if calls {
                let items = Arc::make_mut(&mut request.items);
                make_ready(items, &functions, &request.model)?;
            }
            if !request.atomic {
                let outcomes = bulk::bulk(connection, &statements, &request.items, now);
                return outcomes.map_err(Failure::Engine);
            }
            connection.execute_batch("SAVEPOINT bulk")?;
            let outcomes = bulk::bulk(connection, &statements, &request.items, now)
                .map_err(Failure::Engine)?;
            if outcomes.iter().all(Result::is_ok) {
                connection.execute_batch("RELEASE bulk")?;
                return Ok(outcomes);
            }
            connection.execute_batch("ROLLBACK TO bulk; RELEASE bulk")?;
            Ok(bulk::undone(outcomes))
        };
        let outcomes = if many {
            self.session.write_many(self.level, work).await
        } else {
            self.call(work).await
        };
        let reply = BulkReply::new(outcomes.told(Operation::Bulk, model.name())?);
        let refused = reply.errors().map(|(_, error)| error);
        self.session.note_violation(self.level, refused);
        Ok(reply)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Search for SqliteTransaction {
    async fn find(&self, request: FindRequest) -> Result<Page> {
        let model = request.model.clone();
        self.statements(&model)?;
        self.session
            .search(self.level, move |connection| {
                search::find(connection, &request)
            })
            .await
            .told(Operation::Find, model.name())
    }

    async fn count(&self, request: CountRequest) -> Result<u64> {
        let model = request.model.clone();
        self.statements(&model)?;
        self.session
            .search(self.level, move |connection| {
                search::count(connection, &request)
            })
            .await
            .told(Operation::Count, model.name())
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply> {
        let model = request.model.clone();
        self.statements(&model)?;
        self.session
            .search(self.level, move |connection| {
                aggregate::aggregate(connection, &request)
            })
            .await
            .told(Operation::Aggregate, model.name())
    }

    async fn group(&self, request: GroupRequest) -> Result<Groups> {
        let model = request.model.clone();
        self.statements(&model)?;
        self.session
            .search(self.level, move |connection| {
                group::group(connection, &request)
            })
            .await
            .told(Operation::Group, model.name())
    }

    async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        self.statements(&request.model)?;
        let collection = request.model.name().clone();
        let scan = TransactionScan::open(self.session.clone(), self.level, request);
        Ok(Box::new(scan.await.told(Operation::Scan, &collection)?))
    }

    async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply> {
        let statements = self.statements(&request.model)?;
        let operation = request.action.operation();
        let collection = request.model.name().clone();
        let options = self.session.shared.options.clone();
        let work = move |connection: &mut Connection, cancelled: &Arc<AtomicBool>| {
            matching::write_matching(connection, &options, cancelled, &statements, &request)
        };
        let written = self.session.write_cancellable(self.level, work).await;
        let reply = written.told(operation, &collection)?;
        let refused = reply.failures.iter().map(|(_, error)| error);
        self.session.note_violation(self.level, refused);
        Ok(reply)
    }

    async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        let collection = request.model().name().clone();
        self.statements(request.model())?;
        self.session
            .search(self.level, move |connection| {
                explain::explain(connection, &request)
            })
            .await
            .told(Operation::Explain, &collection)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Schema for SqliteTransaction {
    async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport> {
        let model = request.model;
        self.statements(&model)?;
        self.call(|connection| Ok(schema::ensure(connection, &model)?))
            .await
            .told(Operation::Ensure, model.name())
    }

    async fn describe(&self, collection: CollectionName) -> Result<Option<CollectionDescription>> {
        self.call(|connection| Ok(schema::describe(connection, &collection)?))
            .await
            .told(Operation::Describe, &collection)
    }

    async fn drop_collection(&self, collection: CollectionName) -> Result<bool> {
        self.call(|connection| Ok(schema::drop_collection(connection, &collection)?))
            .await
            .told(Operation::DropCollection, &collection)
    }

    async fn refresh(&self, collection: CollectionName) -> Result<()> {
        self.call(|connection| Ok(schema::require(connection, &collection)?))
            .await
            .told(Operation::Refresh, &collection)
    }

    async fn ready(&self, _timeout: Duration) -> Result<Health> {
        let answered = self.call(|_| Ok(Health::Ready)).await;
        answered.map_err(|e| e.with_operation(Operation::Ready))
    }

    async fn server_info(&self) -> Result<ServerInfo> {
        let answered = self.call(|_| Ok(server_info())).await;
        answered.map_err(|e| e.with_operation(Operation::ServerInfo))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for SqliteTransaction {
    fn capabilities(&self) -> &Capabilities {
        &self.session.shared.capabilities
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        Some(Arc::new(Savepoints {
            session: self.session.clone(),
            level: self.level,
        }))
    }

    /// Rolls the transaction back.
    async fn close(&self) -> Result<()> {
        let closed = self.session.rollback(self.level).await;
        closed.map_err(|e| e.with_operation(Operation::Close))
    }
}
