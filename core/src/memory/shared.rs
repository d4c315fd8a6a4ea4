//! The committed state and the writers' turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::MemoryOptions;
use super::state::State;
use super::transaction::Scope;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::model::Timestamp;
use crate::query::Functions;
use crate::store::{Capabilities, FunctionSupport};

/// What all clones of a store share.
///
/// Whoever changes `committed` holds the turn. Neither lock is held across an await.
#[derive(Debug)]
pub(super) struct Shared {
    committed: RwLock<State>,
    turn: Arc<Semaphore>,
    /// The outermost open transaction, so that closing can end it.
    open: Mutex<Weak<Scope>>,
    closed: AtomicBool,
    moment: Moment,
    wait: Duration,
    capabilities: Capabilities,
}

/// What a call needs besides the documents: the time, and the functions that filters call.
#[derive(Debug)]
pub(super) struct Moment {
    clock: Arc<dyn Clock>,
    functions: Functions,
}

impl Moment {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn functions(&self) -> &Functions {
        &self.functions
    }
}

/// The right to write: given back when dropped.
pub(super) type Turn = OwnedSemaphorePermit;

impl Shared {
    pub(super) fn new(options: MemoryOptions) -> Self {
        let mut capabilities = Capabilities::new("memory");
        capabilities.transactions = true;
        capabilities.savepoints = true;
        capabilities.atomic_bulk = true;
        capabilities.unique_fields = true;
        capabilities.backward_pages = true;
        capabilities.text_search = true;
        capabilities.score = true;
        capabilities.nested_filters = true;
        capabilities.functions = FunctionSupport::from(&options.functions);
        capabilities.aggregations = true;
        capabilities.groups = true;
        capabilities.scans = true;
        capabilities.matching_writes = true;
        Self {
            committed: RwLock::default(),
            turn: Arc::new(Semaphore::new(1)),
            open: Mutex::default(),
            closed: AtomicBool::new(false),
            moment: Moment {
                clock: options.clock,
                functions: options.functions,
            },
            wait: options.wait,
            capabilities,
        }
    }

    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    pub(super) fn moment(&self) -> &Moment {
        &self.moment
    }

    pub(super) fn now(&self) -> Timestamp {
        self.moment.now()
    }

    /// Answers from the committed state.
    pub(super) fn read<T>(
        &self,
        operation: Operation,
        answer: impl FnOnce(&State) -> Result<T>,
    ) -> Result<T> {
        self.check_open()
            .and_then(|()| {
                answer(
                    &self
                        .committed
                        .read()
                        .unwrap_or_else(PoisonError::into_inner),
                )
            })
            .map_err(|e| e.with_operation(operation))
    }

    /// Answers a question from the committed state.
    pub(super) fn ask<T>(
        &self,
        operation: Operation,
        answer: impl FnOnce(&State, &Moment) -> Result<T>,
    ) -> Result<T> {
        self.read(operation, |state| answer(state, &self.moment))
    }

    /// Changes the committed state when it is this call's turn. `change` undoes what it did before
    /// it fails. Dropping the future while it waits changes nothing.
    pub(super) async fn write<T>(
        &self,
        operation: Operation,
        change: impl FnOnce(&mut State, &Moment) -> Result<T>,
    ) -> Result<T> {
        let attempt = async {
            self.check_open()?;
            let turn = self.take_turn(self.wait).await?;
            let changed = self.replace(|state| change(state, &self.moment));
            drop(turn);
            changed
        };
        attempt.await.map_err(|e| e.with_operation(operation))
    }

    /// A copy of the committed state, for who holds the turn.
    pub(super) fn copy(&self) -> State {
        self.committed().clone()
    }

    /// Changes the committed state, for who holds the turn.
    pub(super) fn replace<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(
            &mut self
                .committed
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Waits for the writers before this one. They are let through in the order they came.
    pub(super) async fn take_turn(&self, wait: Duration) -> Result<Turn> {
        if let Ok(turn) = self.turn.clone().try_acquire_owned() {
            return Ok(turn);
        }
        match tokio::time::timeout(wait, self.turn.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(Error::new(
                ErrorKind::Contended,
                format!(
                    "another writer or transaction did not end within {} ms",
                    wait.as_millis()
                ),
            )),
        }
    }

    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    /// Notes the transaction that holds the turn, unless the store was closed meanwhile.
    pub(super) fn register(&self, scope: &Arc<Scope>) -> Result<()> {
        let mut open = self.open();
        self.check_open()?;
        *open = Arc::downgrade(scope);
        Ok(())
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        Ok(())
    }

    /// Refuses later calls, ends the open transaction, lets the writers that wait already have
    /// their turn, and then forgets everything.
    pub(super) async fn close(&self) -> Result<()> {
        let open = {
            // Under the lock, so that no transaction begins unnoticed between the two steps.
            let open = self.open();
            self.closed.store(true, Ordering::SeqCst);
            open.upgrade()
        };
        if let Some(scope) = open {
            scope.end();
        }
        if let Ok(turn) = self.turn.acquire().await {
            let forgotten = self.replace(std::mem::take);
            drop(turn);
            drop(forgotten);
        }
        Ok(())
    }

    fn committed(&self) -> RwLockReadGuard<'_, State> {
        self.committed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> MutexGuard<'_, Weak<Scope>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cold]
fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed")
}
