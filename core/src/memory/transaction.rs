//! Transactions and savepoints.
//!
//! A transaction holds the writers' turn and a copy of the committed state; its calls read and
//! change the copy, and a commit puts the copy in the place of the committed state. A savepoint
//! does the same with the copy of its parent. So the state beside a transaction does not move
//! while it is open, and a rollback has nothing to undo.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::scan::{MemoryScan, Owner};
use super::server_info;
use super::shared::{Moment, Shared, Turn};
use super::state::State;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::model::{CollectionName, RawDocument, Timestamp};
use crate::store::{
    AggregateReply, AggregateRequest, BeginOptions, Bulk, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Load, LoadRequest, MatchingReply, MatchingRequest,
    Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search, ServerInfo, Store,
    Transact, Transaction,
};

/// One transaction or savepoint, open or over.
#[derive(Debug)]
pub(super) struct Scope {
    shared: Arc<Shared>,
    /// The scope that a savepoint was begun in.
    parent: Option<Arc<Scope>>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    /// A savepoint is open, so that calls are refused.
    savepoint: bool,
    state: State,
    /// The right to write, held by the outermost scope until it is over.
    turn: Option<Turn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Doomed,
    Over,
}

/// Waits for the turn and begins a transaction. Dropping the future leaves nothing open.
pub(super) async fn begin(
    shared: &Arc<Shared>,
    options: &BeginOptions,
) -> Result<Arc<dyn Transaction>> {
    shared.check_open()?;
    let turn = shared
        .take_turn(options.wait.unwrap_or_else(|| shared.wait()))
        .await?;
    let scope = Scope::new(shared.clone(), None, shared.copy(), Some(turn));
    let transaction = MemoryTransaction { scope };
    shared.register(&transaction.scope)?;
    Ok(Arc::new(transaction))
}

impl Scope {
    fn new(
        shared: Arc<Shared>,
        parent: Option<Arc<Scope>>,
        state: State,
        turn: Option<Turn>,
    ) -> Arc<Self> {
        Arc::new(Self {
            shared,
            parent,
            inner: Mutex::new(Inner {
                phase: Phase::Open,
                savepoint: false,
                state,
                turn,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the scope without a commit, unless it is over: drops its copy of the state, and lets
    /// the next writer or the parent go on.
    pub(super) fn end(&self) {
        let ended = {
            let mut inner = self.lock();
            if inner.phase == Phase::Over {
                return;
            }
            inner.phase = Phase::Over;
            (std::mem::take(&mut inner.state), inner.turn.take())
        };
        // The copy goes before the turn: the next writer shall find its collections unshared.
        let (state, turn) = ended;
        drop(state);
        drop(turn);
        self.release_parent();
    }

    fn release_parent(&self) {
        if let Some(parent) = &self.parent {
            parent.lock().savepoint = false;
        }
    }

    /// Locks the scope for a call, if it takes one.
    fn enter(&self) -> Result<MutexGuard<'_, Inner>> {
        self.shared.check_open()?;
        let mut above = self.parent.as_deref();
        while let Some(scope) = above {
            if scope.lock().phase == Phase::Over {
                return Err(cancelled("the transaction around this savepoint is over"));
            }
            above = scope.parent.as_deref();
        }
        let inner = self.lock();
        match inner.phase {
            Phase::Over => Err(cancelled("the transaction is over")),
            Phase::Open | Phase::Doomed if inner.savepoint => Err(Error::invalid(
                "a savepoint of this transaction is open: it must end first",
            )),
            Phase::Doomed => Err(cancelled(
                "an earlier call doomed the transaction, which can only be rolled back",
            )),
            Phase::Open => Ok(inner),
        }
    }

    /// Carries out a call on the scope's copy of the state. The call does not wait, so it cannot
    /// be cancelled half-way; a unique violation dooms the scope.
    fn call<T>(
        &self,
        operation: Operation,
        call: impl FnOnce(&mut State, &Shared) -> Result<T>,
    ) -> Result<T> {
        self.judged(operation, call, |outcome| {
            outcome.as_ref().err().is_some_and(is_violation)
        })
    }

    /// As [`call`](Self::call), for calls whose reply may hold a unique violation, too.
    fn judged<T>(
        &self,
        operation: Operation,
        call: impl FnOnce(&mut State, &Shared) -> Result<T>,
        violates: impl FnOnce(&Result<T>) -> bool,
    ) -> Result<T> {
        let outcome = self.enter().and_then(|mut inner| {
            let outcome = call(&mut inner.state, &self.shared);
            if violates(&outcome) {
                inner.phase = Phase::Doomed;
            }
            outcome
        });
        outcome.map_err(|e| e.with_operation(operation))
    }

    /// Answers a question from the scope's copy of the state.
    fn ask<T>(
        &self,
        operation: Operation,
        answer: impl FnOnce(&State, &Moment) -> Result<T>,
    ) -> Result<T> {
        self.call(operation, |state, shared| answer(state, shared.moment()))
    }

    /// The time, if the scope takes calls.
    pub(super) fn now(&self) -> Result<Timestamp> {
        self.enter().map(|_| self.shared.now())
    }

    fn write_matching(&self, request: &MatchingRequest) -> Result<MatchingReply> {
        self.judged(
            request.action.operation(),
            |state, shared| state.write_matching(request, shared.moment()),
            |outcome| match outcome {
                Ok(reply) => reply.failures.iter().any(|(_, error)| is_violation(error)),
                Err(error) => is_violation(error),
            },
        )
    }

    fn bulk(&self, request: &BulkRequest) -> Result<BulkReply> {
        self.judged(
            Operation::Bulk,
            |state, shared| state.bulk(request, shared.moment()),
            |outcome| match outcome {
                Ok(reply) => reply.errors().any(|(_, error)| is_violation(error)),
                Err(error) => is_violation(error),
            },
        )
    }

    fn commit(&self) -> Result<()> {
        let (state, turn) = match self.enter() {
            Ok(mut inner) => {
                inner.phase = Phase::Over;
                (std::mem::take(&mut inner.state), inner.turn.take())
            }
            Err(error) => {
                // A commit that is refused because the scope is doomed rolls it back.
                if error.kind() == ErrorKind::Cancelled {
                    self.end();
                }
                return Err(error);
            }
        };
        match &self.parent {
            None => drop(self.shared.replace(|there| std::mem::replace(there, state))),
            Some(parent) => {
                let mut parent = parent.lock();
                parent.savepoint = false;
                if parent.phase == Phase::Over {
                    return Err(cancelled("the transaction around this savepoint is over"));
                }
                parent.state = state;
            }
        }
        drop(turn);
        Ok(())
    }

    fn rollback(&self) -> Result<()> {
        {
            let inner = self.lock();
            if inner.savepoint && inner.phase != Phase::Over {
                return Err(Error::invalid(
                    "a savepoint of this transaction is open: it must end first",
                ));
            }
        }
        self.end();
        Ok(())
    }

    fn savepoint(self: &Arc<Self>) -> Result<Arc<dyn Transaction>> {
        let state = {
            let mut inner = self.enter()?;
            inner.savepoint = true;
            inner.state.clone()
        };
        let scope = Self::new(self.shared.clone(), Some(self.clone()), state, None);
        Ok(Arc::new(MemoryTransaction { scope }))
    }
}

fn is_violation(error: &Error) -> bool {
    error.kind() == ErrorKind::UniqueViolation
}

#[cold]
fn cancelled(why: &str) -> Error {
    Error::new(ErrorKind::Cancelled, why)
}

/// What a user holds of a scope. The scope ends with it; the scope itself may be held longer, by
/// savepoints and by [`Savepoints`].
#[derive(Debug)]
struct MemoryTransaction {
    scope: Arc<Scope>,
}

impl Drop for MemoryTransaction {
    fn drop(&mut self) {
        self.scope.end();
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Transaction for MemoryTransaction {
    async fn commit(&self) -> Result<()> {
        let committed = self.scope.commit();
        committed.map_err(|e| e.with_operation(Operation::Commit))
    }

    async fn rollback(&self) -> Result<()> {
        let undone = self.scope.rollback();
        undone.map_err(|e| e.with_operation(Operation::Rollback))
    }

    fn abandon(&self) {
        self.scope.end();
    }
}

/// Begins savepoints in a scope, without keeping it open.
#[derive(Debug)]
struct Savepoints {
    scope: Arc<Scope>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Transact for Savepoints {
    async fn begin(&self, _options: BeginOptions) -> Result<Arc<dyn Transaction>> {
        // There is nobody to wait for, and every isolation is met by a copy of the state.
        let begun = self.scope.savepoint();
        begun.map_err(|e| e.with_operation(Operation::Begin))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Load for MemoryTransaction {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        self.scope.call(Operation::Load, |state, shared| {
            state.load(&request, shared.now())
        })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Save for MemoryTransaction {
    async fn save(&self, request: SaveRequest) -> Result<Receipt> {
        self.scope.call(Operation::Save, |state, shared| {
            state.save(&request, shared.moment())
        })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Bulk for MemoryTransaction {
    async fn bulk(&self, request: BulkRequest) -> Result<BulkReply> {
        self.scope.bulk(&request)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Search for MemoryTransaction {
    async fn find(&self, request: FindRequest) -> Result<Page> {
        self.scope.ask(Operation::Find, |state, moment| {
            state.find(&request, moment)
        })
    }

    async fn count(&self, request: CountRequest) -> Result<u64> {
        self.scope.ask(Operation::Count, |state, moment| {
            state.count(&request, moment)
        })
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply> {
        self.scope.ask(Operation::Aggregate, |state, moment| {
            state.aggregate(&request, moment)
        })
    }

    async fn group(&self, request: GroupRequest) -> Result<Groups> {
        self.scope.ask(Operation::Group, |state, moment| {
            state.group(&request, moment)
        })
    }

    async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        let found = self.scope.ask(Operation::Scan, |state, moment| {
            state.scan(&request, moment)
        })?;
        let owner = Owner::Transaction(self.scope.clone());
        Ok(Box::new(MemoryScan::new(owner, found, request)))
    }

    async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply> {
        self.scope.write_matching(&request)
    }

    async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        self.scope.ask(Operation::Explain, |state, moment| {
            state.explain(&request, moment)
        })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Schema for MemoryTransaction {
    async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport> {
        self.scope
            .call(Operation::Ensure, |state, _| state.ensure(&request.model))
    }

    async fn describe(&self, collection: CollectionName) -> Result<Option<CollectionDescription>> {
        self.scope.call(Operation::Describe, |state, _| {
            Ok(state.describe(&collection))
        })
    }

    async fn drop_collection(&self, collection: CollectionName) -> Result<bool> {
        self.scope.call(Operation::DropCollection, |state, _| {
            Ok(state.drop_collection(&collection))
        })
    }

    async fn refresh(&self, collection: CollectionName) -> Result<()> {
        self.scope.call(Operation::Refresh, |state, _| {
            state.collection(&collection).map(drop)
        })
    }

    async fn ready(&self, _timeout: Duration) -> Result<Health> {
        self.scope.call(Operation::Ready, |_, _| Ok(Health::Ready))
    }

    async fn server_info(&self) -> Result<ServerInfo> {
        self.scope
            .call(Operation::ServerInfo, |_, _| Ok(server_info()))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for MemoryTransaction {
    fn capabilities(&self) -> &Capabilities {
        self.scope.shared.capabilities()
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        Some(Arc::new(Savepoints {
            scope: self.scope.clone(),
        }))
    }

    async fn close(&self) -> Result<()> {
        let closed = self.scope.rollback();
        closed.map_err(|e| e.with_operation(Operation::Close))
    }
}
