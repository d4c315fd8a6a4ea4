//! Transactions and savepoints.
//!
//! A transaction owns a connection. Each call of it runs within a savepoint, so that a statement
//! that the server refuses undoes nothing but itself. Savepoints of the user's are levels on a
//! stack: while one is open, the level below it refuses calls. What ends without a word to the
//! server is undone there before the connection's next use.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::Postgres;
use strongroom_core::error::{Error, ErrorKind, Operation, Result};
use strongroom_core::model::{CollectionName, Model, RawDocument};
use strongroom_core::store::{
    AggregateReply, AggregateRequest, BeginOptions, Bulk, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Isolation, Load, LoadRequest, MatchingReply,
    MatchingRequest, Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search,
    ServerInfo, Store, Transact, Transaction,
};

use crate::failure::{Failure, Phase, is_answer, map};
use crate::family::family;
use crate::levels::{LevelId, Levels, cancelled, check_isolation, savepoint};
use crate::outcomes::{self, Outcomes};
use crate::pages::{self, Place};
use crate::pool::END_WAIT;
use crate::work::{Around, Undo};

use super::bulk::at_once;
use super::error::{answered, is_serialization};
use super::shared::{Lease, Shared, Work};
use super::{aggregate, bulk, explain, group, load, matching, schema, search, write};

/// How long the end of a transaction that was given up may take before its connection is thrown
/// away.
const ROLLBACK_WAIT: Duration = Duration::from_secs(2);

/// A transaction, with the connection that it owns.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    isolation: Isolation,
    lease: tokio::sync::Mutex<Held>,
    levels: Levels,
}

#[derive(Debug)]
struct Held {
    lease: Option<Lease>,
    /// Whether the savepoint of the last call is still there.
    call: bool,
}

/// Begins a transaction. A dropped future leaves none open.
pub(crate) async fn begin(
    shared: &Arc<Shared>,
    options: &BeginOptions,
) -> Result<Arc<dyn Transaction>> {
    let wait = options.wait.unwrap_or(shared.options.wait);
    let mut lease = shared.links.lease_within(wait).await?;
    let sql = match options.isolation {
        Isolation::Default => "BEGIN",
        Isolation::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        _ => return Err(Error::unsupported("this isolation")),
    };
    let begun = raw_sql(sql).execute(lease.connection()?).await;
    begun.map_err(|e| map(e, Phase::Read, None))?;
    lease.uncount();
    let (levels, level) = Levels::new();
    let session = Arc::new(Session {
        shared: shared.clone(),
        isolation: options.isolation,
        lease: tokio::sync::Mutex::new(Held {
            lease: Some(lease),
            call: false,
        }),
        levels,
    });
    let transaction = PostgresTransaction { level, session };
    shared.register(&transaction.session)?;
    Ok(Arc::new(transaction))
}

impl Session {
    /// Checks that a level takes calls.
    fn enter(&self, level: LevelId) -> Result<()> {
        self.shared.links.check_open()?;
        self.levels.enter(level)
    }

    /// Gives up the level at this depth and those above it, without waiting.
    pub(crate) fn abandon(self: &Arc<Self>, depth: usize) {
        if let Some(level) = self.levels.at(depth) {
            self.give_up(level);
        }
    }

    fn give_up(self: &Arc<Self>, level: LevelId) {
        if !self.levels.pop(level) || level.depth > 0 {
            return;
        }
        // Without a runtime the connection closes, and the server rolls back by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let session = self.clone();
            runtime.spawn(async move {
                let lease = session.lease.lock().await.lease.take();
                if let Some(lease) = lease {
                    drop(roll_back(lease).await);
                }
            });
        } else if let Ok(mut held) = self.lease.try_lock() {
            drop(held.lease.take());
        }
    }

    /// Takes the connection for a call, with what ended before undone.
    async fn connection(&self, level: LevelId) -> Result<tokio::sync::MutexGuard<'_, Held>> {
        self.enter(level)?;
        let mut held = self.lease.lock().await;
        // It may have ended while the call before was under way.
        self.enter(level)?;
        if let Some(undo) = self.levels.undo() {
            self.send(&mut held, &undo).await?;
            held.call = false;
            self.levels.undone();
        }
        Ok(held)
    }

    /// Sends statements that the server does not refuse unless the transaction is lost.
    async fn send(&self, held: &mut Held, sql: &str) -> Result<()> {
        let Some(lease) = &mut held.lease else {
            return Err(cancelled("the transaction is over"));
        };
        let sent = raw_sql(AssertSqlSafe(sql))
            .execute(lease.connection()?)
            .await;
        sent.map(drop).map_err(|e| {
            self.levels.doom_all();
            map(e, Phase::Read, None)
        })
    }

    async fn call<T: Send>(
        &self,
        level: LevelId,
        model: Option<&Model>,
        work: Work<T>,
        violates: fn(&T) -> bool,
    ) -> Result<T> {
        self.enter(level)?;
        let flight = self.levels.in_flight(level);
        let mut held = match self.connection(level).await {
            Ok(held) => held,
            Err(error) => {
                flight.landed();
                return Err(error);
            }
        };
        let sql = if held.call {
            "RELEASE SAVEPOINT strongroom_call; SAVEPOINT strongroom_call"
        } else {
            "SAVEPOINT strongroom_call"
        };
        self.send(&mut held, sql).await?;
        held.call = true;
        let Some(lease) = &mut held.lease else {
            return Err(cancelled("the transaction is over"));
        };
        let connection = lease.connection()?;
        let outcome = work(&mut *connection, Undo::Call).await;
        let doomed = match &outcome {
            Ok(reply) => violates(reply),
            Err(Failure::Refused(error)) => error.kind() == ErrorKind::UniqueViolation,
            Err(Failure::Engine(error)) => match answered(error) {
                Some(answer) => answer.code() == "23505" || is_serialization(error),
                None => {
                    self.levels.doom_all();
                    true
                }
            },
        };
        if let Err(failure) = &outcome {
            if !failure.is_loss() {
                self.send(&mut held, "ROLLBACK TO SAVEPOINT strongroom_call")
                    .await?;
            }
        }
        if !doomed {
            flight.landed();
        }
        outcome.map_err(|f| f.told(Phase::Read, model))
    }

    async fn begin_savepoint(&self, level: LevelId, options: &BeginOptions) -> Result<LevelId> {
        check_isolation(self.isolation, options.isolation)?;
        self.enter(level)?;
        let flight = self.levels.in_flight(level);
        let mut held = match self.connection(level).await {
            Ok(held) => held,
            Err(error) => {
                flight.landed();
                return Err(error);
            }
        };
        let depth = level.depth + 1;
        let release = if held.call {
            "RELEASE SAVEPOINT strongroom_call; "
        } else {
            ""
        };
        held.call = false;
        self.send(
            &mut held,
            &format!("{release}SAVEPOINT {}", savepoint(depth)),
        )
        .await?;
        flight.landed();
        Ok(self.levels.push())
    }

    async fn commit(self: &Arc<Self>, level: LevelId) -> Result<()> {
        let held = match self.connection(level).await {
            Ok(held) => held,
            Err(error) => {
                // A commit that is refused because the scope is doomed rolls it back.
                if error.kind() == ErrorKind::Cancelled {
                    self.give_up(level);
                }
                return Err(error);
            }
        };
        let mut held = held;
        if level.depth > 0 {
            let flight = self.levels.in_flight(level);
            let release = format!("RELEASE SAVEPOINT {}", savepoint(level.depth));
            self.send(&mut held, &release).await?;
            held.call = false;
            flight.landed();
            self.levels.release(level);
            return Ok(());
        }
        self.levels.release(level);
        let Some(mut lease) = held.lease.take() else {
            return Err(cancelled("the transaction is over"));
        };
        // The server answers a commit after a failed statement as if all were well, and rolls
        // back; this question it refuses then. What it answers tells later what became of a
        // commit whose own answer is lost.
        let number = query_scalar::<Postgres, Option<String>>(
            "SELECT pg_current_xact_id_if_assigned()::text",
        );
        let number = match number.fetch_one(lease.connection()?).await {
            Ok(number) => number,
            Err(error) => {
                let told = match answered(&error).map(|e| e.code() == "25P02") {
                    Some(true) => cancelled("an earlier statement failed, so nothing was written"),
                    _ => map(error, Phase::Read, None),
                };
                drop(roll_back(lease).await);
                return Err(told);
            }
        };
        let Err(error) = raw_sql("COMMIT").execute(lease.connection()?).await else {
            lease.give_back();
            return Ok(());
        };
        if is_answer(&error) {
            drop(roll_back(lease).await);
            return Err(map(error, Phase::Write, None));
        }
        let Some(number) = number else {
            // It wrote nothing, so nothing can be missing.
            return Ok(());
        };
        match committed(lease, &number).await {
            Some(true) => Ok(()),
            Some(false) => Err(Error::new(
                ErrorKind::Unavailable,
                "the connection broke before the commit, so nothing was written",
            )
            .with_source(error)),
            None => Err(map(error, Phase::Write, None)),
        }
    }

    async fn roll_back(&self, level: LevelId) -> Result<()> {
        self.levels.check_end(level)?;
        if !self.levels.pop(level) || level.depth > 0 {
            return Ok(());
        }
        let lease = self.lease.lock().await.lease.take();
        match lease {
            Some(lease) => roll_back(lease).await,
            None => Ok(()),
        }
    }
}

/// What became of the transaction of this number, whose commit was sent on this connection and
/// not answered: `None` if the server does not tell.
async fn committed(lease: Lease, number: &str) -> Option<bool> {
    let server = lease.end().await?;
    let told = tokio::time::timeout(2 * END_WAIT, server.committed(number)).await;
    told.ok()?.ok()?
}

/// Rolls back, and gives the connection back if that worked.
async fn roll_back(mut lease: Lease) -> Result<()> {
    let undone = raw_sql("ROLLBACK").execute(lease.connection()?);
    match tokio::time::timeout(ROLLBACK_WAIT, undone).await {
        Ok(Ok(_)) => {
            lease.give_back();
            Ok(())
        }
        Ok(Err(error)) => Err(map(error, Phase::Read, None)),
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            "the server did not roll back in time: the connection was thrown away",
        )),
    }
}

/// What a user holds of a level.
#[derive(Debug)]
struct PostgresTransaction {
    session: Arc<Session>,
    level: LevelId,
}

impl PostgresTransaction {
    fn shared(&self) -> &Arc<Shared> {
        &self.session.shared
    }

    async fn run<T: Send>(
        &self,
        operation: Operation,
        _around: Around,
        model: Option<Arc<Model>>,
        work: Work<T>,
        violates: fn(&T) -> bool,
    ) -> Result<T> {
        let outcome = self
            .session
            .call(self.level, model.as_deref(), work, violates)
            .await;
        outcome.map_err(|e| {
            let e = e.with_operation(operation);
            match &model {
                Some(model) => e.with_collection(model.name().clone()),
                None => e,
            }
        })
    }

    async fn open_scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        let mut scan = TransactionScan {
            session: self.session.clone(),
            level: self.level,
            request: pages::first_page(request),
            place: Place::Closed,
        };
        scan.place = Place::Read(scan.page().await?);
        Ok(Box::new(scan))
    }
}

impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        self.session.give_up(self.level);
    }
}

family!(PostgresTransaction);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for PostgresTransaction {
    fn capabilities(&self) -> &Capabilities {
        &self.session.shared.capabilities
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        Some(Arc::new(Savepoints {
            session: self.session.clone(),
            level: self.level,
        }))
    }

    async fn close(&self) -> Result<()> {
        let closed = self.session.roll_back(self.level).await;
        closed.map_err(|e| e.with_operation(Operation::Close))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Transaction for PostgresTransaction {
    async fn commit(&self) -> Result<()> {
        let committed = self.session.commit(self.level).await;
        committed.map_err(|e| e.with_operation(Operation::Commit))
    }

    async fn rollback(&self) -> Result<()> {
        let undone = self.session.roll_back(self.level).await;
        undone.map_err(|e| e.with_operation(Operation::Rollback))
    }

    fn abandon(&self) {
        self.session.give_up(self.level);
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
    async fn begin(&self, options: BeginOptions) -> Result<Arc<dyn Transaction>> {
        let begun = self.session.begin_savepoint(self.level, &options).await;
        let level = begun.map_err(|e| e.with_operation(Operation::Begin))?;
        Ok(Arc::new(PostgresTransaction {
            session: self.session.clone(),
            level,
        }))
    }
}

/// A scan within a transaction, on the transaction's own connection.
#[derive(Debug)]
struct TransactionScan {
    session: Arc<Session>,
    level: LevelId,
    request: FindRequest,
    place: Place,
}

impl TransactionScan {
    async fn page(&self) -> Result<Page> {
        let request = self.request.clone();
        let model = request.model.clone();
        let work: Work<_> =
            Box::new(move |c, _| Box::pin(async move { search::find(c, &request).await }));
        self.session
            .call(self.level, Some(&model), work, |_| false)
            .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Scan for TransactionScan {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        // The state comes back only with an answer, so a dropped future leaves the scan closed.
        let page = match std::mem::replace(&mut self.place, Place::Closed) {
            Place::Read(page) => Ok(page),
            Place::Behind(start) => {
                self.request.start = start;
                self.page().await
            }
            Place::Done => {
                self.place = Place::Done;
                return Ok(Vec::new());
            }
            Place::Closed => Err(pages::cancelled()),
        };
        let mut page = page.map_err(|e| {
            e.with_operation(Operation::ScanNext)
                .with_collection(self.request.model.name().clone())
        })?;
        self.place = Place::behind(&mut page);
        Ok(page.documents)
    }

    async fn close(&mut self) -> Result<()> {
        self.place = Place::Closed;
        Ok(())
    }
}
