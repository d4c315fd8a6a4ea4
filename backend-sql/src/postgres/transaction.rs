//! Transactions and savepoints.
//!
//! A transaction owns a connection. Each call of it runs within a savepoint, so that a statement
//! that the server refuses undoes nothing but itself. Savepoints of the user's are levels on a
//! stack: while one is open, the level below it refuses calls. What ends without a word to the
//! server is undone there before the connection's next use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

use super::bulk::{Undo, at_once};
use super::error::{Failure, Phase, answered, is_serialization, map};
use super::family::family;
use super::pool::Lease;
use super::scan::{self, State as ScanState};
use super::shared::{Around, Shared, Work};
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
    levels: Mutex<Levels>,
}

#[derive(Debug)]
struct Held {
    lease: Option<Lease>,
    /// Whether the savepoint of the last call is still there.
    call: bool,
}

#[derive(Debug)]
struct Levels {
    /// Those that are open, the transaction itself first.
    open: Vec<Level>,
    made: u64,
    /// The lowest level whose writes are to be undone before anything else.
    undo: Option<usize>,
}

#[derive(Debug)]
struct Level {
    id: u64,
    doomed: bool,
}

/// A level: its place on the stack and its own number.
#[derive(Clone, Copy, Debug)]
struct LevelId {
    depth: usize,
    id: u64,
}

#[cold]
fn cancelled(why: &str) -> Error {
    Error::new(ErrorKind::Cancelled, why)
}

#[cold]
fn savepoint_is_open() -> Error {
    Error::invalid("a savepoint of this transaction is open: it must end first")
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
    let session = Arc::new(Session {
        shared: shared.clone(),
        isolation: options.isolation,
        lease: tokio::sync::Mutex::new(Held {
            lease: Some(lease),
            call: false,
        }),
        levels: Mutex::new(Levels {
            open: vec![Level {
                id: 0,
                doomed: false,
            }],
            made: 1,
            undo: None,
        }),
    });
    let transaction = PostgresTransaction {
        level: LevelId { depth: 0, id: 0 },
        session,
    };
    shared.register(&transaction.session)?;
    Ok(Arc::new(transaction))
}

impl Session {
    fn levels(&self) -> MutexGuard<'_, Levels> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that a level takes calls.
    fn enter(&self, level: LevelId) -> Result<()> {
        self.shared.links.check_open()?;
        let levels = self.levels();
        let this = levels.open.get(level.depth);
        let Some(this) = this.filter(|this| this.id == level.id) else {
            return Err(cancelled("the transaction is over"));
        };
        if levels.open.len() > level.depth + 1 {
            return Err(savepoint_is_open());
        }
        if this.doomed {
            return Err(cancelled(
                "an earlier call doomed the transaction, which can only be rolled back",
            ));
        }
        Ok(())
    }

    fn doom(&self, level: LevelId) {
        let mut levels = self.levels();
        let this = levels.open.get_mut(level.depth);
        if let Some(this) = this.filter(|this| this.id == level.id) {
            this.doomed = true;
        }
    }

    fn doom_all(&self) {
        self.levels()
            .open
            .iter_mut()
            .for_each(|level| level.doomed = true);
    }

    /// Ends a level and those above it; what they wrote is undone later. `false` if it was over.
    fn pop(&self, level: LevelId) -> bool {
        let mut levels = self.levels();
        if levels
            .open
            .get(level.depth)
            .is_none_or(|l| l.id != level.id)
        {
            return false;
        }
        levels.open.truncate(level.depth);
        if level.depth > 0 {
            let lowest = levels
                .undo
                .map_or(level.depth, |undo| undo.min(level.depth));
            levels.undo = Some(lowest);
        }
        true
    }

    /// Gives up the level at this depth and those above it, without waiting.
    pub(crate) fn abandon(self: &Arc<Self>, depth: usize) {
        let level = self.levels().open.get(depth).map(|level| LevelId {
            depth,
            id: level.id,
        });
        if let Some(level) = level {
            self.give_up(level);
        }
    }

    fn give_up(self: &Arc<Self>, level: LevelId) {
        if !self.pop(level) || level.depth > 0 {
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
        let undo = self.levels().undo;
        if let Some(depth) = undo {
            let name = savepoint(depth);
            self.send(
                &mut held,
                &format!("ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}"),
            )
            .await?;
            held.call = false;
            self.levels().undo = None;
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
            self.doom_all();
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
        let mut flight = InFlight {
            session: self,
            level: Some(level),
        };
        let mut held = match self.connection(level).await {
            Ok(held) => held,
            Err(error) => {
                flight.level = None;
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
                    self.doom_all();
                    true
                }
            },
        };
        if let Err(failure) = &outcome {
            let is_there = !matches!(failure, Failure::Engine(e) if answered(e).is_none());
            if is_there {
                self.send(&mut held, "ROLLBACK TO SAVEPOINT strongroom_call")
                    .await?;
            }
        }
        if !doomed {
            flight.level = None;
        }
        outcome.map_err(|f| f.told(Phase::Read, model))
    }

    async fn begin_savepoint(&self, level: LevelId, options: &BeginOptions) -> Result<LevelId> {
        let rank = |isolation| match isolation {
            Isolation::Default => Some(0),
            Isolation::Snapshot => Some(1),
            Isolation::Serializable => Some(2),
            _ => None,
        };
        if rank(options.isolation).is_none_or(|asked| Some(asked) > rank(self.isolation)) {
            return Err(Error::unsupported(
                "a savepoint that is kept apart more strictly than its transaction",
            ));
        }
        self.enter(level)?;
        let mut flight = InFlight {
            session: self,
            level: Some(level),
        };
        let mut held = match self.connection(level).await {
            Ok(held) => held,
            Err(error) => {
                flight.level = None;
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
        flight.level = None;
        let mut levels = self.levels();
        let id = levels.made;
        levels.made += 1;
        levels.open.push(Level { id, doomed: false });
        Ok(LevelId { depth, id })
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
            let mut flight = InFlight {
                session: self,
                level: Some(level),
            };
            let release = format!("RELEASE SAVEPOINT {}", savepoint(level.depth));
            self.send(&mut held, &release).await?;
            held.call = false;
            flight.level = None;
            self.levels().open.truncate(level.depth);
            return Ok(());
        }
        self.levels().open.clear();
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
        if answered(&error).is_some() {
            drop(roll_back(lease).await);
            return Err(map(error, Phase::Write, None));
        }
        let Some(number) = number else {
            // It wrote nothing, so nothing can be missing.
            return Ok(());
        };
        match lease.committed(&number).await {
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
        {
            let levels = self.levels();
            let there = levels.open.get(level.depth);
            if there.is_some_and(|l| l.id == level.id) && levels.open.len() > level.depth + 1 {
                return Err(savepoint_is_open());
            }
        }
        if !self.pop(level) || level.depth > 0 {
            return Ok(());
        }
        let lease = self.lease.lock().await.lease.take();
        match lease {
            Some(lease) => roll_back(lease).await,
            None => Ok(()),
        }
    }
}

fn savepoint(depth: usize) -> String {
    format!("strongroom_{depth}")
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

/// A call under way: one that is not carried to its end dooms its level.
struct InFlight<'s> {
    session: &'s Session,
    level: Option<LevelId>,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(level) = self.level {
            self.session.doom(level);
        }
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
            request: scan::first_page(request),
            state: ScanState::Closed,
        };
        scan.state = ScanState::Read(scan.page().await?);
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
    state: ScanState,
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
        let page = match std::mem::replace(&mut self.state, ScanState::Closed) {
            ScanState::Read(page) => Ok(page),
            ScanState::Behind(start) => {
                self.request.start = start;
                self.page().await
            }
            ScanState::Done => {
                self.state = ScanState::Done;
                return Ok(Vec::new());
            }
            ScanState::Closed => Err(scan::cancelled()),
        };
        let mut page = page.map_err(|e| {
            e.with_operation(Operation::ScanNext)
                .with_collection(self.request.model.name().clone())
        })?;
        self.state = ScanState::behind(&mut page);
        Ok(page.documents)
    }

    async fn close(&mut self) -> Result<()> {
        self.state = ScanState::Closed;
        Ok(())
    }
}
